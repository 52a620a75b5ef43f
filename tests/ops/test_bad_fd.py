"""A bad descriptor gives the same typed error on every kernel and in every face, and leaks nothing.

Which arguments take a descriptor is read from the table; the Specimen gives the others.
"""

from __future__ import annotations

import errno
import gc
import os
import socket
import weakref
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Fileno, Lab
from ops.specimens import Scene, specimen
from ops.trying import started, tried
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES, Argument
from support import faces, machines

KERNELS = machines.EVERY_KERNEL

FD_KINDS = (fields.Fd, fields.ClosingFd, fields.SpliceFd)

EBADF = ("OSError", errno.EBADF)


class Refused(Exception):
    """What a fileno() raises."""


# Ops that look a path up at a directory: which argument is the path, which the directory.
DIR_KINDS = (fields.DirFd, fields.TargetDirFd)
PATH_AT = {"dir_fd": "path", "src_dir_fd": "src", "dst_dir_fd": "dst"}
WITH_DIR = [(name, argument.name) for name, entry in ENTRIES.items()
            for argument in entry.arguments if argument.kind in DIR_KINDS]


def looked_up(name: str, argument: str) -> str:
    """The path of `name` that a dir_fd `argument` is for."""
    return "dst" if name == "symlink" else PATH_AT[argument]


def takes_fd(argument: Argument) -> bool:
    return any(argument.kind is kind for kind in FD_KINDS)


class Owner:
    """An object that closes its descriptor when it goes."""

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder, os.O_RDONLY)

    def fileno(self) -> int:
        return self.fd

    def __del__(self) -> None:
        os.close(self.fd)


WITH_FD = [(name, argument.name) for name, entry in ENTRIES.items()
           for argument in entry.arguments if takes_fd(argument)]

# What is passed, and what is raised.
BAD = {
    "closed": (lambda lab: lab.closed(), EBADF),
    "never opened": (lambda lab: 0x7FFFFFFF, EBADF),
    "negative": (lambda lab: -1, EBADF),
    "very negative": (lambda lab: -(1 << 40), EBADF),
    "too big for a descriptor": (lambda lab: 1 << 31, EBADF),
    "too big for anything": (lambda lab: 1 << 70, ("OverflowError",)),
    "a string": (lambda lab: "1", ("TypeError",)),
    "a float": (lambda lab: 1.0, ("TypeError",)),
    "None": (lambda lab: None, ("TypeError",)),
    "fileno() of a closed one": (lambda lab: Fileno(lab.closed()), EBADF),
    "fileno() is negative": (lambda lab: Fileno(-1), EBADF),
    "fileno() is no number": (lambda lab: Fileno("3"), ("TypeError",)),
    "fileno() raises": (lambda lab: Fileno(Refused("not now")), ("Refused", "not now")),
}


@pytest.mark.parametrize(("name", "argument"), WITH_FD)
@pytest.mark.usefixtures("machine")
def test_bad_fd(lab: Lab, face: str, name: str, argument: str) -> None:
    scene = specimen(name).works(lab)
    good = scene.arguments[argument]
    for how, (make, expected) in BAD.items():
        scene.arguments[argument] = make(lab)
        kind, *error = tried(face, name, scene)
        assert kind == "error", f"{how}: no error, but {error}"
        assert tuple(error[:len(expected)]) == expected, how
    scene.arguments[argument] = good
    assert tried(face, name, scene) == ("value", scene.expected), "it works no longer"


@pytest.mark.parametrize(("name", "argument"), WITH_DIR)
@pytest.mark.usefixtures("machine")
def test_bad_dir_fd(lab: Lab, face: str, name: str, argument: str) -> None:
    scene = specimen(name).works(lab)
    path = looked_up(name, argument)
    scene.arguments[path] = scene.arguments[path].name
    for how, (make, expected) in BAD.items():
        if how in ("closed", "fileno() of a closed one", "None"):
            continue  # found by the kernel; the folder we are in
        scene.arguments[argument] = make(lab)
        kind, *error = tried(face, name, scene)
        assert kind == "error", how
        assert tuple(error[:len(expected)]) == expected, how
    scene.arguments[argument] = lab.directory
    assert tried(face, name, scene) == ("value", scene.expected), "it works no longer"


@pytest.mark.usefixtures("machine")
def test_bad_fds_of_stat(lab: Lab, face: str) -> None:
    scene = specimen("stat").works(lab)
    for bad in (lab.closed(), -1, 0x7FFFFFFF):
        scene.arguments["path"] = bad
        kind, *error = tried(face, "stat", scene)
        assert (kind, *error[:2]) == ("error", "OSError", errno.EBADF)


