"""What is made from the table is fresh, complete, and says what the compiled functions say."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ringmill.core import masks
from ringmill.ops import render
from ringmill.ops.entry import ENTRIES, Entry
from support.tidy_sources import ROOT

FACES = {"call": ringmill, "aio": ringmill.aio}
STUBS = {"call": "src/ringmill/face/call.pyi", "aio": "src/ringmill/ops/aio.pyi"}


def copy_of_sources(folder: Path) -> Path:
    """Just what the generator and its output need."""
    for name in ("src/ringmill/ops", "src/ringmill/face", "src/ringmill/ring", "docs"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def check(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the generator of these sources as `make gen` does, but only to look."""
    return subprocess.run([sys.executable, "-I", root / "src/ringmill/ops/generate.py", "--check"],
                          capture_output=True, text=True)


def test_the_generated_files_are_fresh() -> None:
    done = check(ROOT)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun `make gen` and commit."


def test_a_stale_file_is_told(tmp_path: Path) -> None:
    root = copy_of_sources(tmp_path)
    stub = root / "src/ringmill/ops/aio.pyi"
    stub.write_text(stub.read_text() + "\n# by hand\n")
    done = check(root)
    assert done.returncode == 1
    assert done.stdout == "src/ringmill/ops/aio.pyi is stale: run `make gen`\n"


def test_an_entry_more_makes_every_file_stale(tmp_path: Path) -> None:
    """One entry is all that adding an op takes: each of the generated files follows."""
    root = copy_of_sources(tmp_path)
    table = root / "src/ringmill/ops/table/files.py"
    table.write_text(table.read_text() + '''

@op("FALLOCATE", soft=in_worker("rm_result(fallocate(fd, 0, (off_t)offset, n))"))
def give_room(fd: Fd, n: Number("addr"), *, offset: Offset() = None) -> Nothing:
    """Give the file room.

    >>> give_room(scratch, 100)
    """
''')
    done = check(root)
    told = [line.split()[0] for line in done.stdout.splitlines()]
    assert set(told) == set(render.RENDERERS)


def test_what_is_generated_says_so() -> None:
    for name in render.RENDERERS:
        assert render.MADE in (ROOT / name).read_text(), name


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("face", FACES)
def test_both_faces_have_it(face: str, name: str) -> None:
    module = FACES[face]
    assert name in module.__all__
    function = getattr(module, name)
    assert function.__name__ == name
    assert inspect.cleandoc(function.__doc__) == ENTRIES[name].doc


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("face", FACES)
def test_the_signature_is_the_tables(face: str, name: str) -> None:
    signature = inspect.signature(getattr(FACES[face], name))
    found = [(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in signature.parameters.values()]
    assert found == [(a.name, a.default, a.keyword_only) for a in ENTRIES[name].arguments]


@pytest.mark.parametrize("face", FACES)
def test_the_stubs_name_exactly_what_is_there(face: str) -> None:
    tree = ast.parse((ROOT / STUBS[face]).read_text())
    stubs: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            stubs.setdefault(node.name, node)  # of two overloads the first has the defaults
    assert set(stubs) == set(ENTRIES)
    module = sys.modules["ringmill.ops.aio" if face == "aio" else "ringmill.face.call"]
    functions = {name for name, value in vars(module).items()
                 if callable(value) and getattr(value, "__module__", "") == module.__name__}
    assert {name for name in functions if not name.startswith("_")} == set(ENTRIES)
    for name, node in stubs.items():
        signature = inspect.signature(getattr(FACES[face], name))
        spelled = [p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        keyword = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert [a.arg for a in node.args.args] == spelled, name
        assert [a.arg for a in node.args.kwonlyargs] == keyword, name
        defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        told = [evaluated(default) for default in defaults]
        assert told == [p.default for p in signature.parameters.values()
                        if p.default is not p.empty], name


def evaluated(default: ast.expr) -> Any:
    import socket

    return eval(compile(ast.Expression(default), "stub", "eval"), {"_socket": socket})


@pytest.mark.parametrize("name", ENTRIES)
def test_the_manual_has_it(name: str) -> None:
    manual = (ROOT / "docs" / "ops.md").read_text()
    entry = ENTRIES[name]
    _, section = manual.split(f"\n## {name}\n", 1)
    section = section.split("\n## ")[0]
    first = entry.doc.splitlines()[0]
    assert first in section
    assert ">>> " in section
    assert f"`IORING_OP_{entry.opcode}`" in section
    for argument in entry.arguments:
        assert argument.name in section


@pytest.mark.parametrize("name", ENTRIES)
def test_every_opcode_has_a_row_in_the_soft_kernel(name: str) -> None:
    """Or the engine has it: poll is readiness itself, multishot is a property of the request."""
    entry = ENTRIES[name]
    rows = {e.opcode for e in ENTRIES.values() if e.soft is not None}
    assert entry.opcode.lower() in masks.OPCODES
    if entry.opcode not in rows:
        assert entry.opcode in ("POLL_ADD", "READ_MULTISHOT"), (
            f"{name}: no entry says how the soft kernel executes {entry.opcode}")


def test_a_row_is_told_once() -> None:
    told = [e.opcode for e in ENTRIES.values() if e.soft is not None]
    assert len(told) == len(set(told)), "two entries tell how the soft kernel executes one opcode"


def test_names_follow_os_and_socket() -> None:
    """Where os or socket has a function of that name, its leading arguments have its names."""
    import os

    # What they call differently, and why: one word for one thing within ringmill.
    renamed = {"length": "n", "buffersize": "n", "__length": "n", "count": "n", "src": "source",
               "dst": "target", "offset_src": "offset_source", "offset_dst": "offset_target"}
    for name in ("open", "close", "read", "write", "readv", "writev", "fsync", "splice", "stat",
                 "waitid"):
        entry: Entry = ENTRIES[name]
        theirs = [renamed.get(p.lstrip("_"), p.lstrip("_"))
                  for p in inspect.signature(getattr(os, name)).parameters]
        ours = [a.name for a in entry.arguments]
        common = [p for p in theirs if p in ours]
        assert common == [p for p in ours if p in common], name
        assert common[: 1] == theirs[: 1], name
