"""Memory, as type checkers see it."""
from typing import Literal

from _typeshed import FileDescriptorLike, ReadableBuffer, WriteableBuffer

from ringmill.core.lease import Lease
from ringmill.core.op import Op

def lease(n: int, *, on_full: Literal["wait", "raise"] | None = None) -> Lease: ...
def lease_op(n: int, *, on_full: Literal["wait", "raise"] | None = None) -> Op[Lease]: ...

class SlotCall:
    def readinto(
        self, fd: FileDescriptorLike, buffer: WriteableBuffer, offset: int | None = None,
    ) -> int: ...
    def write(
        self, fd: FileDescriptorLike, data: ReadableBuffer, offset: int | None = None,
    ) -> int: ...
    def recv_into(self, sock: FileDescriptorLike, buffer: WriteableBuffer) -> int: ...
    def send(self, sock: FileDescriptorLike, data: ReadableBuffer) -> int: ...
