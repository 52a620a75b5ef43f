"""Handing a descriptor to a process that multiprocessing is about to spawn.

As with multiprocessing's own locks, only as an argument of the new process: there a descriptor can
be inherited. Knows multiprocessing; does not know what the descriptor is.
"""

from __future__ import annotations

import os
from typing import Any


def packed(fd: int, what: str) -> Any:
    """What to pickle in the place of `fd`."""
    from multiprocessing import context, reduction  # it takes its time, and few programs need it

    if context.get_spawning_popen() is None:
        raise RuntimeError(
            f"a {what} goes to another process as an argument of multiprocessing.Process (or by "
            "its fileno(), through socket.send_fds)")
    return reduction.DupFd(fd)


def unpacked(parcel: Any) -> int:
    """The descriptor, in the new process; whoever calls closes it. Not inherited any further."""
    fd: int = parcel.detach()
    os.set_inheritable(fd, False)
    return fd
