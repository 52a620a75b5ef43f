"""What is built is what is meant: the wheel's contents, and which build a run really tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from support.tidy_sources import ROOT, meson_lists

SANITIZED = os.environ.get("RINGMILL_SANITIZED")

# In the release build: calls, an awaited op and a fiber, from outside the tree, on both kernels.
PROGRAM = """
import os, sys
sys.path[:0] = sys.argv[1:3]
import ringmill
assert ringmill.__file__.startswith(sys.argv[1]), ringmill.__file__
r, w = os.pipe()
assert ringmill.write(w, b"plain") == 5 and ringmill.read(r, 9) == b"plain"

async def main():
    ringmill.spawn(ringmill.write, w, b"awaited")
    return await ringmill.aio.read(r, 9)

assert ringmill.run(main()) == b"awaited"
print(ringmill.machine().kernel.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A release wheel from this environment's tools; an isolated build would ask the network."""
    if SANITIZED:
        pytest.skip("the sanitizer environment has no build tools; `make test` builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps",
         "-w", folder, ROOT],
        env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_no_sources(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tables = meson_lists((ROOT / "src/ringmill/meson.build").read_text(encoding="utf-8"))
    for name in tables["python_files"]:
        assert f"ringmill/{name}" in names
    for name in tables["extensions"]:
        module = "ringmill/" + name.removesuffix(".pyx")
        assert any(found.startswith(module + ".") and found.endswith(".so") for found in names)
    suffixes = {Path(name).suffix for name in names if name.startswith("ringmill/")}
    assert suffixes <= {".py", ".pyi", ".pxd", ".so", ".typed"}
    assert "ringmill/py.typed" in names


def test_the_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as files:
        name = next(name for name in files.namelist() if name.endswith("dist-info/METADATA"))
        metadata = files.read(name).decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    always = [line for line in needed if "extra ==" not in line]
    assert len(always) == 1
    assert always[0].startswith("Requires-Dist: greenlet")
    assert "License-Expression: MIT" in metadata


@pytest.mark.parametrize("kernel", ["", "soft"])
def test_the_wheel_works_outside_the_tree(wheel, tmp_path, kernel):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    import greenlet

    # -S: without site-packages' .pth files the editable install cannot come first.
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, site, Path(greenlet.__file__).parent.parent],
        cwd=tmp_path, env={**os.environ, "RINGMILL_KERNEL": kernel}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == kernel or not kernel
    assert done.stderr == ""


def test_the_run_tests_the_build_it_claims():
    """Under `make asan` a plain build tested by mistake would find nothing, and say so proudly."""
    from ringmill.core import machine

    built = str(Path(machine.__file__).resolve())
    if SANITIZED:
        assert built.startswith(SANITIZED)
        assert "asan" in Path("/proc/self/maps").read_text(encoding="utf-8")
    else:
        assert not built.startswith(str(ROOT / "build" / "asan"))


def test_build_requirements_are_one_list():
    """pip reads build-system.requires, the Makefile the group: they must not drift apart."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    group = set(project["dependency-groups"]["build"])
    assert set(project["build-system"]["requires"]) <= group
    assert set(project["project"]["dependencies"]) <= group
    assert set(project["project"]["optional-dependencies"]["cli"]) <= set(
        project["dependency-groups"]["test"])
