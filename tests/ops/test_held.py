"""A buffer is held from the moment the op begins until its last completion, and let go then.

Held means exported: a bytearray cannot be resized, a memoryview not released. What cannot be held
(read-only, not contiguous, no buffer at all) is refused before anything is queued.
"""

from __future__ import annotations

import array
import gc
import mmap
import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.specimens import Scene, can_wait, specimen
from ops.trying import Attempt, started, submitted, until
from ringmill.errors import Cancelled
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES
from support import machines

KERNELS = machines.EVERY_KERNEL

INTO = (fields.Into, fields.IntoMany, fields.Word, fields.MessageInto, fields.PartsInto)
FROM = (fields.From, fields.FromMany, fields.Parts, fields.AttributeValue, fields.Memory,
        fields.OptionValue)
MANY = (fields.IntoMany, fields.FromMany, fields.Parts, fields.PartsInto)


def buffer_argument(name: str, kinds: tuple[Any, ...] = (*INTO, *FROM)) -> str | None:
    """The argument of this entry that is a buffer or several, as the table says."""
    return next((a.name for a in ENTRIES[name].arguments if a.kind in kinds), None)


HOLDING = [name for name in ENTRIES if buffer_argument(name)]
WAITING = [name for name in HOLDING if can_wait(ENTRIES[name])]
FILLING = [name for name in ENTRIES if buffer_argument(name, INTO)]


def buffers(name: str, scene: Scene) -> list[bytearray]:
    given = scene.arguments[buffer_argument(name)]
    return given if isinstance(given, list) else [given]


def is_held(buffer: bytearray | mmap.mmap) -> bool:
    if isinstance(buffer, mmap.mmap):
        try:
            buffer.resize(len(buffer))
        except BufferError:
            return True
        return False
    try:
        buffer.append(0)
    except BufferError:
        return True
    buffer.pop()
    return False


def test_every_buffer_of_the_table_is_seen_held() -> None:
    for name, entry in ENTRIES.items():
        for argument in entry.arguments:
            if "Buffer" in argument.kind.stub and argument.kind is not fields.Ancillary:
                assert name in HOLDING, f"{name}: add its kind to INTO or FROM in this file"


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", HOLDING)
def test_held_in_the_queue(lab: Lab, machine: Any, name: str) -> None:
    scene = specimen(name).works(lab)
    held = buffers(name, scene)
    assert not any(map(is_held, held))
    op = started(name, scene)
    assert all(map(is_held, held))
    assert machine.stats()["views_held"] == len(held)
    until(lambda: op.done, "the end")
    assert not any(map(is_held, held))
    assert machine.stats()["views_held"] == 0
    assert scene.seen(op.result()) == scene.expected


@pytest.mark.req("T2")
@pytest.mark.parametrize("end", ["completed", "cancelled", "cancelled before submit"])
@pytest.mark.parametrize("name", WAITING)
def test_held_until_the_end(lab: Lab, machine: Any, name: str, end: str) -> None:
    scene = specimen(name).blocks(lab)
    held = buffers(name, scene)
    assert not any(map(is_held, held))
    op = started(name, scene)
    assert all(map(is_held, held))
    assert machine.stats()["views_held"] == len(held)
    if end == "cancelled before submit":
        op.cancel()
    else:
        submitted(op)
        assert all(map(is_held, held))
        op.cancel() if end == "cancelled" else scene.unblock()
        assert all(map(is_held, held))  # a cancel is a request: the kernel may write until it ends
    until(lambda: op.done, "the end")
    assert not any(map(is_held, held))
    assert machine.stats()["views_held"] == 0
    if end == "completed":
        assert scene.seen(op.result()) == scene.expected
    else:
        with pytest.raises(Cancelled):
            op.result()


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", WAITING)
@pytest.mark.usefixtures("machine")
def test_held_while_a_strand_waits(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).blocks(lab)
    held = buffers(name, scene)
    attempt = Attempt(face, name, scene)
    attempt.waiting()
    assert all(map(is_held, held))
    with pytest.raises(BufferError):
        held[0].extend(b"more")
    attempt.strand.cancel()
    assert attempt.ended() == ("error", "Cancelled", "")
    assert not any(map(is_held, held))


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", WAITING)
def test_a_buffer_nobody_else_has_lives_until_the_end(lab: Lab, machine: Any, name: str) -> None:
    """The program forgets buffer and op; the kernel still writes into memory that is there."""
    scene = specimen(name).blocks(lab)
    op = started(name, scene)
    op.detach()
    submitted(op)
    argument = buffer_argument(name)
    count = len(buffers(name, scene))
    unblock = scene.unblock
    del op, scene.arguments[argument], scene.seen
    gc.collect()
    assert machine.stats()["views_held"] == count
    junk = [bytearray(10) for _ in range(1000)]  # takes the place of what was freed too early
    unblock()
    until(lambda: machine.stats()["ops_live"] == 0, "the end")
    assert machine.stats()["views_held"] == 0
    assert not any(map(any, junk))


