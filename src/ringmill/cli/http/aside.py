"""Work that would hold every fiber up, done in a thread while the asking fiber waits.

Knows threads and an eventfd; the only place of the server that does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import ringmill

T = TypeVar("T")

# Listings are rare and mostly hold the interpreter; a second thread only keeps a slow directory
# from holding up a fast one.
THREADS_MAX = 2


class Aside:
    """A few threads, made on first use."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def call(self, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a thread; only the calling fiber waits.

        It waits to the end even when it is cancelled: the thread may be using what the caller is
        about to close.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="aside")
        bell = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            future = self._threads.submit(function, *args)
            future.add_done_callback(lambda _: os.eventfd_write(bell, 1))
            try:
                ringmill.read(bell, 8)
            except BaseException:
                os.read(bell, 8)
                raise
            return future.result()
        finally:
            os.close(bell)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()
