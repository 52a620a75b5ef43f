"""Advice on files and memory, and ranges written to disk: that it reaches the kernel."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from support import faces

pytestmark = pytest.mark.usefixtures("machine")

PAGE = mmap.PAGESIZE
FAR = (1 << 32) + 12345
MAP_NORESERVE = 0x4000  # mmap has no name for it before Python 3.13


def failing(face: str, name: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        faces.call(face, name, *args, **kw)
    return caught.value


def pages_cached(fd: int, size: int) -> int:
    """How many pages of the file are in memory: mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(fd, size) as memory:
        first = (ctypes.c_char * size).from_buffer(memory)
        present = (ctypes.c_ubyte * (size // PAGE))()
        assert libc.mincore(first, ctypes.c_size_t(size), present) == 0
        del first
    return sum(page & 1 for page in present)


# ── files ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U37")
@pytest.mark.parametrize("length", [None, 0, 64 * PAGE, (1 << 32) + PAGE, (1 << 62)])
def test_dontneed_empties_the_cache(lab: Lab, face: str, length: int | None) -> None:
    size = 64 * PAGE
    os.write(lab.scratch, b"x" * size)
    os.fsync(lab.scratch)
    assert pages_cached(lab.scratch, size) == 64
    faces.call(face, "fadvise", lab.scratch, 0, length, os.POSIX_FADV_DONTNEED)
    if pages_cached(lab.scratch, size) == 64:  # a file system in memory
        pytest.skip("this file system keeps its files in memory")
    assert pages_cached(lab.scratch, size) == 0


@pytest.mark.req("U37")
def test_dontneed_of_a_part(lab: Lab, face: str) -> None:
    size = 64 * PAGE
    for _ in range(64):  # in one go it might be a single folio, which goes or stays as a whole
        os.write(lab.scratch, b"x" * PAGE)
    os.fsync(lab.scratch)
    faces.call(face, "fadvise", lab.scratch, 16 * PAGE, 16 * PAGE, os.POSIX_FADV_DONTNEED)
    cached = pages_cached(lab.scratch, size)
    if cached == 64:
        pytest.skip("this file system keeps its files in memory")
    assert cached == 48


@pytest.mark.req("U37")
def test_advice_that_is_refused(lab: Lab, face: str) -> None:
    for length in (None, 5, FAR):
        assert failing(face, "fadvise", lab.hello, 0, length, 99).errno == errno.EINVAL
        error = failing(face, "fadvise", lab.pipe_out, 0, length, os.POSIX_FADV_NORMAL)
        assert error.errno == errno.ESPIPE
    for bad in ((-1, 5), (0, -1)):
        with pytest.raises(ValueError, match="0 or more"):
            faces.call(face, "fadvise", lab.hello, *bad, os.POSIX_FADV_NORMAL)
    with pytest.raises(OverflowError):
        faces.call(face, "fadvise", lab.hello, 0, 1 << 63, os.POSIX_FADV_NORMAL)


@pytest.mark.req("U27")
@pytest.mark.parametrize("how", [{}, {"wait_after": True}, {"wait_before": True},
                                 {"wait_before": True, "wait_after": True}, {"write": False}])
def test_sync_file_range(lab: Lab, face: str, how: dict[str, bool]) -> None:
    os.write(lab.scratch, b"x" * 100_000)
    for given in ((), (4096,), (0, 50_000), (0, FAR), (FAR, FAR), (0, None)):
        assert faces.call(face, "sync_file_range", lab.scratch, *given, **how) is None
    for given in ((), (0, FAR)):
        error = failing(face, "sync_file_range", lab.pipe_in, *given, **how)
        assert error.errno == errno.ESPIPE


@pytest.mark.req("U27")
def test_what_was_synced_is_not_dirty(lab: Lab, face: str) -> None:
    """What was waited for is on disk: no page of it is left for the kernel to write."""
    fd = lab.opened(lab.folder / "dirty", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 64 * PAGE)
    faces.call(face, "sync_file_range", fd, wait_before=True, wait_after=True)
    # A page that is dirty or being written would survive this.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if (cached := pages_cached(fd, 64 * PAGE)) == 64:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert pages_cached(fd, 64 * PAGE) == 64, "it was not written"
        pytest.skip("this file system keeps its files in memory")
    assert cached == 0


# ── memory ──────────────────────────────────────────────────────────────────────────────────


def resident(memory: mmap.mmap) -> int:
    """Bytes of this mapping that are in memory, as smaps tells."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    with open("/proc/self/smaps") as file:
        text = file.read()
    for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M):
        if (span := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", part)) is None:
            continue
        if int(span[1], 16) <= address < int(span[2], 16):
            found = re.search(r"^Rss:\s+(\d+) kB", part, re.M)
            assert found is not None
            return int(found[1]) * 1024
    raise AssertionError("it is not mapped")


def anonymous(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)


@pytest.mark.req("U38")
@pytest.mark.parametrize("form", ["mmap", "view"])
def test_dontneed_gives_memory_back(lab: Lab, face: str, form: str) -> None:
    size = 16 << 20
    with anonymous(size) as memory:
        memory[:] = b"x" * size
        before = resident(memory)
        with memoryview(memory) as view:
            given = memory if form == "mmap" else view
            assert faces.call(face, "madvise", given, mmap.MADV_DONTNEED) is None
        assert before - resident(memory) >= size - (2 << 20)
        assert not any(memory[:1000])


@pytest.mark.req("U38")
def test_of_a_part(lab: Lab, face: str) -> None:
    with memoryview(lab.mapped) as view, view[PAGE:] as second:
        faces.call(face, "madvise", second, mmap.MADV_DONTNEED)
    assert lab.mapped[:] == b"x" * PAGE + bytes(PAGE)


@pytest.mark.req("U38")
def test_more_than_four_gigabytes(face: str) -> None:
    """A length has 64 bits, whatever the kernel's opcode has room for."""
    size = (4 << 30) + 2 * PAGE
    try:
        memory = anonymous(size)
    except (OSError, MemoryError):
        pytest.skip("no room for 4 GiB of addresses")
    with memory:
        memory[size - PAGE:] = b"x" * PAGE
        memory[:PAGE] = b"x" * PAGE
        faces.call(face, "madvise", memory, mmap.MADV_DONTNEED)
        assert not any(memory[:PAGE])
        assert not any(memory[size - PAGE:])


@pytest.mark.req("U38")
def test_memory_that_is_refused(lab: Lab, face: str) -> None:
    assert failing(face, "madvise", lab.mapped, 999).errno == errno.EINVAL
    with memoryview(lab.mapped) as view, view[1:] as askew:
        assert failing(face, "madvise", askew, mmap.MADV_NORMAL).errno == errno.EINVAL
    for bad in (5, None, "text"):
        with pytest.raises(TypeError):
            faces.call(face, "madvise", bad, mmap.MADV_NORMAL)


@pytest.mark.req("U38")
def test_the_mapping_stays(lab: Lab) -> None:
    """It cannot be closed while the kernel is about it."""
    op = ringmill.aio.madvise(lab.mapped, mmap.MADV_DONTNEED)
    with pytest.raises(BufferError):
        lab.mapped.close()
    ringmill.wait(op)
    assert not any(lab.mapped[:])


@pytest.mark.req("U38")
def test_a_file_that_is_mapped_for_reading(lab: Lab, face: str) -> None:
    with mmap.mmap(lab.hello, 0, access=mmap.ACCESS_READ) as memory:
        faces.call(face, "madvise", memory, mmap.MADV_WILLNEED)
        assert memory[:5] == b"Hello"
