"""The law of this folder: no test leaves a child behind, neither running nor as a zombie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.leaks import settled


def children() -> set[int]:
    """Every child of this process that has not been reaped."""
    tasks = Path("/proc/self/task")
    found = set()
    for task in tasks.iterdir():
        try:
            found |= {int(word) for word in (task / "children").read_text().split()}
        except FileNotFoundError:
            pass  # that thread has ended
    return found


@pytest.fixture(autouse=True)
def _no_child_left() -> Iterator[None]:
    before = children()
    yield
    left = settled(lambda: [str(pid) for pid in sorted(children() - before)])
    assert not left, f"the test left children: {', '.join(left)}"