@pytest.mark.req("U29", "U31", "U33", "U36")
@pytest.mark.parametrize(("name", "argument"), WITH_DIR)
@pytest.mark.usefixtures("machine")
def test_a_closed_dir_fd(lab: Lab, face: str, name: str, argument: str) -> None:
    scene = specimen(name).works(lab)
    path = looked_up(name, argument)
    scene.arguments[path] = scene.arguments[path].name
    scene.arguments[argument] = lab.closed()
    kind, *error = tried(face, name, scene)
    assert (kind, *error[:2]) == ("error", "OSError", errno.EBADF)
    assert scene.arguments[path] in (error[2], error[4])  # a filename
    scene.arguments[argument] = Fileno(lab.directory)
    assert tried(face, name, scene) == ("value", scene.expected)


@pytest.mark.req("U29", "U31", "U33", "U36")
@pytest.mark.parametrize(("name", "argument"), WITH_DIR)
@pytest.mark.usefixtures("machine")
def test_the_dir_fd_stays_open(lab: Lab, name: str, argument: str) -> None:
    """The object that it comes from is kept until the op is done: nobody else may hold it."""
    scene = specimen(name).works(lab)
    path = looked_up(name, argument)
    scene.arguments[path] = scene.arguments[path].name
    folder = Owner(lab.folder)
    gone = weakref.ref(folder)
    scene.arguments[argument] = folder
    op = started(name, scene)
    del folder, scene.arguments[argument]
    gc.collect()
    assert gone() is not None
    assert scene.seen(ringmill.wait(op)) == scene.expected
    del op
    gc.collect()
    assert gone() is None


def test_a_refused_close_detaches_nothing(lab: Lab, machine: Any) -> None:
    class Picky:
        detached = False

        def fileno(self) -> int:
            raise Refused

        def detach(self) -> None:
            self.detached = True

    picky = Picky()
    with pytest.raises(Refused):
        ringmill.close(picky)
    assert not picky.detached
    assert machine.stats()["submitted"] == 0


@pytest.mark.parametrize("on_full", ["wait", "raise"])
def test_a_close_is_beyond_the_budget(lab: Lab, kernel: str, on_full: str) -> None:
    """It is the one thing that helps at the limit, and never stands behind what waits for it."""
    ours, theirs = lab.pair()
    fd = theirs.fileno()
    with machines.make(kernel, ops_max=1, on_full=on_full) as machine:
        op = ringmill.aio.recv(ours, 1)
        if on_full == "wait":
            behind = ringmill.aio.recv(ours, 1)
            assert machine.stats()["ops_in_line"] == 1
        ringmill.close(theirs)
        assert theirs.fileno() == -1 != fd
        assert ringmill.wait(op) == b""
        if on_full == "wait":
            assert ringmill.wait(behind) == b""
        assert theirs.fileno() == -1
    assert ours.recv(1) == b""


@pytest.mark.parametrize("how", ["text", "buffered", "raw"])
@pytest.mark.usefixtures("machine")
def test_a_file_object_closes_itself(lab: Lab, face: str, how: str) -> None:
    """It may have data to write, and it would close the number once more."""
    mode, buffering = {"text": ("r", -1), "buffered": ("rb", -1), "raw": ("rb", 0)}[how]
    with open(lab.folder / "hello", mode, buffering=buffering) as file:
        with pytest.raises(TypeError, match="closes itself"):
            faces.call(face, "close", file)
        assert file.read(5) in ("Hello", b"Hello")


@pytest.mark.parametrize("name", ["accept", "accept_each"])
@pytest.mark.usefixtures("machine")
def test_accept_on_what_does_not_listen(lab: Lab, face: str, name: str) -> None:
    """Nobody will ever come there, so nobody is waited for."""
    datagrams = lab.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    for given, number in ((lab.left, errno.EINVAL), (lab.bound, errno.EINVAL),
                          (datagrams, errno.EOPNOTSUPP), (lab.pipe_out, errno.ENOTSOCK)):
        assert tried(face, name, Scene({"sock": given}))[:3] == ("error", "OSError", number)


def test_every_descriptor_of_the_table_is_tried() -> None:
    tried_ones = set(WITH_FD)
    for name, entry in ENTRIES.items():
        for argument in entry.arguments:
            if argument.kind.stub == "FileDescriptorLike":
                assert (name, argument.name) in tried_ones, (
                    f"{name}({argument.name}): add its kind to FD_KINDS in this file")
