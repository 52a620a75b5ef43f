"""The verbs as steps of a chain: what each does is said where it is a call.

Generated from ops/table/ by ops/generate.py; edit there.
"""

from __future__ import annotations

import os
import socket as _socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ringmill.face.step import Step

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, FileDescriptorOrPath, ReadableBuffer
    from _typeshed import StrOrBytesPath, WriteableBuffer

Address = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int] | str | bytes


class Steps:
    def add(self, verb: str, *arguments: Any, **keywords: Any) -> Step:
        raise NotImplementedError

    def nop(self) -> Step:
        return self.add('nop')

    def open(self, path: StrOrBytesPath, flags: int, mode: int = 511, *, dir_fd: FileDescriptorLike | Step | None = None, resolve: int = 0) -> Step:
        return self.add('open', path, flags, mode, dir_fd=dir_fd, resolve=resolve)

    def close(self, fd: FileDescriptorLike | Step) -> Step:
        return self.add('close', fd)

    def read(self, fd: FileDescriptorLike | Step, n: int, *, offset: int | None = None) -> Step:
        return self.add('read', fd, n, offset=offset)

    def readinto(self, fd: FileDescriptorLike | Step, buffer: WriteableBuffer, *, offset: int | None = None) -> Step:
        return self.add('readinto', fd, buffer, offset=offset)

    def readv(self, fd: FileDescriptorLike | Step, buffers: Iterable[WriteableBuffer], *, offset: int | None = None) -> Step:
        return self.add('readv', fd, buffers, offset=offset)

    def write(self, fd: FileDescriptorLike | Step, data: ReadableBuffer, *, offset: int | None = None) -> Step:
        return self.add('write', fd, data, offset=offset)

    def write_all(self, fd: FileDescriptorLike | Step, data: ReadableBuffer, *, offset: int | None = None) -> Step:
        return self.add('write_all', fd, data, offset=offset)

    def writev(self, fd: FileDescriptorLike | Step, buffers: Iterable[ReadableBuffer], *, offset: int | None = None) -> Step:
        return self.add('writev', fd, buffers, offset=offset)

    def fsync(self, fd: FileDescriptorLike | Step, *, datasync: bool = False) -> Step:
        return self.add('fsync', fd, datasync=datasync)

    def ftruncate(self, fd: FileDescriptorLike | Step, length: int) -> Step:
        return self.add('ftruncate', fd, length)

    def fallocate(self, fd: FileDescriptorLike | Step, offset: int, length: int, *, keep_size: bool = False, punch_hole: bool = False, zero_range: bool = False, collapse_range: bool = False, insert_range: bool = False) -> Step:
        return self.add('fallocate', fd, offset, length, keep_size=keep_size, punch_hole=punch_hole, zero_range=zero_range, collapse_range=collapse_range, insert_range=insert_range)

    def sync_file_range(self, fd: FileDescriptorLike | Step, offset: int = 0, length: int | None = None, *, wait_before: bool = False, write: bool = True, wait_after: bool = False) -> Step:
        return self.add('sync_file_range', fd, offset, length, wait_before=wait_before, write=write, wait_after=wait_after)

    def fadvise(self, fd: FileDescriptorLike | Step, offset: int, length: int | None, advice: int) -> Step:
        return self.add('fadvise', fd, offset, length, advice)

    def madvise(self, memory: ReadableBuffer, advice: int) -> Step:
        return self.add('madvise', memory, advice)

    def stat(self, path: FileDescriptorOrPath, *, dir_fd: FileDescriptorLike | Step | None = None, follow_symlinks: bool = True) -> Step:
        return self.add('stat', path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def splice(self, source: FileDescriptorLike | Step, target: FileDescriptorLike | Step, n: int, *, offset_source: int | None = None, offset_target: int | None = None, flags: int = 0) -> Step:
        return self.add('splice', source, target, n, offset_source=offset_source, offset_target=offset_target, flags=flags)

    def tee(self, source: FileDescriptorLike | Step, target: FileDescriptorLike | Step, n: int, *, flags: int = 0) -> Step:
        return self.add('tee', source, target, n, flags=flags)

    def pipe(self, *, flags: int = 0) -> Step:
        return self.add('pipe', flags=flags)

    def poll(self, fd: FileDescriptorLike | Step, mask: int) -> Step:
        return self.add('poll', fd, mask)

    def mkdir(self, path: StrOrBytesPath, mode: int = 511, *, dir_fd: FileDescriptorLike | Step | None = None) -> Step:
        return self.add('mkdir', path, mode, dir_fd=dir_fd)

    def unlink(self, path: StrOrBytesPath, *, dir_fd: FileDescriptorLike | Step | None = None, missing_ok: bool = False) -> Step:
        return self.add('unlink', path, dir_fd=dir_fd, missing_ok=missing_ok)

    def rmdir(self, path: StrOrBytesPath, *, dir_fd: FileDescriptorLike | Step | None = None) -> Step:
        return self.add('rmdir', path, dir_fd=dir_fd)

    def symlink(self, src: StrOrBytesPath, dst: StrOrBytesPath, *, dir_fd: FileDescriptorLike | Step | None = None) -> Step:
        return self.add('symlink', src, dst, dir_fd=dir_fd)

    def link(self, src: FileDescriptorOrPath, dst: StrOrBytesPath, *, src_dir_fd: FileDescriptorLike | Step | None = None, dst_dir_fd: FileDescriptorLike | Step | None = None, follow_symlinks: bool = True) -> Step:
        return self.add('link', src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    def rename(self, src: StrOrBytesPath, dst: StrOrBytesPath, *, src_dir_fd: FileDescriptorLike | Step | None = None, dst_dir_fd: FileDescriptorLike | Step | None = None, noreplace: bool = False, exchange: bool = False) -> Step:
        return self.add('rename', src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, noreplace=noreplace, exchange=exchange)

    def replace(self, src: StrOrBytesPath, dst: StrOrBytesPath, *, src_dir_fd: FileDescriptorLike | Step | None = None, dst_dir_fd: FileDescriptorLike | Step | None = None) -> Step:
        return self.add('replace', src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def getxattr(self, path: FileDescriptorOrPath, attribute: StrOrBytesPath, *, follow_symlinks: bool = True) -> Step:
        return self.add('getxattr', path, attribute, follow_symlinks=follow_symlinks)

    def setxattr(self, path: FileDescriptorOrPath, attribute: StrOrBytesPath, value: ReadableBuffer, flags: int = 0, *, follow_symlinks: bool = True) -> Step:
        return self.add('setxattr', path, attribute, value, flags, follow_symlinks=follow_symlinks)

    def socket(self, family: int = _socket.AF_INET, type: int = _socket.SOCK_STREAM, proto: int = 0) -> Step:
        return self.add('socket', family, type, proto)

    def bind(self, sock: FileDescriptorLike | Step, address: Address) -> Step:
        return self.add('bind', sock, address)

    def listen(self, sock: FileDescriptorLike | Step, backlog: int = 128) -> Step:
        return self.add('listen', sock, backlog)

    def accept(self, sock: FileDescriptorLike | Step, *, flags: int = 0) -> Step:
        return self.add('accept', sock, flags=flags)

    def connect(self, sock: FileDescriptorLike | Step, address: Address) -> Step:
        return self.add('connect', sock, address)

    def recv(self, sock: FileDescriptorLike | Step, n: int, *, flags: int = 0) -> Step:
        return self.add('recv', sock, n, flags=flags)

    def recv_into(self, sock: FileDescriptorLike | Step, buffer: WriteableBuffer, *, flags: int = 0) -> Step:
        return self.add('recv_into', sock, buffer, flags=flags)

    def send(self, sock: FileDescriptorLike | Step, data: ReadableBuffer, *, flags: int = 0, zero_copy: bool = False) -> Step:
        return self.add('send', sock, data, flags=flags, zero_copy=zero_copy)

    def sendall(self, sock: FileDescriptorLike | Step, data: ReadableBuffer, *, flags: int = 0, zero_copy: bool = False) -> Step:
        return self.add('sendall', sock, data, flags=flags, zero_copy=zero_copy)

    def shutdown(self, sock: FileDescriptorLike | Step, how: int) -> Step:
        return self.add('shutdown', sock, how)

    def getsockopt(self, sock: FileDescriptorLike | Step, level: int, optname: int, buflen: int | None = None) -> Step:
        return self.add('getsockopt', sock, level, optname, buflen)

    def setsockopt(self, sock: FileDescriptorLike | Step, level: int, optname: int, value: int | ReadableBuffer | None, optlen: int | None = None) -> Step:
        return self.add('setsockopt', sock, level, optname, value, optlen)

    def sendto(self, sock: FileDescriptorLike | Step, data: ReadableBuffer, address: Address, *, flags: int = 0) -> Step:
        return self.add('sendto', sock, data, address, flags=flags)

    def sendmsg(self, sock: FileDescriptorLike | Step, buffers: Iterable[ReadableBuffer], ancdata: Iterable[tuple[int, int, ReadableBuffer]] = (), *, flags: int = 0, address: Address | None = None, zero_copy: bool = False) -> Step:
        return self.add('sendmsg', sock, buffers, ancdata, flags=flags, address=address, zero_copy=zero_copy)

    def send_fds(self, sock: FileDescriptorLike | Step, buffers: Iterable[ReadableBuffer], fds: Iterable[FileDescriptorLike], *, flags: int = 0, address: Address | None = None) -> Step:
        return self.add('send_fds', sock, buffers, fds, flags=flags, address=address)

    def recvmsg(self, sock: FileDescriptorLike | Step, n: int, ancbufsize: int = 0, *, flags: int = 0) -> Step:
        return self.add('recvmsg', sock, n, ancbufsize, flags=flags)

    def recvmsg_into(self, sock: FileDescriptorLike | Step, buffers: Iterable[WriteableBuffer], ancbufsize: int = 0, *, flags: int = 0) -> Step:
        return self.add('recvmsg_into', sock, buffers, ancbufsize, flags=flags)

    def recvfrom(self, sock: FileDescriptorLike | Step, n: int, *, flags: int = 0) -> Step:
        return self.add('recvfrom', sock, n, flags=flags)

    def recvfrom_into(self, sock: FileDescriptorLike | Step, buffer: WriteableBuffer, *, flags: int = 0) -> Step:
        return self.add('recvfrom_into', sock, buffer, flags=flags)

    def recv_fds(self, sock: FileDescriptorLike | Step, n: int, maxfds: int, *, flags: int = 0) -> Step:
        return self.add('recv_fds', sock, n, maxfds, flags=flags)

    def waitid(self, idtype: int, id: int, options: int) -> Step:
        return self.add('waitid', idtype, id, options)

    def epoll_wait(self, epoll: FileDescriptorLike | Step, maxevents: int = 64) -> Step:
        return self.add('epoll_wait', epoll, maxevents)

    def futex_wait(self, word: WriteableBuffer, value: int, *, mask: int = 4294967295) -> Step:
        return self.add('futex_wait', word, value, mask=mask)

    def futex_wake(self, word: WriteableBuffer, n: int, *, mask: int = 4294967295) -> Step:
        return self.add('futex_wake', word, n, mask=mask)
