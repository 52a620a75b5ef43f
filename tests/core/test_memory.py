"""What the machine does about the process's memory."""

from __future__ import annotations

import os
import platform

import pytest

import ringmill
from support import programs


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's malloc that shrinks")
@pytest.mark.skipif("RINGMILL_SANITIZED" in os.environ, reason="this is the sanitizer's malloc")
def test_the_heap_is_kept(kernel):
    """A turn's messages are let go of at once, and the next turn's need the same memory."""
    out = programs.clean("""
        import resource
        import ringmill

        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        def turns(count):
            before = faults()
            for _ in range(count):
                messages = [bytes(65536) for _ in range(40)]
                del messages
            return (faults() - before) / count

        ringmill.nop()
        turns(2)
        print(turns(50))
    """, kernel=kernel)
    assert float(out) < 50  # of 640 pages


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 50_000, 65_535, 65_536])
def test_short_results_are_cut(machine, size, tmp_path):
    """Copied out or cut in place: the same bytes, and nothing of the room behind them."""
    path = tmp_path / "data"
    data = os.urandom(size)
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(3):
            op = ringmill.aio.read(fd, 65_536, offset=0)
            got = ringmill.wait(op)
            assert type(got) is bytes
            assert got == data
            assert got + b"x" == data + b"x"  # its end is where it says
    finally:
        os.close(fd)
