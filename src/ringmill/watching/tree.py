"""The folders under a watch, and the names in them: what has been told so far.

A folder knows its parent and its own name, so that moving one, however much is in it, changes two
entries. Knows names; does not know files nor the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

NONE = -1      # a folder that is not watched: not yet, or it cannot be
STOLEN = -2    # its watch turned out to belong to another place, to which it must have moved
DEAD = -3      # it is not in the tree any more


class Folder:
    """`entries`: names in it; a Folder each for folders, None for anything else."""

    __slots__ = ("entries", "name", "parent", "watch")

    def __init__(self, parent: Folder | None, name: str) -> None:
        self.parent = parent
        self.name = name
        self.watch = NONE
        self.entries: dict[str, Folder | None] = {}

    def path(self, name: str = "") -> str:
        """The path of an entry, or of the folder itself, relative to the root."""
        parts = [name] if name else []
        folder: Folder | None = self
        while folder is not None and folder.parent is not None:
            parts.append(folder.name)
            folder = folder.parent
        return "/".join(reversed(parts))

    def put(self, name: str, entry: Folder | None) -> None:
        self.entries[name] = entry
        if entry is not None:
            entry.parent, entry.name = self, name

    def walk(self) -> Iterator[Folder]:
        """This folder and all below it."""
        stack = [self]
        while stack:
            folder = stack.pop()
            yield folder
            stack += [entry for entry in folder.entries.values() if entry is not None]


class Difference:
    """What became of one tree of names: (created, folder of the new tree or old, name, is_dir)."""

    def __init__(self, before: Folder, after: Folder) -> None:
        self.deleted: list[tuple[str, bool]] = []
        self.created: list[tuple[str, bool]] = []
        pairs = [(before, after)]
        while pairs:
            old, new = pairs.pop()
            for name, entry in old.entries.items():
                now = new.entries.get(name)
                if name in new.entries and (now is None) == (entry is None):
                    if entry is not None and now is not None:
                        pairs.append((entry, now))
                else:
                    self.deleted.append((old.path(name), entry is not None))
                    if name in new.entries:
                        self._all_of(new, name)
            for name in new.entries:
                if name not in old.entries:
                    self._all_of(new, name)

    def _all_of(self, folder: Folder, name: str) -> None:
        """An entry and everything in it."""
        entry = folder.entries[name]
        self.created.append((folder.path(name), entry is not None))
        if entry is not None:
            for below in entry.walk():
                self.created += [(below.path(each), what is not None)
                                 for each, what in below.entries.items()]
