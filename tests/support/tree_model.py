"""What a program knows that applies the events of a watch to the names that were there before.

Knows events; compares with what os.walk finds.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from ringmill import Change, WatchEvent


class Model:
    """`names`: every path below the root, relative to it, and whether it is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = look(root)
        self.told: list[WatchEvent] = []

    def relative(self, path: str | bytes | None) -> str:
        assert path is not None
        return os.path.relpath(os.fsdecode(path), self.root)

    def apply(self, event: WatchEvent) -> None:
        self.told.append(event)
        path = self.relative(event.path)
        if event.change is Change.CREATED:
            self.remove(path)
            self.put(path, event.is_dir)
        elif event.change is Change.DELETED:
            assert path in self.names, f"{event}: never told of"
            self.remove(path)
        elif event.change is Change.MOVED:
            source = self.relative(event.source)
            assert source in self.names, f"{event}: never told of"
            self.remove(path)
            for name in self.below(source):
                self.put(path + name.removeprefix(source), self.names.pop(name))

    def put(self, path: str, is_dir: bool) -> None:
        parent = os.path.dirname(path)
        assert not parent or self.names.get(parent), f"{path} was told of before its folder"
        self.names[path] = is_dir

    def below(self, path: str) -> list[str]:
        """It and all in it, parents first."""
        return sorted(name for name in self.names if name == path or name.startswith(path + "/"))

    def remove(self, path: str) -> None:
        for name in self.below(path):
            del self.names[name]

    def changes(self) -> list[tuple[Any, ...]]:
        """What was told, in short."""
        return [(event.change.value, self.relative(event.path),
                 *([self.relative(event.source)] if event.source else []))
                for event in self.told]


def look(root: Path) -> dict[str, bool]:
    """What there is."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = name in folders and not os.path.islink(path)
    return found


def exchange(one: Path, other: Path) -> None:
    """renameat2 with RENAME_EXCHANGE: both change places at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) != 0:
        raise OSError(ctypes.get_errno(), "renameat2", str(one))
