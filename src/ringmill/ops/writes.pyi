"""Writes behind, as type checkers see them."""
from _typeshed import FileDescriptorLike, ReadableBuffer

from ringmill.core.lease import Lease
from ringmill.core.op import Op

def start_write(fd: FileDescriptorLike, data: ReadableBuffer, *, offset: int | None = None,
                ordered: bool = False) -> Op[int]: ...
def commit(leased: Lease | memoryview, fd: FileDescriptorLike, offset: int | None = None, *,
           ordered: bool = False) -> Op[int]: ...
def drain(fd: FileDescriptorLike | None = None) -> Op[None]: ...
