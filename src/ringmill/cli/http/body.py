"""Sending: bytes, and extents of files, to one socket.

Two ways to send an extent, with the same bytes at the other end: read and send, or splice through
a pipe. Knows ringmill's calls; knows nothing of HTTP.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import ringmill
from ringmill.face.pipes import Pipe, pipes_here
from ringmill.face.transfer import CANNOT_SPLICE, COPY_BYTES, SPLICE_FROM

from .ranges import Extent

# A client that needs longer than this for one pipe full keeps a kernel worker waiting; the rest of
# its reply is read and sent, which keeps only the fiber waiting, and tells a slow client from one
# that takes nothing.
SLOW_S = 1.0


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


class Sender:
    """Sends what replies are made of. One for the whole server; it counts."""

    def __init__(self, *, stall_s: float, splice_from: int = SPLICE_FROM) -> None:
        self.stall_s = stall_s
        self.splice_from = splice_from
        self.sent = Sent()

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
        pipe = pipes_here().take() if extent.size >= self.splice_from else None
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
        pipes = pipes_here()  # now: at the end of a machine this unwinds without one
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
            pipes.give(pipe, empty=held == 0)
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
