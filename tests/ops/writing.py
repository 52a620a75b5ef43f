"""What tests of writes behind have in common. Knows ringmill's public names and pipes."""

from __future__ import annotations

import os
from typing import Any

import ringmill
from ringmill import aio
from support.faces import drive


def drained(face: str, fd: Any = None) -> Any:
    return drive(face, lambda: (ringmill if face == "fiber" else aio).drain(fd))


def content(fd: int) -> bytes:
    return os.pread(fd, 10 << 20, 0)


def fill(fd: int) -> int:
    """Put as much into a pipe as goes, so that the next write waits."""
    os.set_blocking(fd, False)
    size = 0
    try:
        while True:
            size += os.write(fd, bytes(4096))
    except BlockingIOError:
        os.set_blocking(fd, True)
    return size
