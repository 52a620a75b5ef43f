"""Reusable ops, as type checkers see them."""
from _typeshed import FileDescriptorLike, ReadableBuffer, WriteableBuffer

from ringmill.core.op import Op

class Slot:
    def readinto(
        self, fd: FileDescriptorLike, buffer: WriteableBuffer, offset: int | None = None,
    ) -> Op[int]: ...
    def write(
        self, fd: FileDescriptorLike, data: ReadableBuffer, offset: int | None = None,
    ) -> Op[int]: ...
    def recv_into(self, sock: FileDescriptorLike, buffer: WriteableBuffer) -> Op[int]: ...
    def send(self, sock: FileDescriptorLike, data: ReadableBuffer) -> Op[int]: ...
