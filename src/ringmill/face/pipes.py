"""Pipes that carry bytes through the kernel: a few per machine, lent to one transfer at a time.

A pipe is handed out empty. One that may still hold bytes of a transfer that failed is closed, not
reused: they must never meet the next. Knows pipes; does not know what goes through them.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from ringmill.face.run import kept

# Each is two descriptors and up to a MiB of kernel memory while it is in use, and a splice to a
# slow target occupies a kernel worker: few; who finds none reads and writes instead.
PIPES_MAX = 8
PIPE_BYTES = 1 << 20  # what an unprivileged process may ask for (fs.pipe-max-size)


class Pipe:
    """Both ends, and how much fits in between."""

    __slots__ = ("closed", "size", "source", "target")

    def __init__(self) -> None:
        self.source, self.target = os.pipe2(os.O_CLOEXEC)
        self.closed = False
        try:
            self.size = fcntl.fcntl(self.target, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:  # the user's share of pipe memory is used up
            self.size = fcntl.fcntl(self.target, fcntl.F_GETPIPE_SZ)

    def held(self) -> int:
        """Bytes that went in and have not come out."""
        count: int = struct.unpack("i", fcntl.ioctl(self.source, termios.FIONREAD, b"\0" * 4))[0]
        return count

    def taken(self) -> bytes:
        """Those bytes: nobody else reads here, so this never waits."""
        parts = []
        while not self.closed and (count := self.held()):
            parts.append(os.read(self.source, count))
        return b"".join(parts)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self.source)
            os.close(self.target)


class Pipes:
    """Empty pipes, made when first needed; closed with the machine, and in a forked child."""

    def __init__(self, most: int = PIPES_MAX) -> None:
        self.most = most
        self.idle: list[Pipe] = []
        self.lent: set[Pipe] = set()

    def take(self) -> Pipe | None:
        """A pipe, or None when all are lent or there are no descriptors: a pipe is a luxury."""
        if self.idle:
            pipe = self.idle.pop()
        elif len(self.lent) >= self.most:
            return None
        else:
            try:
                pipe = Pipe()
            except OSError:
                return None
        self.lent.add(pipe)
        return pipe

    def take_many(self, count: int) -> list[Pipe]:
        """So many, or none at all."""
        pipes: list[Pipe] = []
        while len(pipes) < count:
            if (pipe := self.take()) is None:
                for each in pipes:
                    self.give(each, empty=True)
                return []
            pipes.append(pipe)
        return pipes

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take a pipe back; `empty` is what its user believes."""
        self.lent.discard(pipe)
        if empty and not pipe.closed and not pipe.held():
            self.idle.append(pipe)
        else:
            pipe.close()

    def let_go(self) -> None:
        """The machine has ended: no op uses them any more."""
        for pipe in (*self.idle, *self.lent):
            pipe.close()
        self.idle.clear()
        self.lent.clear()


def pipes_here() -> Pipes:
    """The pipes of this thread's machine."""
    pipes: Pipes = kept(Pipes)
    return pipes
