"""The futex ops: words that are waited for, and what no word may be."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

import ringmill
from ringmill import Cancelled
from support import faces

ALL = 0xFFFFFFFF


def address(word: Any) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(word))


def parked(machine: Any, *ops: Any) -> None:
    """Let the machine turn until the kernel has them all, and its workers sleep."""
    for _ in range(20):
        ringmill.sleep(0.001)
    assert all(op.state[0] == "in flight" for op in ops)


@pytest.mark.req("U1")
@pytest.mark.parametrize("off", [1, 2, 3])
def test_a_word_that_is_not_aligned_is_refused(machine: Any, face: str, off: int) -> None:
    """Pitfall 20: the kernel would answer EINVAL; the error names the address, and asks nobody."""
    memory = bytearray(16)
    start = address(memory) + off
    for verb, given in (("futex_wait", 0), ("futex_wake", 1)):
        with pytest.raises(ValueError, match=hex(start)):
            faces.start(face, verb, memoryview(memory)[off:off + 4], given)
    memory.append(0)  # it is not held
    stats = machine.stats()
    assert (stats["submitted"], stats["ops_live"], stats["views_held"]) == (0, 0, 0)


@pytest.mark.req("U1")
def test_what_is_no_word(machine: Any, face: str) -> None:
    for word, error in ((bytearray(3), ValueError), (bytearray(), ValueError),
                        (bytes(4), BufferError), (b"word", BufferError), (7, TypeError),
                        (None, TypeError), (memoryview(bytearray(8))[::2], BufferError)):
        for verb, given in (("futex_wait", 0), ("futex_wake", 1)):
            with pytest.raises(error):
                faces.start(face, verb, word, given)
    for value in (-1, 1 << 32):
        with pytest.raises(OverflowError):
            faces.start(face, "futex_wait", bytearray(4), value)
        with pytest.raises(OverflowError):
            faces.start(face, "futex_wake", bytearray(4), value)
    assert machine.stats()["submitted"] == 0


@pytest.mark.usefixtures("machine")
def test_the_value_is_compared_as_32_bits(face: str) -> None:
    for value in (0, 1, 0x7FFFFFFF, 0x80000000, ALL):
        word = bytearray(value.to_bytes(4, "little") + b"beyond")
        assert faces.call(face, "futex_wait", word, value ^ 1) is False
        with pytest.raises(TimeoutError), ringmill.timeout(0.005):
            ringmill.futex_wait(word, value)


@pytest.mark.req("U1")
def test_held_while_somebody_waits(machine: Any) -> None:
    """The word must not move under the kernel."""
    word = bytearray(4)
    op = ringmill.aio.futex_wait(word, 0)
    with pytest.raises(BufferError):
        word.extend(b"more")
    parked(machine, op)
    assert machine.stats()["views_held"] == 1
    assert ringmill.futex_wake(word, 1) == 1
    assert ringmill.wait(op) is True
    assert machine.stats()["views_held"] == 0
    word.extend(b"more")


def test_how_many_are_woken(machine: Any) -> None:
    word = bytearray(4)
    ops = [ringmill.aio.futex_wait(word, 0) for _ in range(7)]
    parked(machine, *ops)
    assert ringmill.futex_wake(word, 0) == 0  # futex(2) itself would wake one
    assert ringmill.futex_wake(word, 2) == 2
    for _ in range(20):
        ringmill.sleep(0.001)
    assert sum(op.done for op in ops) == 2
    assert ringmill.futex_wake(word, ALL) == 5  # more than an int holds: everybody
    assert all(ringmill.wait(op) is True for op in ops)
    assert ringmill.futex_wake(word, ALL) == 0


def test_masks(machine: Any) -> None:
    word = bytearray(4)
    ops = [ringmill.aio.futex_wait(word, 0, mask=1 << bit) for bit in (0, 1, 31)]
    parked(machine, *ops)
    assert ringmill.futex_wake(word, ALL, mask=4) == 0
    assert ringmill.futex_wake(word, ALL, mask=1 << 31) == 1
    assert ringmill.wait(ops[2]) is True
    assert not ops[0].done and not ops[1].done
    assert ringmill.futex_wake(word, ALL, mask=3) == 2
    assert ringmill.wait(ops[0]) is ringmill.wait(ops[1]) is True


def test_a_cancelled_waiter_takes_no_wake(machine: Any) -> None:
    word = bytearray(4)
    gone, stays = (ringmill.aio.futex_wait(word, 0) for _ in range(2))
    parked(machine, gone, stays)
    gone.cancel()
    with pytest.raises(Cancelled):
        ringmill.wait(gone)
    assert ringmill.futex_wake(word, 1) == 1
    assert ringmill.wait(stays) is True


def test_across_processes(script: Any, face: str) -> None:
    """Shared, not private: a word in a shared mapping is one word in both processes."""
    out = script("""
        import mmap, os, sys
        import ringmill
        from ringmill import aio

        async def wait(word):
            return await aio.futex_wait(word, 0)

        memory = mmap.mmap(-1, 4096)
        word = memoryview(memory)[64:68]
        pid = os.fork()
        if pid == 0:
            call = sys.argv[1] == "fiber"
            woken = ringmill.futex_wait(word, 0) if call else ringmill.run(wait(word))
            os._exit(7 if woken else 1)
        while ringmill.futex_wake(word, 1) == 0:
            ringmill.sleep(0.001)
        print(ringmill.waitid(os.P_PID, pid, os.WEXITED).si_status)
        word.release()
    """).clean(face)
    assert out == "7\n"
