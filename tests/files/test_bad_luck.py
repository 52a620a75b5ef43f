"""Full disks, limits, wrong names, cancels and files that are dropped: nothing lost, nothing left.

The errors say which file they are about.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import warnings

import pytest

import ringmill
from files.both import opened
from support.limits import limited

pytestmark = pytest.mark.usefixtures("machine")


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_full_disk(face, mode):
    file = opened(face, "/dev/full", mode)
    fd = (file.file if face == "aio" else file._file)._d.fd
    file.write(b"data" if "b" in mode else "data")
    for _ in range(2):  # what could not be written stays
        with pytest.raises(OSError, match="/dev/full") as caught:
            file.flush()
        assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="/dev/full"):
        file.close()
    assert file.closed
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_a_full_disk_at_the_end_of_the_block(face):
    with pytest.raises(OSError, match="/dev/full"):
        with opened(face, "/dev/full", "w") as file:
            file.write("data")
    assert file.closed


def test_a_file_that_may_not_grow(face, tmp_path):
    path = tmp_path / "file"
    big = bytes(range(256)) * 1024
    file = opened(face, path, "wb")
    file.write(b"begin ")
    with limited(resource.RLIMIT_FSIZE, 100_000):
        with pytest.raises(OSError, match="file") as caught:
            file.write(big)
        assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
        assert file.tell() == 6  # all of it is to be written again
    file.write(big)
    file.close()
    assert path.read_bytes() == b"begin " + big


def test_buffered_data_waits_for_a_better_time(face, tmp_path):
    path = tmp_path / "file"
    file = opened(face, path, "w", encoding="utf-8")
    file.write("0123456789")
    with limited(resource.RLIMIT_FSIZE, 4):
        with pytest.raises(OSError, match="File too large"):
            file.flush()
        assert file.tell() == 10
    file.write("!")
    file.close()
    assert path.read_text() == "0123456789!"


def test_a_position_that_is_shared_follows_what_was_written(face, tmp_path):
    path = tmp_path / "file"
    big = os.urandom(300_000)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    file = opened(face, fd, "wb", 1 << 20)
    file.write(big)
    with limited(resource.RLIMIT_FSIZE, 100_000), pytest.raises(OSError, match="large"):
        file.flush()
    file.close()
    assert path.read_bytes() == big


def test_no_descriptors_left(face, tmp_path):
    path = tmp_path / "file"
    path.touch()
    with limited(resource.RLIMIT_NOFILE, 4), pytest.raises(OSError, match="file") as caught:
        opened(face, path)
    assert (caught.value.errno, caught.value.filename) == (errno.EMFILE, str(path))


def test_what_cannot_be_opened(face, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        opened(face, tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError) as caught:
        opened(face, tmp_path)
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(FileExistsError):
        opened(face, tmp_path / "twice", "x").close()
        opened(face, tmp_path / "twice", "x")
    with pytest.raises(OSError, match="Bad file"):
        opened(face, 987654)


def test_what_may_not_be_opened(face, tmp_path):
    path = tmp_path / "secret"
    path.touch(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as caught:
            opened(face, path)
    finally:
        if root:
            os.seteuid(0)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("kind", [os.fsencode, os.fsdecode])
def test_names_that_are_not_utf8(face, tmp_path, kind):
    path = kind(os.fsencode(tmp_path) + b"/\xff\xfe name")
    with opened(face, path, "wb") as file:
        file.write(b"data")
        assert file.name == path
    with opened(face, path, "rb") as file:
        assert file.read() == b"data"
    os.unlink(path)
    with pytest.raises(FileNotFoundError) as caught:
        opened(face, path)
    assert caught.value.filename == path


def test_a_file_that_shrinks_while_it_is_read(face, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    with opened(face, path, "rb") as file:
        assert len(file.read(100_000)) == 100_000
        os.truncate(path, 150_000)
        assert len(file.read()) == 50_000
        os.truncate(path, 10)
        assert file.read() == b""


def test_wrong_bytes_are_not_swallowed(face, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good\n" * 3000 + b"\xff\n")
    with opened(face, path, encoding="utf-8") as file:
        with pytest.raises(UnicodeDecodeError):
            file.read()
        assert [file.readline() for _ in range(1000)] == ["good\n"] * 1000
        with pytest.raises(UnicodeDecodeError):
            file.readlines()
        with pytest.raises(UnicodeDecodeError):
            file.readline()


# ── cancelled ──


def cancelled_after(seconds, call, *arguments):
    try:
        with ringmill.timeout(seconds):
            call(*arguments)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(("mode", "call", "arguments", "whole"), [
    ("rb", "read", (10,), b"abcdefghij"), ("rb", "readline", (), b"abcdefghij\n"),
    ("rb", "read", (), b"abcdefghij\n"), ("r", "read", (), "abcdefghij\n"),
    ("r", "read", (10,), "abcdefghij"), ("r", "readline", (), "abcdefghij\n"),
])
def test_a_cancelled_read_loses_nothing(face, pipe, mode, call, arguments, whole):
    reader, writer = pipe
    file = opened(face, reader, mode, closefd=False)
    for part in (b"abc", b"d", b"efg"):
        os.write(writer, part)
        assert cancelled_after(0.005, getattr(file, call), *arguments)
    os.write(writer, b"hij\n")
    copy = os.dup(writer)
    os.close(writer)
    os.close(copy)
    try:
        assert getattr(file, call)(*arguments) == whole
    finally:
        # The fixture closes both.
        other, again = os.pipe()
        os.close(other)
        if again != writer:
            os.dup2(again, writer)
            os.close(again)
        file.close()


def test_a_cancelled_character_is_put_together(face, pipe):
    reader, writer = pipe
    file = opened(face, reader, "r", encoding="utf-8", closefd=False)
    for byte in "日".encode()[:2]:
        os.write(writer, bytes([byte]))
        assert cancelled_after(0.005, file.read, 1)
    os.write(writer, "日".encode()[2:])
    assert file.read(1) == "日"
    file.close()


def test_a_cancelled_readinto_gives_back(face, pipe):
    reader, writer = pipe
    file = opened(face, reader, "rb", closefd=False)
    os.write(writer, b"abc")
    room = bytearray(6)
    assert cancelled_after(0.005, file.readinto, room)
    os.write(writer, b"def")
    assert file.readinto(room) == 6
    assert room == b"abcdef"
    file.close()


def test_a_cancelled_flush_goes_on_later(face, pipe):
    reader, writer = pipe
    data = os.urandom(250_000)
    file = opened(face, writer, "wb", buffering=300_000, closefd=False)
    file.write(data)
    assert cancelled_after(0.005, file.flush)
    rest = ringmill.spawn(file.close)
    got = b""
    while len(got) < len(data):
        got += ringmill.read(reader, 1 << 16)
    rest.join()
    assert got == data


def test_cancelled_opens_leave_nothing_open(face, tmp_path):
    path = tmp_path / "file"
    path.touch()

    for _ in range(20):
        strand = ringmill.spawn(
            (lambda: ringmill.open_file(path).close()) if face == "fiber" else _open_close(path))
        ringmill.yield_now()
        strand.cancel()
        with contextlib.suppress(ringmill.Cancelled):
            strand.join()


async def _open_close(path):
    await (await ringmill.aio.open_file(path)).close()


# ── many at once ──


def test_calls_take_turns(face, tmp_path):
    path = tmp_path / "log"
    file = opened(face, path, "w", 16, encoding="utf-8")

    def write(number):
        for _ in range(20):
            file.write(f"{number:03}" * 20 + "\n")
            file.flush()

    with ringmill.scope() as scope:
        for number in range(20):
            scope.spawn(write, number)
    file.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 400
    assert all(line == line[:3] * 20 for line in lines)


def test_whoever_is_cancelled_in_line_leaves_it(face, pipe):
    reader, writer = pipe
    file = opened(face, reader, "rb", closefd=False)
    got = []
    strands = [ringmill.spawn(lambda: got.append(file.read(2))) for _ in range(4)]
    ringmill.sleep(0.001)
    strands[1].cancel()
    strands[0].cancel()
    ringmill.sleep(0.001)
    os.write(writer, b"abcd")
    for strand in strands:
        with contextlib.suppress(ringmill.Cancelled):
            strand.join()
    assert got == [b"ab", b"cd"]
    file.close()


def test_the_turn_is_passed_on_by_one_who_was_given_it_and_cancelled(face, pipe):
    """Handed the turn and cancelled in the same turn of the machine."""
    reader, writer = pipe
    file = opened(face, reader, "rb", closefd=False)
    got = []
    first, second, third = (ringmill.spawn(lambda: got.append(file.read(2))) for _ in range(3))
    ringmill.sleep(0.001)
    first.cancel()
    ringmill.spawn(second.cancel)
    os.write(writer, b"abcdef")
    for strand in (first, second, third):
        with contextlib.suppress(ringmill.Cancelled):
            strand.join()
    assert b"".join(got) + file.read(6 - 2 * len(got)) == b"abcdef"
    file.close()


# ── dropped ──


@pytest.mark.parametrize(("mode", "data"), [("w", "text"), ("wb", b"data")])
def test_a_dropped_file_is_written_and_closed(face, tmp_path, mode, data):
    path = tmp_path / "file"

    def use():
        file = opened(face, path, mode)
        file.write(data)
        return (file.file if face == "aio" else file._file)._d.fd

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fd = use()
        gc.collect()
    assert ["unclosed file" in str(w.message) and str(path) in str(w.message)
            for w in caught] == [True]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert path.read_bytes() in (b"text", b"data")
