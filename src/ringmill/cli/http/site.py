"""The served directory: opens what a location names and never anything outside.

Knows ringmill's open and what the kernel says of an open file; knows no socket. What it finds is
handed to `reply`, which decides what to say.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

import ringmill

from .listing import ENTRIES_MAX, Entry, entry_of, render_listing
from .media import media_type
from .reply import (
    FileFacts,
    Reply,
    plan_error,
    plan_file,
    plan_listing,
    plan_method,
    plan_redirect,
)
from .request import Request
from .target import BadTarget, Location, parse_target

# What a path names is looked at through a descriptor that opens nothing. Opening is an event: it
# lets go the writer who waits at a FIFO, who then writes to nobody, or starts a device.
PLACE_FLAGS = os.O_PATH | os.O_CLOEXEC

# NONBLOCK: nobody's lease on a file may hold us. It is taken off again, since the kernel would
# then answer reads that have to wait for the disk with EAGAIN.
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

INDEX_NAME = b"index.html"

# errno of an open → status. What is not here is our own trouble: 500.
STATUS_OF_ERRNO = {
    errno.ENOENT: 404,
    errno.ENOTDIR: 404,
    errno.ENAMETOOLONG: 404,
    errno.ELOOP: 404,
    errno.EACCES: 403,
    errno.EPERM: 403,
    errno.EMFILE: 503,
    errno.ENFILE: 503,
    errno.ENOMEM: 503,
    errno.EWOULDBLOCK: 503,  # somebody has a lease on it, and has been asked to let go
}
RETRY = ((b"Retry-After", b"1"),)


class Outside(PermissionError):
    """A symlink led out of the served directory."""


@dataclass(slots=True)
class Found:
    """What is to be said, and the file it speaks of (to be closed by who takes it)."""

    reply: Reply
    fd: int | None = None

    @property
    def file(self) -> int:
        """The descriptor, where the reply's body needs one."""
        assert self.fd is not None
        return self.fd


class Site:
    """One directory, to be served."""

    def __init__(
        self,
        directory: str,
        *,
        list_directories: bool = True,
        target_bytes: int = 8192,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.path = where(self.fd)
        self.list_directories = list_directories
        self.target_bytes = target_bytes
        self.now = now

    def close(self) -> None:
        os.close(self.fd)

    def find(self, request: Request) -> Found:
        """The reply to `request`, and the open file its body comes from."""
        if (refusal := plan_method(request.method)) is not None:
            return Found(refusal)
        if len(request.target) > self.target_bytes:
            return Found(plan_error(414))
        try:
            location = parse_target(request.target)
        except BadTarget as error:
            return Found(plan_error(400, str(error)))
        try:
            return self.look(request, location)
        except Outside as error:
            return Found(plan_error(403, str(error)))
        except OSError as error:
            status = STATUS_OF_ERRNO.get(error.errno or 0, 500)
            return Found(plan_error(status, extra=RETRY if status == 503 else ()))

    def look(self, request: Request, location: Location) -> Found:
        place = self.place_beneath(location.path)
        try:
            facts = os.fstat(place)
            if stat.S_ISDIR(facts.st_mode):
                return self.look_into(request, location, place)
            if location.directory:
                return Found(plan_error(404))
            if not stat.S_ISREG(facts.st_mode):
                return Found(plan_error(403, "not a file"))
            return self.found_file(request, location.path, place, facts)
        finally:
            os.close(place)

    def found_file(
        self, request: Request, path: bytes, place: int, facts: os.stat_result
    ) -> Found:
        """The reply about a file, and the file itself where the reply needs it."""
        known = FileFacts(facts.st_size, facts.st_mtime_ns, facts.st_ino, media_type(path))
        reply = plan_file(request, known, self.now())
        fd = open_file(place)  # always: what may not be read is 403, for HEAD and 304 as well
        if request.method == b"HEAD" or all(isinstance(piece, bytes) for piece in reply.body):
            os.close(fd)
            return Found(reply)
        return Found(reply, fd)

    def look_into(self, request: Request, location: Location, place: int) -> Found:
        """A directory: its index file, or a listing; a redirect when the slash is missing."""
        if not location.directory:
            return Found(plan_redirect(location))
        index = Location((*location.names, INDEX_NAME), directory=False)
        try:
            return self.look(request, index)
        except FileNotFoundError:
            pass
        if not self.list_directories:
            return Found(plan_error(403, "no listing here"))
        # In a thread, since neither reading nor rendering has a bound in time. It gets a
        # descriptor of its own: a fiber that is cancelled does not wait for its thread.
        page = ringmill.in_thread(read_listing, os.dup(place), location.url(directory=True))
        return Found(plan_listing(page))

    def place_beneath(self, path: bytes) -> int:
        """What `path` names below the directory, not opened, once it is known where it really is.

        Looking first and opening by name then would leave a moment to swap a symlink in between;
        the kernel's own word on what a descriptor holds leaves none.
        """
        place = ringmill.open(path, PLACE_FLAGS, dir_fd=self.fd)
        try:
            if not self.holds(where(place)):
                raise Outside("a symlink out of the served directory")
        except BaseException:
            os.close(place)
            raise
        return place

    def holds(self, path: bytes) -> bool:
        if is_beneath(path, self.path):
            return True
        self.path = where(self.fd)  # the directory itself may have been renamed
        return is_beneath(path, self.path)


def where(fd: int) -> bytes:
    """The path of what a descriptor holds, as the kernel knows it now."""
    return os.readlink(b"/proc/self/fd/%d" % fd)


def open_file(place: int) -> int:
    """Open the very file that `place` holds. Here and not by the ring: it was found already, which
    is what waits for disks, and io_uring sends whatever goes by way of /proc to a worker."""
    fd = os.open(b"/proc/self/fd/%d" % place, OPEN_FLAGS)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    return fd


def is_beneath(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def read_listing(fd: int, url: str) -> bytes:
    """Read a directory, close it, render it."""
    entries: list[Entry] = []
    omitted = 0
    try:
        # By its name in /proc, since scandir of a descriptor gives str names, not the bytes.
        with os.scandir(b"/proc/self/fd/%d" % fd) as items:
            for item in items:
                if len(entries) < ENTRIES_MAX:
                    entries.append(entry_of(item))
                else:
                    omitted += 1
    finally:
        os.close(fd)
    return render_listing(url, entries, omitted=omitted)
