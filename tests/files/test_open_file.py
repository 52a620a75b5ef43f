"""What is not io's to judge: kinds of files, descriptors that are shared, wrong arguments, and
libraries that are given one of ours."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import zipfile

import pytest

import ringmill
from files.both import opened

pytestmark = pytest.mark.usefixtures("machine")


def test_both_faces_at_their_best(tmp_path):
    path = tmp_path / "lines"
    with ringmill.open_file(path, "w") as file:
        file.writelines(["one\n", "two\n"])

    async def main():
        async with ringmill.aio.open_file(path) as file:
            first = [line async for line in file]
        file = await ringmill.aio.open_file(path)
        second = await file.readlines()
        await file.close()
        return first, second

    assert ringmill.run(main()) == (["one\n", "two\n"], ["one\n", "two\n"])
    with ringmill.open_file(path) as file:
        assert list(file) == ["one\n", "two\n"]


def test_who_it_is(face, tmp_path):
    path = tmp_path / "file"
    file = opened(face, path, "w+", encoding="utf-8")
    assert (file.name, file.mode, file.encoding, file.errors, file.closed) == (
        path.__fspath__(), "w+", "utf-8", "strict", False)
    assert (file.readable(), file.writable(), file.seekable(), file.isatty()) == (
        True, True, True, False)
    assert str(path) in repr(file.file if face == "aio" else file)
    file.close()
    file.close()
    assert file.closed
    for name in ("read", "tell", "flush", "fileno", "readable", "isatty"):
        with pytest.raises(ValueError, match="closed file"):
            getattr(file, name)()
    with pytest.raises(ValueError, match="closed file"):
        file.write("x")


def test_a_pipe_both_ways(face, pipe):
    reader, writer = pipe
    source = opened(face, reader, "r", encoding="utf-8", closefd=False)
    target = opened(face, writer, "w", encoding="utf-8", closefd=False, buffering=1)
    target.write("première\nhalf")
    assert source.readline() == "première\n"
    target.write(" and half\n")
    assert source.readline() == "half and half\n"
    with pytest.raises(io.UnsupportedOperation):
        source.seek(0)
    with pytest.raises(io.UnsupportedOperation):
        source.tell()
    with pytest.raises(io.UnsupportedOperation):
        opened(face, reader, "r+", closefd=False)
    target.close()
    source.close()
    os.fstat(reader)  # closefd=False: they are the test's


def test_a_pipe_that_somebody_made_non_blocking(face, pipe, machine):
    reader, writer = pipe
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    source = opened(face, reader, "rb", closefd=False)
    target = opened(face, writer, "wb", closefd=False)
    data = os.urandom(300_000)
    other = ringmill.spawn(lambda: (target.write(data), target.close()))
    assert source.read(len(data)) == data
    other.join()
    source.close()


def test_a_terminal_writes_its_lines(face):
    ours, theirs = pty.openpty()
    file = opened(face, theirs, "w", encoding="utf-8")
    assert file.isatty() and file.line_buffering
    file.write("to be read\n")
    assert os.read(ours, 100) == b"to be read\r\n"
    file.write("held")
    file.close()
    assert os.read(ours, 100) == b"held"
    os.close(ours)


def test_a_fifo_is_read_when_its_writer_comes(face, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(TimeoutError), ringmill.timeout(0.03):
        opened(face, path, "w")  # nobody reads it yet
    source = opened(face, path, "r", encoding="utf-8")

    def write():
        ringmill.sleep(0.01)
        with ringmill.open_file(path, "w", encoding="utf-8") as target:
            target.write("at last\n")

    other = ringmill.spawn(write)
    assert source.read() == "at last\n"
    other.join()
    source.close()


def test_proc_has_no_size(face):
    with opened(face, "/proc/self/status", encoding="utf-8") as file:
        text = file.read()
    assert text.startswith("Name:") and text.endswith("\n")


# ── descriptors that others see ──


def test_a_given_descriptor_goes_on_where_it_stands(face, tmp_path):
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"theirs ")
    file = opened(face, fd, "w", encoding="utf-8", closefd=False)
    file.write("ours ")
    file.flush()
    os.write(fd, b"theirs again ")
    file.write("ours again")
    file.close()
    assert os.pread(fd, 100, 0) == b"theirs ours theirs again ours again"
    os.close(fd)


def test_a_child_writes_behind_us_and_we_behind_it(face, tmp_path):
    file = opened(face, tmp_path / "log", "w", encoding="utf-8")
    file.write("before\n")
    file.flush()
    subprocess.run([sys.executable, "-c", "print('child')"], stdout=file.fileno(), check=True)
    file.write("after\n")
    file.close()
    assert (tmp_path / "log").read_text() == "before\nchild\nafter\n"


def test_fileno_stands_where_we_do(face, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    with opened(face, path, "rb") as file:
        assert file.read(2) == b"ab"
        assert os.read(file.fileno(), 2) == b"cd"
        assert file.read() == b"ef"


def test_dir_fd_opener_and_permissions(face, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    opened(face, "below", "w", dir_fd=folder, permissions=0o600).close()
    assert (tmp_path / "below").stat().st_mode & 0o777 == 0o600
    asked = []

    def opener(path, flags):
        asked.append((path, flags & os.O_EXCL))
        return os.open(path, flags, dir_fd=folder)

    with opened(face, "other", "xb", opener=opener) as file:
        file.write(b"data")
    assert asked == [("other", os.O_EXCL)]
    assert (tmp_path / "other").read_bytes() == b"data"
    os.close(folder)


# ── detaching, and what libraries do ──


def test_detach(face, tmp_path):
    path = tmp_path / "file"
    text = opened(face, path, "w", encoding="utf-8")
    text.write("é")
    text.flush()
    binary = text.detach()
    with pytest.raises(ValueError, match="detached"):
        text.write("x")
    if face == "fiber":
        binary.write(b"!")
        binary.flush()
        raw = binary.detach()
        with pytest.raises(ValueError, match="detached"):
            binary.write(b"x")
        assert raw.write(b"?") == 1
        raw.close()
        assert path.read_bytes() == "é!?".encode()
    else:
        ringmill.run(binary.close())


def test_libraries_take_it(tmp_path):
    path = tmp_path / "file"
    with ringmill.open_file(path, "w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, 2]])
    with ringmill.open_file(path, newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", "2"]]
    with ringmill.open_file(path, "w") as file:
        json.dump({"a": 1}, file)
        print("printed", file=file)
    with ringmill.open_file(path) as file:
        assert file.read() == '{"a": 1}printed\n'
    with ringmill.open_file(path, "w+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("name", "content")
        file.seek(0)
        assert zipfile.ZipFile(file).read("name") == b"content"
    with ringmill.open_file(path, "rb") as file, io.TextIOWrapper(file, "latin-1") as text:
        assert text.read(2) == "PK"


def test_newlines_are_told(face, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a\nb\r\nc\r")
    with opened(face, path, encoding="utf-8") as file:
        assert file.newlines is None
        assert file.read() == "a\nb\nc\n"
        assert file.newlines == ("\r", "\n", "\r\n")


# ── what makes no sense ──


@pytest.mark.parametrize(("arguments", "keywords", "error"), [
    (("rw",), {}, ValueError), (("",), {}, ValueError), (("rr",), {}, ValueError),
    (("rbt",), {}, ValueError), (("U",), {}, ValueError), ((3,), {}, TypeError),
    (("rb",), {"encoding": "utf-8"}, ValueError), (("rb",), {"newline": ""}, ValueError),
    (("rb",), {"errors": "strict"}, ValueError), (("r", 0), {}, ValueError),
    (("r",), {"newline": "x"}, ValueError), (("r",), {"newline": 3}, TypeError),
    (("r",), {"encoding": "no such"}, LookupError), (("r",), {"encoding": "hex"}, LookupError),
    (("r",), {"errors": "no such"}, LookupError), (("r",), {"closefd": False}, ValueError),
    (("r", "big"), {}, TypeError), (("rb", 1), {}, RuntimeWarning),
])
def test_wrong_arguments(face, tmp_path, arguments, keywords, error):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(error):
        opened(face, path, *arguments, **keywords)


def test_wrong_data(face, tmp_path):
    with opened(face, tmp_path / "text", "w", encoding="utf-8") as file, \
            pytest.raises(TypeError):
        file.write(b"bytes")
    with opened(face, tmp_path / "binary", "wb") as file:
        with pytest.raises(TypeError):
            file.write("text")
        with pytest.raises(TypeError):
            file.write(3)
        with pytest.raises(io.UnsupportedOperation):
            file.read()
    with opened(face, tmp_path / "binary", "rb") as file:
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            file.truncate()
        with pytest.raises(TypeError):
            file.readinto(b"cannot be filled")
        with pytest.raises(ValueError, match="non-negative"):
            file.read(-2)


def test_close_is_not_for_files(tmp_path):
    with ringmill.open_file(tmp_path / "file", "w") as file:
        with pytest.raises(TypeError, match="closes itself"):
            ringmill.close(file)
        file.write("whole")
    assert (tmp_path / "file").read_text() == "whole"