READ_ONLY = {"bytes": bytes(6), "a view of bytes": memoryview(bytes(6))}
NEVER = {"a string": "abcdef", "a number": 6, "None": None}
STRIDED = {"every second byte": lambda: memoryview(bytearray(12))[::2]}


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", HOLDING)
def test_refused_before_anything_is_queued(lab: Lab, machine: Any, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    argument = buffer_argument(name)
    entry = ENTRIES[name]
    several = any(a.kind in MANY for a in entry.arguments if a.name == argument)
    bad: list[tuple[Any, tuple[type, ...]]] = [(b, (TypeError,)) for b in NEVER.values()]
    if "int" in next(a.kind.stub for a in entry.arguments if a.name == argument):
        bad = [(b, errors) for b, errors in bad if not isinstance(b, int)]
    bad += [(make(), (BufferError,)) for make in STRIDED.values()]
    if name in FILLING:
        bad += [(b, (BufferError, TypeError)) for b in READ_ONLY.values()]
    verb = getattr(ringmill if face == "fiber" else ringmill.aio, name)
    good = bytearray(6)
    for value, errors in bad:
        # Among several, after a good one: that one is let go again.
        for given in ([[good, value], [value, good], value] if several else [value]):
            if several and isinstance(given, memoryview):
                continue  # a sequence of numbers: refused as such, below
            scene.arguments[argument] = given
            positional, keywords = scene.passed(entry)
            with pytest.raises((*errors, TypeError)):
                verb(*positional, **keywords)
    assert not is_held(good)
    stats = machine.stats()
    assert (stats["submitted"], stats["ops_live"], stats["views_held"]) == (0, 0, 0)


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", FILLING)
@pytest.mark.usefixtures("machine")
def test_read_only_is_refused_with_buffer_error(lab: Lab, name: str) -> None:
    scene = specimen(name).works(lab)
    argument = buffer_argument(name)
    several = isinstance(scene.arguments[argument], list)
    for value in READ_ONLY.values():
        scene.arguments[argument] = [value] if several else value
        with pytest.raises(BufferError):
            started(name, scene)


def anonymous(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size)


# Six kinds of objects with the buffer protocol: what is asked for is what is filled.
KINDS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(len(HELLO)),
    "a slice of a view": lambda: memoryview(bytearray(100))[7:7 + len(HELLO)],
    "array": lambda: array.array("b", bytes(len(HELLO))),
    "mmap": lambda: anonymous(len(HELLO)),
    "a view of wider items": lambda: memoryview(array.array("H", bytes(len(HELLO)))),
    "a view with two dimensions": lambda: memoryview(bytearray(14)).cast("B", shape=[2, 7]),
}


@pytest.mark.req("T2")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("machine")
def test_any_buffer_is_target_and_source(lab: Lab, kind: str) -> None:
    buffer = KINDS[kind]()
    assert ringmill.readinto(lab.hello, buffer, offset=0) == len(HELLO)
    assert memoryview(buffer).tobytes()[:len(HELLO)] == HELLO
    assert ringmill.readv(lab.hello, [buffer], offset=0) == len(HELLO)
    assert ringmill.write(lab.scratch, buffer, offset=0) == len(HELLO)
    assert ringmill.writev(lab.scratch, [buffer, buffer], offset=len(HELLO)) == 2 * len(HELLO)
    assert os.pread(lab.scratch, 100, 0) == 3 * HELLO
    ours, theirs = lab.pair()
    assert ringmill.send(ours, buffer) == len(HELLO)
    assert ringmill.sendmsg(ours, [buffer]) == len(HELLO)
    assert theirs.recv(100) == 2 * HELLO
    theirs.send(HELLO)
    assert ringmill.recv_into(ours, buffer) == len(HELLO)
    assert memoryview(buffer).tobytes()[:len(HELLO)] == HELLO


@pytest.mark.req("T2")
@pytest.mark.usefixtures("machine")
def test_no_copy_is_made(lab: Lab) -> None:
    """A megabyte goes out and comes in, and Python allocates no megabyte for it."""
    size = 1 << 20
    out, back = bytearray(os.urandom(size)), bytearray(size)

    def both() -> None:
        written = ringmill.write(lab.scratch, out, offset=0)
        assert ringmill.readinto(lab.scratch, back, offset=0) == written == size

    both()
    tracemalloc.start()
    try:
        both()
        assert tracemalloc.get_traced_memory()[1] < size // 8
    finally:
        tracemalloc.stop()
    assert back == out


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", ["readinto", "recv_into"])
@pytest.mark.usefixtures("machine")
def test_never_more_than_the_buffer_has(lab: Lab, name: str) -> None:
    """The length of the view is what the kernel is told; what lies beyond stays as it was."""
    memory = bytearray(b"." * 64)
    ours, theirs = lab.pair(holding=b"x" * 64)
    ends = {"readinto": ours.fileno(), "recv_into": ours}
    view = memoryview(memory)[16:32]
    assert getattr(ringmill, name)(ends[name], view) == 16
    assert memory == b"." * 16 + b"x" * 16 + b"." * 32


@pytest.mark.req("T2")
def test_cancel_and_collect_again_and_again(lab: Lab, machine: Any) -> None:
    source, target = lab.pipe()
    for i in range(300):
        op = ringmill.aio.readinto(source, bytearray(4096))
        if i % 2:
            submitted(op)
        op.cancel()
        op.detach()
        del op
        if i % 50 == 0:
            gc.collect()
    until(lambda: machine.stats()["ops_live"] == 0, "the end")
    os.write(target, b"here")
    assert ringmill.read(source, 100) == b"here"
