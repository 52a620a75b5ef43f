"""Writes behind, as calls. Knows ops; what becomes of a write is in core/behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringmill.face.spawn import wait
from ringmill.ops import writes

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

start_write = writes.start_write


def drain(fd: FileDescriptorLike | None = None) -> None:
    """Wait until what start_write began on `fd` (None: on any file) is written.

    Raises the first failure that nobody was told of; its notes tell of the others.
    """
    wait(writes.drain(fd))
