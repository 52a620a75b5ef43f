"""Sending: bytes, and extents of files, to one socket.

Two ways to send an extent, with the same bytes at the other end: read and send, or splice through
a pipe. Knows ringmill's calls; knows nothing of HTTP.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from dataclasses import dataclass

import ringmill

from ..units import KIB
from .limits import PIPE_BYTES, PIPES_MAX
from .ranges import Extent

# What one read takes. Above 64 KiB the copy leaves the second-level cache and malloc maps and
# unmaps each buffer.
COPY_BYTES = 64 * KIB

# From here up splicing pays: two trips to a kernel worker cost about as much as copying this.
SPLICE_FROM = 256 * KIB

# A client that needs longer than this for one pipe full keeps a kernel worker waiting; the rest of
# its reply is read and sent, which keeps only the fiber waiting, and tells a slow client from one
# that takes nothing.
SLOW_S = 1.0

# What splice says to a file or socket it cannot handle.
CANNOT_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class Shrunk(Exception):
    """The file ended before the promised bytes did: the connection is of no more use."""


@dataclass(slots=True)
class Gone:
    """How much of one reply its client's kernel has been given, however the reply ends."""

    size: int = 0  # of head and body


@dataclass(slots=True)
class Sent:
    """Bytes of bodies that were too large to leave with their heads, and how they went out."""

    copied: int = 0
    spliced: int = 0
    extents_spliced: int = 0  # begun by splicing; how many, not how large


@dataclass(slots=True)
class Pipe:
    source: int
    target: int
    size: int

    def close(self) -> None:
        os.close(self.source)
        os.close(self.target)


class Pipes:
    """A few empty pipes, made when first needed and lent to one reply at a time."""

    def __init__(self, most: int = PIPES_MAX) -> None:
        self.most = most
        self.made = 0
        self.idle: list[Pipe] = []

    def take(self) -> Pipe | None:
        """A pipe, or None when all are lent: then the caller reads and sends."""
        if self.idle:
            return self.idle.pop()
        if self.made >= self.most:
            return None
        try:
            source, target = os.pipe2(os.O_CLOEXEC)
        except OSError:
            return None  # out of descriptors: a pipe is a luxury
        self.made += 1
        try:
            size = fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:  # the user's share of pipe memory is used up
            size = fcntl.fcntl(target, fcntl.F_GETPIPE_SZ)
        return Pipe(source, target, size)

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take a pipe back. One that may hold bytes of this reply must never meet the next."""
        if empty:
            self.idle.append(pipe)
        else:
            self.made -= 1
            pipe.close()

    def close(self) -> None:
        for pipe in self.idle:
            pipe.close()
        self.made -= len(self.idle)
        self.idle.clear()


class Sender:
    """Sends what replies are made of. One for the whole server; it counts."""

    def __init__(self, *, stall_s: float, splice_from: int = SPLICE_FROM) -> None:
        self.stall_s = stall_s
        self.splice_from = splice_from
        self.pipes = Pipes()
        self.sent = Sent()

    def close(self) -> None:
        self.pipes.close()

    def send_bytes(
        self, sock: socket.socket, data: bytes, gone: Gone, *, more: bool = False
    ) -> None:
        """All of `data`. The client has `stall_s` for each part it takes, not for all of it."""
        flags = socket.MSG_MORE if more else 0
        view = memoryview(data)
        while view:
            with ringmill.timeout(self.stall_s):
                count = ringmill.send(sock, view, flags=flags)
            view = view[count:]
            gone.size += count

    def send_extent(self, sock: socket.socket, fd: int, extent: Extent, gone: Gone) -> None:
        """All of an extent, or `Shrunk`."""
        pipe = self.pipes.take() if extent.size >= self.splice_from else None
        done = 0
        if pipe is not None:
            self.sent.extents_spliced += 1
            done = self.splice_extent(sock, fd, extent, pipe, gone)
        self.copy_extent(sock, fd, Extent(extent.offset + done, extent.size - done), gone)

    def copy_extent(self, sock: socket.socket, fd: int, extent: Extent, gone: Gone) -> None:
        offset = extent.offset
        while offset < extent.end:
            data = read_extent(fd, Extent(offset, min(extent.end - offset, COPY_BYTES)))
            self.send_bytes(sock, data, gone)
            offset += len(data)
            self.sent.copied += len(data)

    def splice_extent(
        self, sock: socket.socket, fd: int, extent: Extent, pipe: Pipe, gone: Gone
    ) -> int:
        """As much of an extent as can be spliced; the rest is the caller's."""
        patience_s = min(SLOW_S, self.stall_s)
        done = 0
        held = 0  # bytes in the pipe
        try:
            while done < extent.size:
                held = ringmill.splice(
                    fd,
                    pipe.target,
                    min(extent.size - done, pipe.size),
                    offset_source=extent.offset + done,
                )
                if held == 0:
                    raise Shrunk
                with ringmill.timeout(patience_s):
                    while held:
                        count = ringmill.splice(pipe.source, sock, held)
                        held -= count
                        done += count
                        self.sent.spliced += count
                        gone.size += count
        except TimeoutError:
            pass  # what it still holds goes with the pipe, and is read from the file again
        except OSError as error:
            if error.errno not in CANNOT_SPLICE:
                held = held or 1  # an interrupted splice leaves nobody knows what
                raise
        except BaseException:
            held = held or 1
            raise
        finally:
            self.pipes.give(pipe, empty=held == 0)
        return done


def read_extent(fd: int, extent: Extent) -> bytes:
    """All bytes of a small extent, or `Shrunk`."""
    parts = []
    offset = extent.offset
    while offset < extent.end:
        part = ringmill.read(fd, extent.end - offset, offset=offset)
        if not part:
            raise Shrunk
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
