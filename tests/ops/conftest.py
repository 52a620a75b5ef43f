"""A lab for each test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.trying import until


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On sim no thread waits for a futex: a lab's wake, which leaves the word as it is, meets
    nobody. tests/testing/ has what futexes do there."""
    left_out = [item for item in items if isinstance(item, pytest.Function)
                and (call := getattr(item, "callspec", None)) is not None
                and call.params.get("kernel") == "sim" and "futex_wait" in call.params.values()]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="package", autouse=True)
def _what_is_there_stays() -> Iterator[None]:
    """Each test collects garbage several times; not again and again that of pytest itself."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """What the test needs of files, pipes, sockets and children; closed when it is over."""
    with Lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def machine(machine: Any) -> Iterator[Any]:
    """Iterators were closed, ops dropped: what was asked to end may take a few turns to."""
    yield machine
    if not machine.closed and ringmill.machine() is machine:
        until(lambda: machine.stats()["ops_live"] == 0, "the end of what was in flight")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[int]:
    """A file to write to."""
    fd = os.open(tmp_path / "scratch", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    yield fd
    os.close(fd)


@pytest.fixture
def full() -> Iterator[int]:
    """A disk without room."""
    fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What sys.unraisablehook is told."""
    errors: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: errors.append(told.exc_value))
    return errors
