"""The op's two lives: explicit states, one outcome, and stale answers that reach nobody."""

from __future__ import annotations

import array
import gc
import mmap
import os
import random
import socket
import warnings

import pytest

import ringmill
from ringmill import Cancelled, aio
from support import lie, programs

KERNEL_STATES = ("new", "queued", "in flight", "done")
PROGRAM_STATES = ("new", "waited", "detached", "taken", "abandoned")


@pytest.mark.req("U20", "U21")
def test_the_states_of_a_life(machine, pipe):
    reader, writer = pipe
    op = aio.read(reader, 10)
    assert op.state == ("queued", "new")
    ringmill.nop()
    assert op.state == ("in flight", "new") and not op.done
    fiber = ringmill.spawn(ringmill.wait, op)
    ringmill.yield_now()
    assert op.state == ("in flight", "waited")
    os.write(writer, b"data")
    assert fiber.join() == b"data"
    assert op.state == ("done", "taken") and op.done
    assert "done, taken" in repr(op)


@pytest.mark.req("U20", "U21")
def test_the_states_of_other_lives(machine, pipe):
    reader, writer = pipe
    op = aio.read(reader, 10)
    op.detach()
    assert op.state == ("queued", "detached")
    op.cancel()
    ringmill.nop()
    assert op.state == ("done", "detached")
    sleeping = aio.sleep(3600)
    assert sleeping.state == ("in flight", "new")
    sleeping.cancel()
    assert sleeping.state[0] == "done"
    with pytest.raises(Cancelled):
        sleeping.result()
    assert sleeping.state == ("done", "taken")


@pytest.mark.req("U20")
def test_every_transition_is_forward(machine, pipe):
    """A random life: each state is the one before it or one further along, never back."""
    reader, writer = pipe
    rng = random.Random(1)
    for _ in range(300):
        op = rng.choice((lambda: aio.read(reader, 1), aio.nop, lambda: aio.write(writer, b"x"),
                         lambda: aio.sleep(rng.choice((0, 1e-5, 3600)))))()
        lives = [op.state]
        for _ in range(8):
            what = rng.randrange(6)
            if what == 0:
                ringmill.nop()
            elif what == 1:
                op.cancel()
            elif what == 2 and lives[-1][1] == "new":
                op.detach()
            elif what == 3 and op.done and lives[-1][1] != "taken":
                try:
                    op.result()
                except Cancelled:
                    pass
            else:
                ringmill.yield_now()
            lives.append(op.state)
        op.cancel()
        while not op.done:
            ringmill.nop()
        lives.append(op.state)
        if op.state[1] != "taken":
            op.detach()
        kernels = [KERNEL_STATES.index(kernel) for kernel, _ in lives]
        programs = [PROGRAM_STATES.index(program) for _, program in lives]
        assert kernels == sorted(kernels), lives
        assert programs == sorted(programs), lives
        del op
    gc.collect()
    while True:  # what was written and not read
        try:
            with ringmill.timeout(0.01):
                ringmill.read(reader, 4096)
        except TimeoutError:
            break


def test_the_result_is_taken_once(machine):
    op = aio.nop()
    with pytest.raises(ringmill.RingmillError, match="not done"):
        op.result()
    ringmill.wait(op)
    with pytest.raises(ringmill.RingmillError, match="taken already"):
        op.result()
    with pytest.raises(ringmill.RingmillError, match="taken already"):
        ringmill.wait(op)


def test_one_waiter_at_a_time(machine, pipe):
    reader, writer = pipe
    op = aio.read(reader, 10)
    fiber = ringmill.spawn(ringmill.wait, op)
    ringmill.yield_now()
    with pytest.raises(RuntimeError, match="already waiting"):
        ringmill.wait(op)
    os.write(writer, b"x")
    assert fiber.join() == b"x"


def test_ops_are_made_by_functions(machine):
    with pytest.raises(TypeError):
        ringmill.Op()
    assert ringmill.Op[bytes] is not None


@pytest.mark.req("T12")
def test_an_op_nobody_waits_for_warns_and_is_undone(machine):
    before = set(os.listdir("/proc/self/fd"))
    op = aio.open("/dev/null", os.O_RDONLY)
    ringmill.nop()
    while not op.done:
        ringmill.nop()
    with pytest.warns(ResourceWarning, match="op was dropped"):
        del op
        gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.req("T12")
