"""Temporary files and folders: nothing is left, whatever happens."""

from __future__ import annotations

import contextlib
import os

import pytest

import ringmill
from files.both import Awaited

pytestmark = pytest.mark.usefixtures("machine")


def temporary_file(face, *arguments, **keywords):
    if face == "fiber":
        return ringmill.temporary_file(*arguments, **keywords)

    async def main():
        return await ringmill.aio.temporary_file(*arguments, **keywords)

    return Awaited(ringmill.run(main()))


@pytest.mark.parametrize(("mode", "data"), [("w+b", b"data"), ("w+", "täxt\n")])
def test_a_file_without_a_name(face, tmp_path, mode, data):
    keywords = {} if "b" in mode else {"encoding": "utf-8"}
    with temporary_file(face, mode, dir=tmp_path, **keywords) as file:
        file.write(data)
        file.seek(0)
        assert file.read() == data
        assert os.listdir(tmp_path) == []
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600


def test_where_every_file_has_a_name(face, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_WRONLY)  # EISDIR, as in old kernels
    with temporary_file(face, dir=tmp_path) as file:
        file.write(b"data")
        assert os.listdir(tmp_path) == []


def test_wrong_arguments(face, tmp_path):
    with pytest.raises(ValueError, match="temporary"):
        temporary_file(face, "rb")
    with pytest.raises(FileNotFoundError, match="missing"):
        temporary_file(face, dir=tmp_path / "missing")


def in_folder(face, what, **keywords):
    if face == "fiber":
        def main():
            with ringmill.temporary_directory(**keywords) as folder:
                what(folder)
                ringmill.sleep(0)
            return folder

        return main

    async def amain():
        async with ringmill.aio.temporary_directory(**keywords) as folder:
            what(folder)
            await ringmill.aio.sleep(0)
        return folder

    return amain


def test_a_folder(face, tmp_path):
    def fill(folder):
        assert os.path.basename(folder).startswith("pre") and folder.endswith("suf")
        assert os.stat(folder).st_mode & 0o777 == 0o700
        os.makedirs(os.path.join(folder, "a", "b"))
        with open(os.path.join(os.fsencode(folder), b"a", b"\xff"), "w"):
            pass

    folder = ringmill.run(in_folder(face, fill, dir=tmp_path, prefix="pre", suffix="suf"))
    assert not os.path.exists(folder)
    assert os.listdir(tmp_path) == []


def test_a_folder_after_an_error(face, tmp_path):
    def fail(folder):
        raise KeyError(folder)

    with pytest.raises(KeyError):
        ringmill.run(in_folder(face, fail, dir=tmp_path))
    assert os.listdir(tmp_path) == []


def test_cancelled_anywhere(face, tmp_path):
    for turns in range(12):
        strand = ringmill.spawn(in_folder(face, lambda folder: None, dir=tmp_path))
        for _ in range(turns):
            ringmill.sleep(0)
        strand.cancel()
        with contextlib.suppress(ringmill.Cancelled):
            strand.join()
    for _ in range(1000):  # a removal that was let go of ends in its thread
        if not os.listdir(tmp_path):
            break
        ringmill.sleep(0.01)
    assert os.listdir(tmp_path) == []
