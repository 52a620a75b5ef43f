"""`ringmill demo`: exits 0 when every byte arrives, and otherwise says what did not."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringmill.cli import demo
from ringmill.cli.fetch import Fetched
from ringmill.cli.foreign import total_of


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "a%b?c#d.txt").write_text("odd name")
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(bytes(range(256)) * 2048)
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("not a source")
    return tmp_path


def test_a_demo(small_tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ringmill", "demo", str(small_tree), "--fibers", "3"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 files below" in done.stdout
    assert "every byte is as it is on disk" in done.stdout
    for kernel in demo.KERNELS:
        assert f"{kernel} " in done.stdout


def test_what_belongs_to_a_tree(small_tree: Path) -> None:
    digests = demo.digest_tree(small_tree)
    assert set(digests) == {"/sub%20dir/a%25b%3Fc%23d.txt", "/empty", "/large"}
    assert digests["/empty"] == hashlib.sha256(b"").hexdigest()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Rich would take the folder for a closing tag; the file's name is not UTF-8."""
    root = Path(os.fsdecode(os.fsencode(tmp_path / "[") + b"/\xff]"))
    root.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff")).write_text("x")
    done = subprocess.run(
        [sys.executable, "-m", "ringmill", "demo", str(root)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[/\\xff]," in "".join(done.stdout.split("\n"))
    assert "every byte is as it is on disk" in done.stdout


def test_a_name_finds_its_file_again(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    file.write_text("x")
    (path,) = demo.digest_tree(tmp_path)
    assert path == "/bad%FF"
    assert tmp_path / demo.unquoted(path) == file


def test_a_file_that_may_not_be_read_is_left_out(
    small_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "large")
    assert "/large" not in demo.digest_tree(small_tree)


def test_a_file_closed_to_us_meanwhile_differs(
    small_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    digests = demo.digest_tree(small_tree)
    fetched = [Fetched(path, 200, 0, "?") for path in digests]
    monkeypatch.setattr("builtins.open", refuse)
    assert len(demo.differences(small_tree, digests, fetched)) == len(digests)


def test_a_wrong_environment_is_a_sentence(
    small_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGMILL_KERNEL", "bogus")
    result = CliRunner().invoke(demo.demo, [str(small_tree)])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ") and "bogus" in result.output


def test_differences_are_found(small_tree: Path) -> None:
    digests = demo.digest_tree(small_tree)
    right = [Fetched(path, 200, 0, digest) for path, digest in digests.items()]
    assert demo.differences(small_tree, digests, right) == []
    empty = digests["/empty"]
    wrong = [Fetched("/large", 200, 0, empty), Fetched("/empty", 404, 0, empty)]
    found = " ".join(demo.differences(small_tree, digests, wrong))
    assert "/large: differs" in found
    assert "/empty: status 404" in found
    assert "a%25b%3Fc%23d.txt: did not arrive" in found


def test_a_file_edited_meanwhile_is_no_difference(small_tree: Path) -> None:
    digests = demo.digest_tree(small_tree)
    (small_tree / "empty").write_text("edited")
    edited = hashlib.sha256(b"edited").hexdigest()
    fetched = [
        Fetched(path, 200, 0, edited if path == "/empty" else digest)
        for path, digest in digests.items()
    ]
    assert demo.differences(small_tree, digests, fetched) == []


def test_what_strace_says() -> None:
    summary = "    calls syscall\n--------- ------\n       12 read\n   340 total\n"
    assert total_of(summary) == 340
    assert total_of("strace: attach: ptrace: Operation not permitted\n") is None


@pytest.mark.parametrize("what", ["a wrong byte", "a missing file", "a refusal"])
def test_the_exit_code_tells_of_a_difference(
    small_tree: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What arrived is altered on its way to the comparison: the demo must not end with 0."""
    fetch = demo.fetch_with_fibers

    def altered(*arguments: object) -> list[Fetched]:
        first, *others = fetch(*arguments)
        if what == "a missing file":
            return others
        if what == "a refusal":
            return [dataclasses.replace(first, status=404), *others]
        return [dataclasses.replace(first, sha256="0" * 64), *others]

    monkeypatch.setattr(demo, "fetch_with_fibers", altered)
    result = CliRunner().invoke(demo.demo, [str(small_tree), "--fibers", "2"])
    assert result.exit_code == 1, result.output
    assert "every byte is as it is on disk" not in result.output