def test_an_op_dropped_in_flight_lives_until_its_last_completion(machine, pipe):
    """The kernel's reference: its buffer is not freed under the write that comes later."""
    reader, writer = pipe
    for _ in range(50):
        aio.readinto(reader, bytearray(64)).detach()
    ringmill.nop()
    gc.collect()
    assert machine.stats()["ops_live"] == 50
    assert machine.stats()["views_held"] == 50
    os.write(writer, b"x" * 64 * 50)
    while machine.stats()["ops_live"]:
        ringmill.nop()
    assert machine.stats()["views_held"] == 0


@pytest.mark.parametrize("name", ["recv", "sleep", "yield_now"])
def test_a_forgotten_await_is_told(machine, name):
    """Also of what nothing ever comes to: then the end of the machine tells."""
    left, right = socket.socketpair()
    arguments = {"recv": (left, 1), "sleep": (0.001,)}.get(name, ())

    async def main():
        getattr(aio, name)(*arguments)
        await aio.sleep(0.01)

    with pytest.warns(ResourceWarning, match="op was dropped") as told:
        machine.run(main())
        machine.close()
        gc.collect()
    assert len(told) == 1
    left.close()
    right.close()


def test_detached_ops_say_nothing(machine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op = aio.nop()
        op.detach()
        del op
        op = aio.read(1 << 19, 10)  # its error is ignored
        op.detach()
        del op
        ringmill.nop()
        ringmill.nop()
        gc.collect()


@pytest.mark.req("U20", "U21")
def test_a_stale_answer_reaches_no_other_op(machine, pipe):
    """Pitfalls 3 and 4: slots are used again at once; the answer to a late cancel, or a late
    completion, finds another generation there. Counted in stats()["stale"], delivered to nobody.
    """
    reader, writer = pipe
    rng = random.Random(2)
    cancelled = 0
    for _ in range(3000):
        op = aio.nop() if rng.random() < 0.7 else aio.read(reader, 1)
        ringmill.yield_now()
        if rng.random() < 0.5:
            ringmill.nop()
        op.cancel()  # may race with its completion
        other = aio.write(writer, b"y")  # takes the slot that comes free
        try:
            assert ringmill.wait(op) in (None, b"y")
        except Cancelled:
            cancelled += 1
        assert ringmill.wait(other) == 1
    assert cancelled > 0
    assert machine.stats()["ops_live"] == 0
    with ringmill.timeout(3600):
        os.set_blocking(reader, False)
        while True:
            try:
                os.read(reader, 65536)
            except BlockingIOError:
                break
        os.set_blocking(reader, True)


@pytest.mark.req("U20", "U21")
def test_completions_that_lie_reach_nobody(machine, kernel, pipe):
    """Pitfall 4: completions of ops that are gone, of slots that never were, of other generations.

    Given to the machine's ring from outside; each is counted as stale, and the op that has the
    slot now waits on, undisturbed.
    """
    if kernel == "soft":
        pytest.skip("nobody but its own process can give the soft kernel a completion")
    (ring,) = lie.ring_fds()
    liar = lie.Liar(ring)
    reader, writer = pipe
    for _ in range(5):
        for op in [aio.nop() for _ in range(8)]:
            ringmill.wait(op)  # the first eight slots are in their sixth generation
    ops = [aio.readinto(reader, bytearray(4)) for _ in range(5)]
    ringmill.nop()
    lies = [generation << 32 | slot
            for generation in (1, 2, 5, 0xFFFFFFFF) for slot in range(8)]
    # A slot that is free, though its generation is right; and slots that are not there.
    lies += [1 << 32 | 255, 7 << 32 | 0xFFFFFFFF, 9 << 32 | 256, 5 << 32 | (1 << 20)]
    for user_data in lies:
        liar.tell(user_data, 4)
        ringmill.nop()
    liar.close()
    assert machine.stats()["stale"] == len(lies)
    assert not any(op.done for op in ops)
    os.write(writer, b"data" * 5)
    for op in ops:
        assert ringmill.wait(op) == 4


def test_a_cancel_strikes_only_its_own_op(machine, pipe):
    """Two hundred reads on one pipe, every other one cancelled; the rest get all the data."""
    reader, writer = pipe
    ops = [aio.read(reader, 1) for _ in range(200)]
    ringmill.nop()
    for op in ops[::2]:
        op.cancel()
    outcomes = []
    for op in ops[::2]:
        with pytest.raises(Cancelled):
            ringmill.wait(op)
    os.write(writer, bytes(range(100)))
    outcomes = [ringmill.wait(op) for op in ops[1::2]]
    assert sorted(outcomes) == [bytes([n]) for n in range(100)]


BUFFERS = {
    "bytearray": lambda: bytearray(16),
    "memoryview": lambda: memoryview(bytearray(16)),
    "slice": lambda: memoryview(bytearray(64))[8:24],
    "array": lambda: array.array("I", [0] * 4),
    "mmap": lambda: mmap.mmap(-1, 16),
    "ctypes": lambda: __import__("ctypes").create_string_buffer(16),
}


@pytest.mark.req("T2")
@pytest.mark.parametrize("kind", BUFFERS)
def test_any_buffer(machine, face, pipe, kind):
    reader, writer = pipe
    buffer = BUFFERS[kind]()
    data = os.urandom(16)

    async def main():
        assert await aio.write(writer, data) == 16
        assert await aio.readinto(reader, buffer) == 16
        assert bytes(memoryview(buffer).cast("B")) == data
        assert await aio.write(writer, buffer) == 16
        return await aio.read(reader, 100)

    assert machine.run(main() if face == "aio" else lambda: ringmill.drive(main())) == data
    if kind == "mmap":
        buffer.close()


@pytest.mark.req("T2")
def test_a_buffer_is_held_until_the_last_completion(machine, pipe):
    """It can neither be resized nor freed meanwhile; afterwards it can."""
    reader, writer = pipe
    buffer = bytearray(16)
    op = aio.readinto(reader, buffer)
    ringmill.nop()
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    op.cancel()
    with pytest.raises(BufferError):
        buffer.extend(b"more")  # asked, not done
    with pytest.raises(Cancelled):
        ringmill.wait(op)
    buffer.extend(b"more")
    op = aio.readv(reader, [buffer, memoryview(buffer)[:0]])
    ringmill.nop()
    with pytest.raises(BufferError):
        buffer.clear()
    os.write(writer, b"x")
    assert ringmill.wait(op) == 1
    buffer.clear()


@pytest.mark.req("T2")
def test_never_more_than_the_buffer_holds(machine, pipe):
    """Pitfall 9: the length is the view's; what lies behind it is not written."""
    reader, writer = pipe
    memory = bytearray(b"." * 48)
    os.write(writer, b"x" * 100)
    assert ringmill.readinto(reader, memoryview(memory)[16:32]) == 16
    assert memory == b"." * 16 + b"x" * 16 + b"." * 16
    assert ringmill.readv(reader, [memoryview(memory)[:4], memoryview(memory)[44:]]) == 8
    assert memory == b"x" * 4 + b"." * 12 + b"x" * 16 + b"." * 12 + b"x" * 4
    assert ringmill.readinto(reader, bytearray()) == 0
    assert len(ringmill.read(reader, 1000)) == 76


@pytest.mark.req("T2")
def test_wrong_buffers_hold_nothing(machine, pipe):
    reader, _ = pipe
    for wrong, error in ((b"read-only", BufferError), ("text", TypeError), (None, TypeError),
                         (memoryview(bytearray(16))[::2], BufferError)):
        with pytest.raises((error, TypeError)):
            aio.readinto(reader, wrong)
    buffer = bytearray(4)
    with pytest.raises((TypeError, BufferError)):
        aio.readv(reader, [buffer, b"read-only"])
    buffer.extend(b"not held")
    assert machine.stats()["ops_live"] == 0
    assert machine.stats()["views_held"] == 0


@pytest.mark.req("T2")
def test_offsets_have_64_bits(machine, tmp_path):
    """Pitfall 9."""
    far = (1 << 40) + 3
    fd = os.open(tmp_path / "sparse", os.O_RDWR | os.O_CREAT)
    try:
        assert ringmill.write(fd, b"far", offset=far) == 3
        assert ringmill.read(fd, 10, offset=far) == b"far"
        assert ringmill.read(fd, 3, offset=far - 3) == b"\0\0\0"
        assert os.fstat(fd).st_size == far + 3
        for wrong in (-1, -2, 1 << 63, 1 << 64):
            with pytest.raises((ValueError, OverflowError, OSError)):
                ringmill.read(fd, 1, offset=wrong)
    finally:
        os.close(fd)


@pytest.mark.req("T2")
def test_no_copy_of_the_payload(machine, pipe):
    """tracemalloc sees no memory of the size of the data, sent or received into a buffer."""
    import tracemalloc

    left, right = socket.socketpair()
    data, buffer = bytearray(100_000), bytearray(100_000)
    with memoryview(data) as view:
        ringmill.send(left, view[:10])
        ringmill.recv_into(right, buffer)
        tracemalloc.start()
        try:
            ringmill.nop()
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(20):
                sent = ringmill.send(left, view)
                got = 0
                while got < sent:
                    got += ringmill.recv_into(right, buffer)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak - before < 20_000
    left.close()
    right.close()


@pytest.mark.req("T2")
@pytest.mark.parametrize("rounds", [2000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_cancelled_reads_and_the_garbage_collector(machine, pipe, rounds):
    """Buffers whose last other reference goes while the kernel may write to them."""
    reader, writer = pipe
    rng = random.Random(9)
    written = 0
    for n in range(rounds):
        op = aio.readinto(reader, bytearray(rng.randrange(1, 5000)))
        if rng.random() < 0.5:
            ringmill.nop()
        if rng.random() < 0.3:
            written += os.write(writer, b"z" * 10)
        op.cancel()
        op.detach()
        del op
        if n % 100 == 0:
            gc.collect()
    while machine.stats()["ops_live"]:
        ringmill.nop()
    assert machine.stats()["views_held"] == 0


@pytest.mark.req("T2")
@pytest.mark.parametrize("rounds", [2000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_freed_memory_is_never_written(kernel, rounds):
    """Cancel, forget and collect, with freed memory overwritten (MALLOC_PERTURB_) and taken anew.

    Were a buffer let go of before its op's last completion, the kernel would write into what has
    its place now: one of the canaries, or malloc's own lists.
    """
    if "RINGMILL_SANITIZED" in os.environ:
        pytest.skip("this is the sanitizer's malloc, which sees it by itself")
    out = programs.clean("""
        import gc, os, random, sys
        import ringmill
        from ringmill import aio

        rng = random.Random(11)
        reader, writer = os.pipe()
        size, canaries = 600, []
        for n in range(int(sys.argv[1])):
            ops = [aio.readinto(reader, bytearray(size)) for _ in range(3)]
            ops.append(aio.readv(reader, [bytearray(size // 2), bytearray(size // 2)]))
            if rng.random() < 0.7:
                ringmill.nop()
            for op in ops:
                op.cancel()
                op.detach()
            del op, ops
            if n % 10 == 0:
                gc.collect()
            canaries += [bytearray(b"C" * size) for _ in range(3)]
            if rng.random() < 0.3:
                os.write(writer, b"W" * rng.randrange(1, size))
            if rng.random() < 0.5:
                ringmill.sleep(0)
            if len(canaries) > 300:
                assert all(canary == b"C" * size for canary in canaries)
                del canaries[::2]
            if n % 50 == 0:
                os.set_blocking(reader, False)
                try:
                    os.read(reader, 1 << 16)
                except BlockingIOError:
                    pass
                os.set_blocking(reader, True)
        while ringmill.machine().stats()["ops_live"]:
            ringmill.sleep(0)
        assert all(canary == b"C" * size for canary in canaries)
        print(ringmill.machine().stats()["views_held"])
    """, rounds, kernel=kernel, MALLOC_PERTURB_="165", PYTHONMALLOC="malloc")
    assert out == "0\n"


def test_op_size():
    """So that we notice when an op grows: it is what a hundred thousand waiting connections pay."""
    assert ringmill.Op.__basicsize__ <= 256
