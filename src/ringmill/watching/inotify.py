"""inotify(7) as Python values: a descriptor, watches on it, and what comes in one read.

Knows the three system calls, through the C library, and the layout of what they bring; does not
know folders and what is in them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

from ringmill.face.owned import Owned

# <sys/inotify.h>
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, Q_OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
EXCL_UNLINK, ISDIR = 0x4000000, 0x40000000

HEAD = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name that follows, with its zeros
READ_SIZE = 1 << 16           # some thousand events; more come with the next read
READS_MAX = 16                # of one call: then others may have a word


class Raw(NamedTuple):
    """struct inotify_event; `name`: "" when it is about the watched thing itself."""

    watch: int
    mask: int
    cookie: int
    name: str


_libc: Any = None  # opened at the first watch


def libc() -> Any:
    """The C library."""
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def limit(name: str) -> str:
    """A limit of the user's, for people: its name and what it is."""
    try:
        value = Path("/proc/sys/fs/inotify", name).read_text(encoding="ascii").strip()
    except OSError:
        return f"fs.inotify.{name}"
    return f"fs.inotify.{name} = {value}"


class Inotify(Owned):
    """A queue of events. Its descriptor never blocks: wait for it with poll, then read()."""

    what = "this watch"
    doing = "iterating over"

    def __init__(self) -> None:
        fd = libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            number = ctypes.get_errno()
            told = os.strerror(number)
            if number == errno.EMFILE:
                told += f" ({limit('max_user_instances')} for this user, or RLIMIT_NOFILE)"
            raise OSError(number, told)
        super().__init__(fd)

    def add(self, path: str, mask: int, shown: str | bytes) -> int:
        """Watch `path`, the number of the watch; OSError with `shown` as its filename."""
        watch: int = libc().inotify_add_watch(
            self.fileno(), ctypes.c_char_p(os.fsencode(path)), ctypes.c_uint32(mask))
        if watch < 0:
            number = ctypes.get_errno()
            told = os.strerror(number)
            if number == errno.ENOSPC:
                told = (f"no more watches: {limit('max_user_watches')} for this user "
                        "(user.max_inotify_watches in a user namespace)")
            raise OSError(number, told, shown)
        return watch

    def remove(self, watch: int) -> None:
        """Stop watching; what the kernel has ended already is fine."""
        libc().inotify_rm_watch(self.fileno(), watch)

    def read(self) -> list[Raw]:
        """What has come; [] when there is nothing."""
        found: list[Raw] = []
        for _ in range(READS_MAX):
            try:
                data = os.read(self.fileno(), READ_SIZE)
            except BlockingIOError:
                break
            found += decoded(data)
            if len(data) < READ_SIZE // 2:
                break
        return found

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd >= 0:
            self._fd = -1
            os.close(fd)


def decoded(data: bytes) -> list[Raw]:
    """The events in what a read brought."""
    found = []
    place = 0
    while place < len(data):
        watch, mask, cookie, size = HEAD.unpack_from(data, place)
        place += HEAD.size
        name = data[place:place + size].rstrip(b"\0")
        place += size
        found.append(Raw(watch, mask, cookie, os.fsdecode(name)))
    return found
