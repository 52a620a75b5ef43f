"""Specimens of the ops on names."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.lab import HELLO, Lab
from ops.specimens.scene import NEVER_WAITS, Failure, Scene, Specimen


def kind(path: Path) -> str:
    """What is there, as a word."""
    if path.is_symlink():
        return f"a link to {os.readlink(path)}"
    if path.is_dir():
        return "a folder"
    return path.read_bytes().decode() if path.exists() else "nothing"


def seen_at(*paths: Path) -> Callable[[Any], Any]:
    return lambda result: (result, *(kind(path) for path in paths))


def mkdir_works(lab: Lab) -> Scene:
    path = lab.folder / "made"
    return Scene({"path": path}, (None, "a folder"), seen_at(path))


def mkdir_fails(lab: Lab) -> Failure:
    return Failure({"path": lab.folder / "hello"}, errno.EEXIST, lab.folder / "hello")


def unlink_works(lab: Lab) -> Scene:
    path = lab.folder / "hello"
    return Scene({"path": path}, (None, "nothing"), seen_at(path))


def rmdir_works(lab: Lab) -> Scene:
    path = lab.folder / "to go"
    path.mkdir()
    return Scene({"path": path}, (None, "nothing"), seen_at(path))


def rmdir_fails(lab: Lab) -> Failure:
    return Failure({"path": lab.folder}, errno.ENOTEMPTY, lab.folder)


def symlink_works(lab: Lab) -> Scene:
    path = lab.folder / "soft link"
    return Scene({"src": "anything", "dst": path}, (None, "a link to anything"), seen_at(path))


def symlink_fails(lab: Lab) -> Failure:
    path = lab.folder / "hello"
    return Failure({"src": "anything", "dst": path}, errno.EEXIST, "anything", path)


def link_works(lab: Lab) -> Scene:
    source, target = lab.folder / "hello", lab.folder / "hard link"
    return Scene({"src": source, "dst": target}, (None, True),
                 lambda result: (result, os.path.samefile(source, target)))


def link_fails(lab: Lab) -> Failure:
    path = lab.folder / "hello"
    return Failure({"src": path, "dst": path}, errno.EEXIST, path, path)


def rename_works(lab: Lab) -> Scene:
    source, target = lab.folder / "hello", lab.folder / "goodbye"
    target.write_bytes(b"in the way")
    return Scene({"src": source, "dst": target}, (None, "nothing", HELLO.decode()),
                 lambda result: (result, kind(source), target.read_bytes().decode()))


def rename_fails(lab: Lab) -> Failure:
    missing, target = lab.folder / "missing", lab.folder / "goodbye"
    return Failure({"src": missing, "dst": target}, errno.ENOENT, missing, target)


def missing(lab: Lab) -> Failure:
    path = lab.folder / "missing"
    return Failure({"path": path}, errno.ENOENT, path)


def getxattr_works(lab: Lab) -> Scene:
    path = lab.folder / "hello"
    os.setxattr(path, lab.attribute, b"blue")
    return Scene({"path": path, "attribute": lab.attribute}, b"blue")


def getxattr_fails(lab: Lab) -> Failure:
    path = lab.folder / "hello"
    return Failure({"path": path, "attribute": lab.attribute}, errno.ENODATA, path)


def setxattr_works(lab: Lab) -> Scene:
    path = lab.folder / "hello"
    return Scene({"path": path, "attribute": lab.attribute, "value": bytearray(b"red")},
                 (None, b"red"), lambda result: (result, os.getxattr(path, lab.attribute)))


def setxattr_fails(lab: Lab) -> Failure:
    path = lab.folder / "hello"
    return Failure({"path": path, "attribute": lab.attribute, "value": b"red",
                    "flags": os.XATTR_REPLACE}, errno.ENODATA, path)


SPECIMENS: dict[str, Specimen] = {
    "mkdir": Specimen(mkdir_works, NEVER_WAITS, mkdir_fails),
    "unlink": Specimen(unlink_works, NEVER_WAITS, missing),
    "rmdir": Specimen(rmdir_works, NEVER_WAITS, rmdir_fails),
    "symlink": Specimen(symlink_works, NEVER_WAITS, symlink_fails),
    "link": Specimen(link_works, NEVER_WAITS, link_fails),
    "rename": Specimen(rename_works, NEVER_WAITS, rename_fails),
    "replace": Specimen(rename_works, NEVER_WAITS, rename_fails),
    "getxattr": Specimen(getxattr_works, NEVER_WAITS, getxattr_fails),
    "setxattr": Specimen(setxattr_works, NEVER_WAITS, setxattr_fails),
}
