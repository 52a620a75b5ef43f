"""Writes behind, as calls. Knows ops; what becomes of a write is in core/behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ringmill.face.composite import call_face
from ringmill.face.memory import lease_op
from ringmill.face.spawn import wait
from ringmill.ops import writes

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

start_write = writes.start_write
commit = writes.commit


async def alloc_write_op(n: int, *, on_full: Literal["wait", "raise"] | None = None) -> memoryview:
    """`n` bytes of the machine's arena to be filled, and handed over with `commit`.

    Where the arena is spent the caller waits until something was written, or, with
    on_full="raise", gets WouldExceedBudget. Dropped, or released, they go back unwritten.
    """
    return memoryview(await lease_op(n, on_full=on_full))


alloc_write = call_face(alloc_write_op)


def drain(fd: FileDescriptorLike | None = None) -> None:
    """Wait until what start_write began on `fd` (None: on any file) is written.

    Raises the first failure that nobody was told of; its notes tell of the others.
    """
    wait(writes.drain(fd))
