"""What a specimen is, and what results look like when they can be compared."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops.lab import Lab
from ringmill.ops.entry import Entry


@dataclass
class Scene:
    """Arguments by name; `seen(result)` is what can be compared, `expected` what it should be."""

    arguments: dict[str, Any]
    expected: Any = None
    seen: Callable[[Any], Any] = lambda result: result
    unblock: Callable[[], Any] | None = None

    def passed(self, entry: Entry) -> tuple[list[Any], dict[str, Any]]:
        """As positional and keyword arguments."""
        positional, keywords = [], {}
        for argument in entry.arguments:
            if argument.name in self.arguments:
                value = self.arguments[argument.name]
                if argument.keyword_only:
                    keywords[argument.name] = value
                else:
                    positional.append(value)
        unknown = set(self.arguments) - {a.name for a in entry.arguments}
        assert not unknown, f"{entry.name} has no argument {', '.join(sorted(unknown))}"
        return positional, keywords


@dataclass(frozen=True)
class Failure:
    """What the kernel refuses, and with which errno and filename."""

    arguments: dict[str, Any]
    number: int
    filename: Any = None
    filename2: Any = None


@dataclass(frozen=True)
class Specimen:
    works: Callable[[Lab], Scene]
    blocks: Callable[[Lab], Scene] | str
    fails: Callable[[Lab], Failure] | str


NEVER_WAITS = "the kernel answers at once"
NO_OTHER_FAILURE = "nothing but a bad descriptor fails it"


def content(fd: int) -> bytes:
    """An fd that arrived: what is in it. It is closed."""
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def kind_of(sock: socket.socket) -> tuple[Any, ...]:
    with sock:
        return sock.family, sock.type, sock.proto, os.get_inheritable(sock.fileno())


def who(accepted: tuple[socket.socket, Any]) -> tuple[Any, ...]:
    sock, address = accepted
    with sock:
        assert sock.getpeername() == address
        return sock.family, sock.type, address[0]


def same_stat(result: os.stat_result) -> tuple[Any, ...]:
    # Not st_atime: whoever looked at the file in between has changed it.
    return tuple(getattr(result, name) for name in (
        "st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns",
        "st_ctime_ns", "st_mtime", "st_ctime", "st_blksize", "st_blocks", "st_rdev"))


def letter_of(message: tuple[Any, ...]) -> tuple[Any, ...]:
    data, ancillary, flags, _ = message
    return data, ancillary, flags


def ended(result: os.waitid_result) -> tuple[int, int]:
    return result.si_code, result.si_status


def all_of(part: Specimen) -> Specimen:
    """Of an op that says how many bytes went: one that says nothing, for all have."""
    def uncounted(make: Callable[[Lab], Scene]) -> Callable[[Lab], Scene]:
        def made(lab: Lab) -> Scene:
            scene = make(lab)
            return Scene(scene.arguments, (None, scene.expected[1]), scene.seen, scene.unblock)

        return made

    assert not isinstance(part.blocks, str)
    return Specimen(uncounted(part.works), uncounted(part.blocks), part.fails)
