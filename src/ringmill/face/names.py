"""What takes several looks at names, or none of io_uring's: makedirs, readlink. Written once.

Each is `async def` over ops; composite.call_face makes the call from it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from ringmill.face.threads import in_thread_op
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, StrOrBytesPath


async def makedirs(path: StrOrBytesPath, mode: int = 0o777, exist_ok: bool = False, *,
                   dir_fd: FileDescriptorLike | None = None) -> None:
    """Make a folder and those above it that are missing, as os.makedirs does.

    mode: of the last one; those above get what the umask leaves of 0o777. exist_ok: a folder that
    is there already is as good.
    """
    missing: list[Any] = []  # from the last one upwards, as each turns out to lack the one above
    folder: Any = path
    while not await _made(folder, mode if folder is path else 0o777,
                          exist_ok or folder is not path, dir_fd, above=_above(folder)):
        missing.append(folder)
        folder = _above(folder)
    for folder in reversed(missing):
        # Others may be making the same ones; and a/b/. is there when a/b is.
        there_is_fine = exist_ok or folder is not path or _is_dot(folder)
        await _made(folder, mode if folder is path else 0o777, there_is_fine, dir_fd)


async def _made(folder: Any, mode: int, exist_ok: bool, dir_fd: FileDescriptorLike | None, *,
                above: Any = None) -> bool:
    """Make it. False: the one `above` it is missing."""
    try:
        await aio.mkdir(folder, mode, dir_fd=dir_fd)
    except FileNotFoundError:
        if not above:
            raise
        return False
    except OSError:
        if not (exist_ok and await _is_dir(folder, dir_fd)):
            raise
    return True


async def _is_dir(path: Any, dir_fd: FileDescriptorLike | None) -> bool:
    try:
        return stat.S_ISDIR((await aio.stat(path, dir_fd=dir_fd)).st_mode)
    except OSError:
        return False


def _above(folder: Any) -> Any:
    head, tail = os.path.split(folder)
    return head if tail else os.path.split(head)[0]  # it ended in a slash


def _is_dot(folder: Any) -> bool:
    return os.path.basename(os.fsencode(folder)) == b"."


async def readlink(path: StrOrBytesPath, *, dir_fd: FileDescriptorLike | None = None) -> Any:
    """What a symbolic link says, as os.readlink gives it: bytes for a path of bytes.

    In a thread: io_uring has no such op.
    """
    number = dir_fd if dir_fd is None or isinstance(dir_fd, int) else dir_fd.fileno()
    return await in_thread_op(os.readlink, path, dir_fd=number)
