"""An op at steady state asks malloc for nothing: counted by a library that is preloaded.

sys.getallocatedblocks() sees what is kept; this sees what is taken and given back, too, and what C
takes behind Python's back.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess

import pytest

from support import programs
from support.tidy_sources import ROOT

COUNTED = """
    import ctypes, os, socket, sys
    import ringmill
    from ringmill import aio

    count = ctypes.CDLL(None).bench_mallocs
    count.restype = ctypes.c_ulonglong
    reader, writer = os.pipe()
    left, right = socket.socketpair()
    buffer = bytearray(8)
    fd = os.open(sys.executable, os.O_RDONLY)
    ROUNDS = 200  # all of them numbers that Python keeps

    def talk():
        ringmill.write(writer, b"12345678")
        ringmill.readinto(reader, buffer)

    def say():
        ringmill.send(left, b"12345678")
        ringmill.recv_into(right, buffer)

    async def atalk():
        for _ in range(ROUNDS):
            await aio.write(writer, b"12345678")
            await aio.readinto(reader, buffer)

    async def asay():
        for _ in range(ROUNDS):
            await aio.send(left, b"12345678")
            await aio.recv_into(right, buffer)

    async def anop():
        for _ in range(ROUNDS):
            await aio.nop()

    async def ayield():
        for _ in range(ROUNDS):
            await aio.yield_now()

    told = {}

    def of(name, call):
        for warm in (True, False):
            before = count()
            for _ in range(ROUNDS):
                call()
            told[name] = count() - before

    def main():
        of("nop", ringmill.nop)
        of("yield_now", ringmill.yield_now)
        of("write, readinto", talk)
        of("send, recv_into", say)
        of("readinto at", lambda: ringmill.readinto(fd, buffer, offset=0))

    async def amain():
        for go in (anop, ayield, atalk, asay):
            for warm in (True, False):
                before = count()
                await go()
                told[go.__name__] = count() - before

    ringmill.run(main)
    ringmill.run(amain())
    print(told)
    left.close(), right.close()
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """bench/c/count_malloc.c, compiled."""
    if "RINGMILL_SANITIZED" in os.environ:
        pytest.skip("this is the sanitizer's malloc")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on PATH")
    library = tmp_path_factory.mktemp("counter") / "count_malloc.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library,
                    ROOT / "bench" / "c" / "count_malloc.c"], check=True)
    return library


@pytest.mark.req("T5", "T31")
def test_no_malloc_at_steady_state(kernel, counter):
    """PYTHONMALLOC=malloc: every object of Python's is one call."""
    out = programs.clean(COUNTED, kernel=kernel, LD_PRELOAD=str(counter), PYTHONMALLOC="malloc")
    told = ast.literal_eval(out)
    assert len(told) == 9
    # A few in two hundred rounds are the measuring itself: a coroutine, an int, a frame.
    assert {name: n for name, n in told.items() if n > 10} == {}
