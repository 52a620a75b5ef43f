"""`watch`: what happens to a file, or to a folder and all below it, as something to iterate over.

Waits for the queue of events, lets the keeper make sense of them, and gives out one at a time.
Written once; the two classes below have the iterators' names of their face.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from ringmill.errors import ClosedError
from ringmill.face.spawn import drive, yield_now_op
from ringmill.face.timeout import timeout
from ringmill.ops import aio
from ringmill.watching.events import Change, WatchEvent
from ringmill.watching.keeper import Keeper

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

SCANS_MAX = 8  # folders looked at before others may run


class Watching:
    """What both faces share."""

    def __init__(self, path: StrOrBytesPath, *, recursive: bool = False,
                 only: Collection[Change] | None = None) -> None:
        self._keeper = Keeper(path, recursive, only)
        self._process = os.getpid()
        self._busy = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._keeper.shown!r}{' closed' * self._closed}>"

    @property
    def closed(self) -> bool:
        """Whether it is over: by close(), or because the path is gone."""
        return self._closed

    def close(self) -> None:
        """End the iteration, for who waits as well. Again: does nothing."""
        self._keeper.queue.close()  # refuses a foreign thread
        self._closed = True

    async def _next(self) -> WatchEvent | None:
        """The next event; None after the last."""
        if self._closed:
            return None
        if os.getpid() != self._process:
            raise ClosedError("a watch does not survive a fork: its events are the parent's")
        if self._busy:
            raise RuntimeError("another fiber or task is iterating over this watch")
        self._busy = True
        try:
            return await self._find()
        except ClosedError:
            if self.closed:
                return None
            raise
        finally:
            self._busy = False

    async def _find(self) -> WatchEvent | None:
        keeper = self._keeper
        while True:
            if keeper.todo and not keeper.lost:
                await self._look()  # first: who is told of a folder may count on its being watched
            elif keeper.ready:
                return keeper.ready.popleft()
            elif keeper.gone:
                self.close()
                return None
            elif keeper.lost:
                await self._rescan()
            elif not keeper.raw:
                await self._read()
            elif (wait := keeper.digest(time.monotonic())) > 0:
                await self._read(wait)

    async def _look(self) -> None:
        """Scan all that is to be scanned, a few at a time."""
        keeper = self._keeper
        while keeper.todo:
            for _ in range(min(SCANS_MAX, len(keeper.todo))):
                keeper.scan_next()
            keeper.take_in(time.monotonic())
            await yield_now_op()

    async def _rescan(self) -> None:
        self._keeper.rescan()
        if not self._keeper.gone:
            await self._look()
            self._keeper.rescanned()

    async def _read(self, wait: float | None = None) -> None:
        """Have more in the keeper's hands, or (with a limit) have waited so many seconds."""
        keeper = self._keeper
        if keeper.take_in(time.monotonic()):
            await yield_now_op()  # however much comes, others may run between
            return
        block = timeout(wait)
        try:
            async with block:
                await keeper.queue._wait(aio.poll(keeper.queue.fileno(), select.POLLIN))
        except TimeoutError:
            if not block.expired:
                raise
        else:
            keeper.take_in(time.monotonic())


@final
class watch(Watching):
    """What happens to `path`, event by event, for `for`.

    >>> with ringmill.watch(folder) as events:
    ...     path = folder / "new"
    ...     fd = ringmill.open(path, os.O_CREAT | os.O_WRONLY)
    ...     next(events).change
    <Change.CREATED: 'created'>

    path: a file, or a folder: what happens to the entries in it. recursive: and in all folders
    below it, also in those that come later, about which is told what was in them already. only:
    the changes to be told of, all of them by default.

    Whoever applies the events to what was there at the beginning knows what is there: of a folder
    that is DELETED or MOVED everything below it goes along. When the kernel had to drop events
    (fs.inotify.max_queued_events), all is looked at anew: RESCANNED is told, then what was deleted
    and created; what was changed in between must then be looked at by the program. GONE, of the
    watched path itself, is the last event. UNWATCHED is a folder that may not be read, or that is
    mounted at a second place.

    OSError when it cannot be watched; ENOSPC, also while iterating, when the user has no more
    watches: iterate on once there are some, and RESCANNED will be told. A dropped one is closed.
    """

    def __init__(self, path: StrOrBytesPath, *, recursive: bool = False,
                 only: Collection[Change] | None = None) -> None:
        super().__init__(path, recursive=recursive, only=only)
        try:
            drive(self._look())
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchEvent:
        event = drive(self._next())
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


@final
class async_watch(Watching):
    """What happens to `path`, event by event, for `async for`; see ringmill.watch.

    With recursive=True the folders below are looked at when `async with` begins, or with the first
    event that is asked for; what happened in them before that is not told.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """The same as close(), for contextlib.aclosing."""
        self.close()

    async def __aenter__(self) -> Self:
        try:
            await self._look()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()
