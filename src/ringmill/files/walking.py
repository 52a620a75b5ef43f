"""scandir and walk: what is in folders, each entry with its stat result already there.

Reading a folder is a call in a thread, a few entries on; the next folders are read ahead. STATX
ops are begun by the batch, one batch ahead of what the program looks at, so that memory is bounded
however large a folder is.

Knows ops and os.scandir; written once, as batches of entries that both faces hand out one by one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Self

from ringmill.core.op import Op
from ringmill.errors import RingmillError
from ringmill.face.spawn import drive
from ringmill.face.threads import in_thread_op
from ringmill.files.entry import Entry
from ringmill.ops import aio

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
OnError = Callable[[OSError], Any]

LISTED = 1024   # entries of a folder read by one call in a thread
IN_FLIGHT = 64  # STATX ops that are begun together
AHEAD = 4       # folders that are read ahead


class Folder:
    """A folder that is being read, some entries at a time, in a thread."""

    def __init__(self, path: Any, parent: Folder | None, depth: int,
                 identity: tuple[int, int] | None) -> None:
        self.path = path
        self.parent = parent
        self.depth = depth          # 1: what is in it lies directly below the root
        self.identity = identity    # device and inode, where links are followed
        self.iterator: Any = None
        self.reading = False
        self.left = False
        self.begun = False          # … ahead of the others
        self.op: Op[list[os.DirEntry[Any]]] | None = None

    def begin(self) -> None:
        """Have its first entries read."""
        self.begun = self.reading = True
        self.op = in_thread_op(self._read)

    async def more(self) -> list[os.DirEntry[Any]]:
        """The next entries; none at the end."""
        op, self.op = self.op, None
        if op is None:
            self.reading = True
            op = in_thread_op(self._read)
        return await op

    def _read(self) -> list[os.DirEntry[Any]]:
        """In the thread, which closes what it reads when it has been left."""
        entries: list[os.DirEntry[Any]] = []
        try:
            if self.iterator is None:
                self.iterator = os.scandir(self.path)
            entries = list(itertools.islice(self.iterator, LISTED))
            return entries
        finally:
            self.reading = False
            if self.iterator is not None and (self.left or len(entries) < LISTED):
                self.iterator.close()

    def close(self) -> None:
        self.left = True
        if self.op is not None:
            let_go((self.op,))
            self.op = None
        if not self.reading and self.iterator is not None:
            self.iterator.close()

    def lies_in(self, identity: tuple[int, int]) -> bool:
        """Is it, or a folder above it, that one?"""
        folder: Folder | None = self
        while folder is not None:
            if folder.identity == identity:
                return True
            folder = folder.parent
        return False


def let_go(ops: Iterable[Op[Any]]) -> None:
    """Nobody will wait for these."""
    for op in ops:
        op.cancel()
        op.detach()


Begun = list[tuple[os.DirEntry[Any], Op[os.stat_result]]]


class Walker:
    """Batches of entries, folder after folder: first what is in one, then what is in those."""

    def __init__(self, root: AnyPath, *, max_depth: int | None = None,
                 follow_symlinks: bool = False, on_error: OnError | None = None,
                 descend: Callable[[Entry], object] | None = None) -> None:
        if max_depth is not None and max_depth < 1:
            raise ValueError(f"max_depth is 1 or more, not {max_depth}")
        self.max_depth = max_depth
        self.follow = follow_symlinks
        self.on_error = on_error
        self.descend = descend
        self.folder: Folder | None = Folder(os.fspath(root), None, 1, None)
        self.read = False                 # … to its end
        self.listed: list[os.DirEntry[Any]] = []  # what was read of it
        self.begun: Begun = []            # … and is asked about already
        self.below: list[Folder] = []     # folders that were found in it
        self.todo: list[Folder] = []      # folders that come after it, the next one last
        self.ahead = 0                    # of all these, how many are being read

    async def batch(self) -> list[Entry]:
        """The next entries, of one folder; none at the end."""
        try:
            while True:
                if not self.begun:
                    if not self.listed and not await self._list():
                        return []
                    self.begun = self._begin()
                ready, self.begun = self.begun, []
                if self.listed:
                    self.begun = self._begin()
                if entries := await self._found(ready):
                    return entries
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """What was begun is let go of."""
        let_go(op for _, op in self.begun)
        self.begun, self.listed = [], []
        for folder in (self.folder, *self.todo, *self.below):
            if folder is not None:
                folder.close()
        self.folder, self.todo, self.below = None, [], []

    async def _list(self) -> bool:
        """Something in `listed`; False: nothing is left."""
        while (folder := self.folder) is not None:
            if not self.read:
                try:
                    if self.follow and folder.parent is None and folder.identity is None:
                        about = await aio.stat(folder.path)
                        folder.identity = (about.st_dev, about.st_ino)
                    self.listed = await folder.more()
                except OSError as error:
                    self._refused(folder, error)
                self.read = len(self.listed) < LISTED
                if self.listed:
                    return True
            self.todo += reversed(self.below)
            self.below = []
            self.read = False
            self.folder = self.todo.pop() if self.todo else None
            self._read_ahead(self.todo[-AHEAD:])
        return False

    def _refused(self, folder: Folder, error: OSError) -> None:
        if self.on_error is not None:
            self.on_error(error)
        elif folder.parent is None:
            raise error

    def _read_ahead(self, folders: Iterable[Folder]) -> None:
        folder = self.folder
        if folder is not None and folder.begun:
            self.ahead -= 1
            folder.begun = False
        for folder in folders:
            if self.ahead < AHEAD and not folder.begun:
                self.ahead += 1
                folder.begin()

    def _begin(self) -> Begun:
        """STATX of the next entries that were read."""
        some, self.listed = self.listed[:IN_FLIGHT], self.listed[IN_FLIGHT:]
        return [(entry, aio.stat(entry.path, follow_symlinks=False)) for entry in some]

    async def _found(self, begun: Begun) -> list[Entry]:
        """Their results; what has vanished meanwhile is left out."""
        entries = []
        special = []  # links, and folders to descend into
        try:
            for listed, op in begun:
                try:
                    entry = Entry(listed, await op)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    entry = Entry(listed, error)
                entries.append(entry)
                if not listed.is_file(follow_symlinks=False):
                    special.append(entry)
            if links := [entry for entry in special if entry.is_symlink()]:
                await self._follow(links)
        except BaseException:
            let_go(op for _, op in begun)
            raise
        if self.max_depth is None or self.folder is None or self.folder.depth < self.max_depth:
            for entry in special:
                if entry.is_dir(follow_symlinks=self.follow):
                    self._go_below(entry)
        return entries

    async def _follow(self, links: list[Entry]) -> None:
        ops = [aio.stat(entry.path) for entry in links]
        try:
            for entry, op in zip(links, ops, strict=True):
                try:
                    entry.set_led(await op)
                except OSError as error:
                    entry.set_led(error)
        except BaseException:
            let_go(ops)
            raise

    def _go_below(self, entry: Entry) -> None:
        above = self.folder
        if self.descend is not None and not self.descend(entry):
            return
        identity = None
        if self.follow:
            found = entry.stat()
            identity = (found.st_dev, found.st_ino)
            if above is not None and above.lies_in(identity):
                return  # a link that leads back to where we come from
        depth = 1 if above is None else above.depth + 1
        folder = Folder(entry.path, above, depth, identity)
        self.below.append(folder)
        self._read_ahead((folder,))


class Entries:
    """Entries one by one, for fibers and plain scripts; `close()`, or the end of a `with` block,
    ends it early."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._each = self._all(walker)

    @staticmethod
    def _all(walker: Walker) -> Iterator[Entry]:
        while entries := drive(walker.batch()):
            yield from entries

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        return next(self._each)

    def close(self) -> None:
        self._walker.close()
        self._each = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._walker.close()

    def __del__(self) -> None:
        try:
            self._walker.close()
        except RingmillError:
            pass  # another thread's collector: the ops end by themselves


