"""Files as a whole: read_file, write_file. Written once, as coroutines over ops.

Knows ops on files and names; does not know open files.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any, overload

from ringmill.face.threads import in_thread_op
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

FIRST = 1 << 14    # bytes of the first read: most files are smaller
MORE = 1 << 16     # bytes read at once when the size is not known …
MOST = 1 << 30     # … and when it is
NAMES_MAX = 100    # tries to find a name that nobody has


@overload
async def read_file(path: AnyPath, *, encoding: None = None, errors: str = "strict",
                    dir_fd: int | None = None) -> bytes: ...
@overload
async def read_file(path: AnyPath, *, encoding: str, errors: str = "strict",
                    dir_fd: int | None = None) -> str: ...
async def read_file(path: AnyPath, *, encoding: str | None = None, errors: str = "strict",
                    dir_fd: int | None = None) -> bytes | str:
    """All that is in a file: bytes, or with an `encoding` text (line ends as they are).

    Reads until there is no more, so that files of /proc, pipes, and files that grow or shrink
    meanwhile are right. OSErrors have the filename.
    """
    fd = await aio.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        data = await _read_all(fd)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        await aio.close(fd)
    return data if encoding is None else data.decode(encoding, errors)


async def _read_all(fd: int) -> bytes:
    data = await aio.read(fd, FIRST)
    if not data:
        return data
    about = os.fstat(fd)  # of an open file: known without asking a disk
    size = about.st_size if stat.S_ISREG(about.st_mode) else 0
    if len(data) == size:
        return data
    pieces = [data]
    done = len(data)
    while data:
        data = await aio.read(fd, min(size - done + 1, MOST) if size > done else MORE)
        pieces.append(data)
        done += len(data)
        if done == size:
            break
    return b"".join(pieces)


async def write_file(path: AnyPath, data: ReadableBuffer | str, *, atomic: bool = False,
                     fsync: bool = False, mode: int = 0o666, encoding: str = "utf-8",
                     errors: str = "strict") -> int:
    """Make `data` all that is in a file; the number of bytes.

    mode: permission bits of a new file, less the umask; one that exists keeps its own.

    atomic: whoever opens the file sees the old content or the new, and a failure or cancel leaves
    the old. A temporary file in the same folder is given its name (so the folder must be writable,
    and other names of the old file keep the old content). A symbolic link stays; what it leads to
    is replaced. Only for regular files.

    fsync: return once the data is on stable storage, and the name as well.
    """
    if isinstance(data, str):
        data = data.encode(encoding, errors)
    with memoryview(data) as given, given.cast("B") as whole:
        if atomic:
            await _replace(os.fspath(path), whole, fsync, mode)
        else:
            await _overwrite(path, whole, fsync, mode)
        return len(whole)


async def _overwrite(path: AnyPath, data: memoryview, fsync: bool, mode: int) -> None:
    fd = await aio.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    await _fill(fd, path, data, fsync)
    if fsync:
        await sync_folder(os.fspath(path))


async def _fill(fd: int, path: AnyPath, data: memoryview, fsync: bool) -> None:
    """Write all of it and close, whatever comes."""
    try:
        try:
            if data:
                await aio.write_all(fd, data)
            if fsync:
                await aio.fsync(fd)
        except BaseException:
            await _close_quietly(fd)
            raise
        await aio.close(fd)  # which may tell of a failed write, too
    except OSError as error:
        raise _named(error, path) from None


async def _close_quietly(fd: int) -> None:
    """What went wrong before is worse."""
    try:
        await aio.close(fd)
    except OSError:
        pass


async def _replace(path: str | bytes, data: memoryview, fsync: bool, mode: int) -> None:
    path, about = await _target(path)
    fd, temporary = await beside(path, mode)
    try:
        try:
            if about is not None:
                _like(fd, about)
        except BaseException:
            await _close_quietly(fd)
            raise
        await _fill(fd, path, data, fsync)
        await aio.replace(temporary, path)
    except BaseException:
        # Not awaited: a second cancel must not leave it there.
        try:
            os.unlink(temporary)
        except OSError:
            pass  # it has its name already
        raise
    if fsync:
        await sync_folder(path)


async def _target(path: Any) -> tuple[Any, os.stat_result | None]:
    """Where a symbolic link leads, and what is there."""
    try:
        about = await aio.stat(path, follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            path = await in_thread_op(os.path.realpath, path)
            about = await aio.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return path, None
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "only a regular file can be replaced atomically", path)
    return path, about


def _like(fd: int, about: os.stat_result) -> None:
    """Owner and permissions of the file that is replaced, as far as we may."""
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (about.st_uid, about.st_gid):
        try:
            os.fchown(fd, about.st_uid, about.st_gid)
        except PermissionError:
            pass
    os.fchmod(fd, stat.S_IMODE(about.st_mode))


async def beside(path: Any, mode: int) -> tuple[int, Any]:
    """A new file in the folder of `path`: its descriptor and its name."""
    folder, base = os.path.split(path)
    for _ in range(NAMES_MAX):
        mark = os.urandom(6).hex()
        # A name of 255 bytes must not become too long.
        if isinstance(path, bytes):
            name = os.path.join(folder, b"." + base[:200] + b"." + mark.encode())
        else:
            short = os.fsdecode(os.fsencode(base)[:200])
            name = os.path.join(folder, f".{short}.{mark}")
        try:
            fd = await aio.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            continue
        return fd, name
    raise FileExistsError(errno.EEXIST, "no free name for a temporary file", path)


async def sync_folder(path: str | bytes) -> None:
    """The names in the folder of `path` are on stable storage."""
    folder = os.path.dirname(path) or os.curdir
    fd = await aio.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        await aio.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has nothing to sync
            raise _named(error, folder) from None
    finally:
        await aio.close(fd)


def _named(error: OSError, path: AnyPath) -> OSError:
    if error.filename is None:
        error.filename = path
    return error
