"""A process with less than it wants: limits that are put back when the block ends."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from support import leaks


@contextlib.contextmanager
def limited(what: int, n: int) -> Iterator[None]:
    """The soft limit `what` (resource.RLIMIT_…) is `n`."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (n, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """The next descriptor that anybody opens is one too many: EMFILE."""
    held: list[int] = []
    with limited(resource.RLIMIT_NOFILE, max(leaks.open_fds()) + 1):
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        try:
            yield
        finally:
            for fd in held:
                os.close(fd)
