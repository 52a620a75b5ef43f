"""Temporary files and folders, gone on every way out. Written once for both faces.

Knows how open files are made; does not know how a call waits.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ringmill.face.spawn import drive
from ringmill.face.threads import in_thread_op
from ringmill.files.call import FACES
from ringmill.files.opening import Opening, Request, laid, request
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import StrPath

NAMES_MAX = 100  # tries to find a name that nobody has
# What O_TMPFILE says where the file system has no files without a name, or the kernel none.
NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


async def opened(asked: Request, folder: str) -> Any:
    """A file without a name, on a descriptor of its own."""
    fd = await _nameless(folder, asked.permissions)
    try:
        return laid(fd, asked, True)
    except BaseException:
        os.close(fd)
        raise


async def _nameless(folder: str, permissions: int) -> int:
    try:
        return await aio.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_EXCL, permissions)
    except OSError as error:
        if error.errno not in NO_TMPFILE:
            raise
    for _ in range(NAMES_MAX):
        path = os.path.join(folder, f"tmp{os.urandom(6).hex()}")
        try:
            fd = await aio.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, permissions)
        except FileExistsError:
            continue
        os.unlink(path)  # not awaited: a cancel must not leave it there
        return fd
    raise FileExistsError(errno.EEXIST, "no free name for a temporary file", folder)


def _default_folder() -> str:
    import tempfile  # not before: it brings OpenSSL along, which `import ringmill` need not

    return tempfile.gettempdir()


def _remove_tree(path: str) -> None:
    import shutil

    shutil.rmtree(path)


def _request(mode: str, buffering: int, encoding: str | None, errors: str | None,
             newline: str | None, dir: StrPath | None) -> tuple[Request, str]:
    folder = _default_folder() if dir is None else os.fspath(dir)
    asked = request(folder, mode, buffering, encoding, errors, newline, True, None, None, 0o600)
    if not (asked.mode.readable and asked.mode.writable):
        raise ValueError(f"a temporary file is read and written (w+b, w+), unlike {mode!r}")
    return asked, folder


def temporary_file(mode: str = "w+b", buffering: int = -1, encoding: str | None = None,
                   errors: str | None = None, newline: str | None = None, *,
                   dir: StrPath | None = None) -> Opening[Any]:
    """A file without a name, gone once it is closed: `async with temporary_file() as file`.

    dir: the folder whose file system it uses; without it the one that tempfile would take.
    """
    asked, folder = _request(mode, buffering, encoding, errors, newline, dir)
    return Opening(lambda: opened(asked, folder))


def temporary_file_call(mode: str = "w+b", buffering: int = -1, encoding: str | None = None,
                        errors: str | None = None, newline: str | None = None, *,
                        dir: StrPath | None = None) -> Any:
    asked, folder = _request(mode, buffering, encoding, errors, newline, dir)
    file = drive(opened(asked, folder))
    return FACES[type(file)](file)


temporary_file_call.__doc__ = (temporary_file.__doc__ or "").replace("`async with", "`with")


async def _make_folder(prefix: str, suffix: str, dir: StrPath | None) -> str:
    above = _default_folder() if dir is None else os.path.abspath(dir)
    for _ in range(NAMES_MAX):
        path = os.path.join(above, f"{prefix}{os.urandom(6).hex()}{suffix}")
        try:
            await aio.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(errno.EEXIST, "no free name for a temporary folder", above)


class Temporary:
    """A folder for the time of a block, which gives its path; then it is gone, with what is in it.

    prefix, suffix: of its name. dir: the folder it is made in.
    """

    def __init__(self, *, prefix: str = "tmp", suffix: str = "",
                 dir: StrPath | None = None) -> None:
        self._make: Callable[[], Coroutine[Any, Any, str]] = lambda: _make_folder(
            prefix, suffix, dir)
        self._path = ""

    async def _remove(self) -> None:
        """In a thread, since nobody knows how much there is; cancelled, it is done all the same."""
        path, self._path = self._path, ""
        if path:
            await in_thread_op(_remove_tree, path)


class temporary_directory(Temporary):
    __doc__ = Temporary.__doc__

    def __enter__(self) -> str:
        self._path = drive(self._make())
        return self._path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        drive(self._remove())


class temporary_directory_op(Temporary):
    __doc__ = Temporary.__doc__

    async def __aenter__(self) -> str:
        self._path = await self._make()
        return self._path

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self._remove()
