"""Keeps the tree of names in step with what inotify tells, and makes events of the difference.

Its invariant: whoever applies the events, in order, to the names that were there at the beginning
has the names that are there. So a name is told of once, however it was learned (by an event, or by
looking at a new folder, or both), and what was missed is made up for.

A folder is watched before it is listed, through one descriptor, so that both are certainly about
the same folder whatever is renamed meanwhile. Nothing here waits; watch.py does.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Collection
from typing import Any

from ringmill.watching import inotify
from ringmill.watching.events import Change, WatchEvent
from ringmill.watching.inotify import Inotify, Raw
from ringmill.watching.tree import DEAD, NONE, STOLEN, Difference, Folder

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
# What a folder must tell, so that its names are known.
NAMES = (inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO
         | inotify.EXCL_UNLINK)
# Told by the root alone; other folders have a parent that tells.
ITSELF = inotify.DELETE_SELF | inotify.MOVE_SELF
THE_END = ITSELF | inotify.UNMOUNT | inotify.IGNORED
TOLD_AS = {inotify.MODIFY: Change.MODIFIED, inotify.CLOSE_WRITE: Change.WRITTEN,
           inotify.ATTRIB: Change.ATTRIBUTES}
ALWAYS = {Change.RESCANNED, Change.UNWATCHED, Change.GONE}
# No fault of the folder's: told to the program, and everything looked at anew when it goes on.
SCARCE = {errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE}

MOVE_WAIT_S = 0.02    # how long the second half of a move may take; the kernel tells both at once
OVERWROTE_MAX = 64    # moves remembered, to tell an exchange from two
RAW_MAX = 1 << 17     # events kept while a large tree is looked at; then the kernel keeps its own
MISSING = Folder(None, "")   # not in the tree


class Keeper:
    """`ready`: what to tell. `todo`: folders to scan() first. `lost`: rescan() before all else."""

    def __init__(self, path: Any, recursive: bool, only: Collection[Change] | None) -> None:
        self.shown: str | bytes = os.fspath(path)
        if not self.shown:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.shown)
        self.path = os.path.join(os.getcwd(), os.fsdecode(self.shown))
        self.recursive = recursive
        self.told = set(Change) if only is None else {*map(Change, only), *ALWAYS}
        self.mask = NAMES | inotify.ATTRIB
        for bit, change in TOLD_AS.items():
            self.mask |= bit if change in self.told else 0
        self.ready: deque[WatchEvent] = deque()
        self.before: Folder | None = None   # the tree as it was told, while it is looked at anew
        self.lost = False
        self.gone = False
        self.begin()

    def begin(self) -> None:
        """A fresh queue, and a tree of which only the root has been looked at."""
        self.queue = Inotify()
        self.folders: dict[int, Folder] = {}       # by the number of their watch
        self.raw: deque[tuple[Raw, float]] = deque()   # with the time it was read
        self.arrivals: dict[int, Raw] = {}         # the MOVED_TO among them, by cookie
        self.overwrote: deque[tuple[Any, ...]] = deque(maxlen=OVERWROTE_MAX)
        self.root = Folder(None, "")
        self.todo: deque[Folder] = deque()
        self.unseen: set[Folder] = set()           # not there when they were looked for
        self.silent = True                         # what is there already is no event
        self.inode: tuple[int, int] | None = None  # of a root that is a file
        try:
            self.scan(self.root)
        except NotADirectoryError:
            self._begin_with_file()
        except BaseException:
            self.queue.close()
            raise

    def _begin_with_file(self) -> None:
        try:
            self.root.watch = self.queue.add(self.path, self.mask & ~NAMES | ITSELF, self.shown)
            found = os.stat(self.path)
        except BaseException:
            self.queue.close()
            raise
        self.inode = found.st_dev, found.st_ino
        self.folders[self.root.watch] = self.root

    def take_in(self, now: float) -> bool:
        """Read what has come; whether anything had."""
        if len(self.raw) >= RAW_MAX:
            return False
        found = self.queue.read()
        for raw in found:
            self.raw.append((raw, now))
            if raw.mask & inotify.MOVED_TO:
                self.arrivals[raw.cookie] = raw
        return bool(found)

    # ── telling ──

    def place(self, folder: Folder) -> str:
        """Where to find a folder."""
        relative = folder.path()
        return os.path.join(self.path, relative) if relative else self.path

    def show(self, relative: str) -> str | bytes:
        if not relative:
            return self.shown
        if isinstance(self.shown, bytes):
            return os.path.join(self.shown, os.fsencode(relative))
        return os.path.join(self.shown, relative)

    def tell(self, change: Change, relative: str, is_dir: bool, source: str | None = None) -> None:
        if change in self.told and (not self.silent or change in ALWAYS):
            self.ready.append(WatchEvent(change, self.show(relative), is_dir,
                                         None if source is None else self.show(source)))

    # ── looking ──

    def scan(self, folder: Folder) -> None:
        """Watch a folder and look at what is in it: whatever differs from what was told is told.

        The root must be there; any other that has vanished is told of by its parent.
        """
        root = folder is self.root
        try:
            fd = os.open(self.place(folder), OPEN | (0 if root else os.O_NOFOLLOW))
        except OSError as error:
            self._not_watched(folder, error)
            return
        try:
            if self._watch(folder, fd):
                self._list(folder, fd)
        except OSError as error:
            self._not_watched(folder, error)
        finally:
            os.close(fd)

    def _not_watched(self, folder: Folder, error: OSError) -> None:
        if folder is self.root or error.errno in SCARCE:
            self.lost = self.lost or folder is not self.root
            raise OSError(error.errno, error.strerror, self.show(folder.path())) from None
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            # It has moved, or a folder above it has: an event will tell to where.
            self.unseen.add(folder)
        else:
            self.tell(Change.UNWATCHED, folder.path(), True)

    def _watch(self, folder: Folder, fd: int) -> bool:
        mask = self.mask | (ITSELF if folder is self.root else 0)
        shown = folder.path()
        try:
            watch = self.queue.add(f"/proc/self/fd/{fd}", mask, shown)
        except FileNotFoundError:  # there is no /proc
            watch = self.queue.add(self.place(folder), mask, shown)
        other = self.folders.get(watch)
        if other is not None and other is not folder:
            # One folder, found at two places.
            try:
                there = os.stat(self.place(other), follow_symlinks=other is self.root)
            except OSError:
                other.watch = STOLEN  # it, or one above it, was moved; that event is to come
                self.unseen.add(other)
            else:
                if os.path.samestat(there, os.fstat(fd)):  # mounted twice: one watch serves both
                    self.tell(Change.UNWATCHED, shown, True)
                    return False
                other.watch = NONE
                self.todo.append(other)
        if folder.watch >= 0 and folder.watch != watch:
            self._forget(folder)
        folder.watch = watch
        self.folders[watch] = folder
        return True

    def _list(self, folder: Folder, fd: int) -> None:
        with os.scandir(fd) as listing:
            found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in listing}
        for name in [name for name in folder.entries if name not in found]:
            self._deleted(folder, name)
        for name, is_dir in found.items():
            known = folder.entries.get(name, MISSING)
            if known is MISSING:
                self._created(folder, name, is_dir)
            elif (known is not None) != is_dir:
                self._deleted(folder, name)
                self._created(folder, name, is_dir)
            elif known is not None and known.watch < 0:
                self._look_later(known)

    def _look_later(self, folder: Folder) -> None:
        if self.recursive:
            self.todo.append(folder)

    def _created(self, folder: Folder, name: str, is_dir: bool) -> None:
        entry = Folder(folder, name) if is_dir else None
        folder.put(name, entry)
        self.tell(Change.CREATED, folder.path(name), is_dir)
        if entry is not None:
            self._look_later(entry)

    def _deleted(self, folder: Folder, name: str) -> None:
        entry = folder.entries.pop(name)
        self.tell(Change.DELETED, folder.path(name), entry is not None)
        self._drop(entry)

    def _drop(self, entry: Folder | None) -> None:
        """Stop watching a folder that is no longer here, and all below it."""
        if entry is not None:
            for folder in entry.walk():
                self._forget(folder)
                folder.watch = DEAD
                self.unseen.discard(folder)

    def _forget(self, folder: Folder) -> None:
        if folder.watch >= 0 and self.folders.get(folder.watch) is folder:
            del self.folders[folder.watch]
            self.queue.remove(folder.watch)
        folder.watch = NONE

    def scan_next(self) -> None:
        """One of `todo`."""
        folder = self.todo.popleft()
        if folder.watch in (NONE, STOLEN):
            self.scan(folder)

    # ── understanding ──

    def digest(self, now: float) -> float:
        """Make of the first raw event what it means. More than 0: wait so many seconds, before,
        for what belongs to it."""
        self.silent = False
        raw, came = self.raw[0]
        folder = self.folders.get(raw.watch)
        mask = raw.mask
        if mask & inotify.MOVED_FROM and folder is not None and raw.cookie not in self.arrivals:
            wait = came + MOVE_WAIT_S - now
            if wait > 0:
                return wait
        self.raw.popleft()
        if mask & inotify.Q_OVERFLOW:
            self.lost = True
        elif mask & inotify.MOVED_TO:
            # Not there: its first half has been told with it.
            if self.arrivals.pop(raw.cookie, None) is not None and folder is not None:
                self._arrived(folder, raw)
        elif folder is None:
            pass  # about what is not ours any more
        elif not raw.name:
            self._itself(folder, mask)
        elif mask & inotify.MOVED_FROM:
            self._left(folder, raw)
        elif mask & inotify.CREATE:
            if raw.name not in folder.entries:  # else it was found by looking
                self._created(folder, raw.name, bool(mask & inotify.ISDIR))
        elif mask & inotify.DELETE:
            if raw.name in folder.entries:  # else it was gone before it was found
                self._deleted(folder, raw.name)
        else:
            self._touched(folder, raw)
        return 0.0

    def _touched(self, folder: Folder, raw: Raw) -> None:
        is_dir = bool(raw.mask & inotify.ISDIR)
        if raw.name not in folder.entries:
            # Files that other hosts make, on a network's file system, are learned of late.
            if not os.path.lexists(os.path.join(self.place(folder), raw.name)):
                return
            self._created(folder, raw.name, is_dir)
        for bit, change in TOLD_AS.items():
            if raw.mask & bit:
                self.tell(change, folder.path(raw.name), is_dir)
        entry = folder.entries[raw.name]
        if entry is not None and entry.watch == NONE and raw.mask & inotify.ATTRIB:
            self._look_later(entry)  # it may have been allowed

    def _arrived(self, folder: Folder, raw: Raw) -> None:
        """Moved in from elsewhere; if something was there, it has been replaced."""
        self._drop(folder.entries.pop(raw.name, None))
        self._created(folder, raw.name, bool(raw.mask & inotify.ISDIR))

    def _left(self, folder: Folder, raw: Raw) -> None:
        """Moved; to where, is told by the event with the same cookie."""
        arrival = self.arrivals.pop(raw.cookie, None)
        target = self.folders.get(arrival.watch) if arrival is not None else None
        if arrival is None or target is None:
            if raw.name in folder.entries:
                self._deleted(folder, raw.name)
            return
        places = (folder, raw.name, target, arrival.name)
        if raw.name not in folder.entries:  # it came and went before it was found
            self._arrived(target, arrival)
            return
        entry = folder.entries[raw.name]
        there = target.entries.get(arrival.name, MISSING)
        if there is not MISSING and there is not None and entry is not None \
                and entry.watch == STOLEN and there.watch >= 0:
            self._deleted(folder, raw.name)  # it has been found, and told, at its new place
            return
        if (*places[2:], *places[:2]) in self.overwrote:
            self.lost = True  # there and back: perhaps two were exchanged, which looks the same
        if there is not MISSING:
            self.overwrote.append(places)
            self._drop(there)
        del folder.entries[raw.name]
        source = folder.path(raw.name)
        target.put(arrival.name, entry)
        self.tell(Change.MOVED, target.path(arrival.name), entry is not None, source)
        if entry is not None and self.recursive:
            # Whatever could not be found at a path may be found at another now.
            self.todo += self.unseen
            self.unseen.clear()

    def _itself(self, folder: Folder, mask: int) -> None:
        if folder is not self.root:
            if mask & inotify.UNMOUNT:
                self.lost = True  # what it had covered is visible again
            elif mask & inotify.IGNORED:
                self._forget(folder)
        elif mask & THE_END:
            self._end()
        else:
            for bit, change in TOLD_AS.items():
                if mask & bit:
                    self.tell(change, "", self.inode is None)
            if self.inode is not None and mask & inotify.ATTRIB and not self._same_file():
                self._end()

    def _same_file(self) -> bool:
        """Is the watched file still where it was? A removed one may be open, and so live on."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.inode

    def _end(self) -> None:
        self.tell(Change.GONE, "", self.inode is None)
        self.gone = True

    # ── making up for what was missed ──

    def rescan(self) -> None:
        """Begin anew; when `todo` is done, rescanned() tells."""
        if self.before is None:
            self.before = self.root
        self.queue.close()
        self.lost = True
        try:
            self.begin()
        except (FileNotFoundError, NotADirectoryError):
            self._end()

    def rescanned(self) -> None:
        """Everything is watched again: tell that something was missed, and what differs."""
        before, self.before = self.before, None
        assert before is not None
        self.lost = self.silent = False
        self.tell(Change.RESCANNED, "", self.inode is None)
        difference = Difference(before, self.root)
        for relative, is_dir in difference.deleted:
            self.tell(Change.DELETED, relative, is_dir)
        for relative, is_dir in difference.created:
            self.tell(Change.CREATED, relative, is_dir)
