"""The call face of raw, which is not of the table. Knows the op; does not know what it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringmill.face.spawn import wait
from ringmill.ops.raw import raw as raw_op

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, ReadableBuffer, StrPath


def raw(opcode: int | str, /, *, fd: FileDescriptorLike = -1,
        **fields: int | StrPath | ReadableBuffer) -> int:
    return wait(raw_op(opcode, fd=fd, **fields))


raw.__doc__ = raw_op.__doc__