async def each(walker: Walker) -> AsyncIterator[Entry]:
    """Entries one by one, for tasks."""
    try:
        while entries := await walker.batch():
            for entry in entries:
                yield entry
    finally:
        walker.close()


def scandir(path: AnyPath = ".") -> AsyncIterator[Entry]:
    """What is in a folder: entries as os.scandir's, each with its stat result already there.

    `async for entry in scandir(path)`; in the order of the folder. What vanishes meanwhile is left
    out. An entry that may not be asked about is there, and its stat() raises.
    """
    return each(Walker(path, max_depth=1))


def walk(root: AnyPath = ".", *, max_depth: int | None = None, follow_symlinks: bool = False,
         on_error: OnError | None = None,
         descend: Callable[[Entry], object] | None = None) -> AsyncIterator[Entry]:
    """Everything below a folder: entries as those of scandir.

    A folder's entries come together, before those of the folders in it, which follow in the same
    order, each with all that is below it.

    max_depth: 1 is the folder itself. follow_symlinks: descend into folders that links lead to,
    but for those that one comes from. descend: called with each folder found; false leaves it out.
    on_error: called with the OSError of a folder that cannot be read; without it, that of the root
    is raised, others are passed over.
    """
    return each(Walker(root, max_depth=max_depth, follow_symlinks=follow_symlinks,
                       on_error=on_error, descend=descend))


def scandir_call(path: AnyPath = ".") -> Entries:
    return Entries(Walker(path, max_depth=1))


def walk_call(root: AnyPath = ".", *, max_depth: int | None = None,
              follow_symlinks: bool = False, on_error: OnError | None = None,
              descend: Callable[[Entry], object] | None = None) -> Entries:
    return Entries(Walker(root, max_depth=max_depth, follow_symlinks=follow_symlinks,
                          on_error=on_error, descend=descend))


scandir_call.__doc__ = (scandir.__doc__ or "").replace("async for", "for")
walk_call.__doc__ = walk.__doc__
