"""The type stubs agree with what is compiled: names, arguments, defaults, keywords."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys

import pytest

from support.tidy_sources import ROOT


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None,
                    reason="mypy is not in this environment; `make test` has it")
def test_stubs_agree(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "ringmill", "--concise",
         # What no stub names is nobody's business: the insides of the core.
         "--ignore-missing-stub", "--ignore-disjoint-bases", "--ignore-unused-allowlist",
         "--allowlist", ROOT / "tests" / "stubs.allow",
         "--mypy-config-file", ROOT / "pyproject.toml"],
        # From elsewhere, with MYPYPATH: the editable install has no folder mypy could find.
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_options_are_those_of_the_machine():
    """What run(), Cluster and Machine hand on, typed twice: as keywords and as a TypedDict."""
    stub = ast.parse((ROOT / "src/ringmill/core/machine.pyi").read_text(encoding="utf-8"))
    init, = (node for node in ast.walk(stub) if getattr(node, "name", "") == "__init__")
    tree = ast.parse((ROOT / "src/ringmill/face/machine.py").read_text(encoding="utf-8"))
    options, = (node for node in tree.body if getattr(node, "name", "") == "MachineOptions")
    fields = [node for node in options.body if isinstance(node, ast.AnnAssign)]
    assert {node.target.id: ast.unparse(node.annotation) for node in fields} == {
        argument.arg: ast.unparse(argument.annotation) for argument in init.args.kwonlyargs}
