"""Any opcode, as type checkers see it."""
from _typeshed import FileDescriptorLike, ReadableBuffer, StrPath

from ringmill.core.op import Op

def raw(
    opcode: int | str, /, *, fd: FileDescriptorLike = -1,
    **fields: int | StrPath | ReadableBuffer,
) -> Op[int]: ...
