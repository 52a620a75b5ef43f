"""copy_file: from one name to another. Written once, as a coroutine over ops.

Knows ops and `copy` between descriptors; does not know how bytes are moved.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from ringmill.face.transfer import copy
from ringmill.files.whole import AnyPath
from ringmill.ops import aio


async def copy_file(source: AnyPath, target: AnyPath, *, fsync: bool = False) -> int:
    """Copy what is in `source` to `target`; the number of bytes that were moved (holes are not).

    A new target has the permission bits of the source, less the umask; one that exists keeps its
    own, and is overwritten (not replaced: other names of it see the new content). Symbolic links
    are followed. Holes of a sparse file stay holes. A pipe or device is read to its end. OSError
    when both are the same file. When it fails or is cancelled, a target that was new is removed.

    fsync: return once the data is on stable storage.
    """
    reader = await aio.open(source, os.O_RDONLY)
    try:
        about = os.fstat(reader)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), source)
        writer, new = await _open_target(target, about)
        try:
            try:
                moved = await _fill(reader, about, writer, new)
                if fsync:
                    await aio.fsync(writer)
            finally:
                await aio.close(writer)
        except BaseException:
            if new:
                with contextlib.suppress(OSError):
                    os.unlink(target)  # not awaited: a second cancel must not leave it there
            raise
        return moved
    except OSError as error:
        if error.filename is None:
            error.filename, error.filename2 = source, target
        raise
    finally:
        await aio.close(reader)


async def _open_target(target: AnyPath, about: os.stat_result) -> tuple[int, bool]:
    """Its descriptor, and whether we made it."""
    mode = stat.S_IMODE(about.st_mode) & 0o777
    while True:
        try:
            return await aio.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), True
        except FileExistsError:
            pass
        try:
            # O_CREAT: a symbolic link that leads nowhere yet.
            return await aio.open(target, os.O_WRONLY | os.O_CREAT, mode), False
        except FileNotFoundError:
            if not await _vanished(target):
                raise


async def _vanished(target: AnyPath) -> bool:
    """Has somebody removed it between two looks?"""
    try:
        await aio.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


async def _fill(reader: int, about: os.stat_result, writer: int, new: bool) -> int:
    there = os.fstat(writer)
    if (about.st_dev, about.st_ino) == (there.st_dev, there.st_ino):
        raise OSError(errno.EINVAL, "source and target are the same file")
    regular = stat.S_ISREG(there.st_mode)
    if regular and not new:
        await aio.ftruncate(writer, 0)
    sparse = (regular and stat.S_ISREG(about.st_mode)
              and about.st_blocks * 512 < about.st_size)
    return await (_copy_extents(reader, writer) if sparse else copy(reader, writer))


async def _copy_extents(reader: int, writer: int) -> int:
    """What is data, to the same places; then the size, should the end be a hole."""
    moved = at = 0
    while True:
        try:
            at = os.lseek(reader, at, os.SEEK_DATA)
            end = os.lseek(reader, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data from here on
                raise
            break
        os.lseek(reader, at, os.SEEK_SET)
        os.lseek(writer, at, os.SEEK_SET)
        count = await copy(reader, writer, end - at)
        moved += count
        if count < end - at:
            break  # it shrank
        at = end
    await aio.ftruncate(writer, os.fstat(reader).st_size)
    return moved
