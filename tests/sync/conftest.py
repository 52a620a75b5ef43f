"""Programs of their own, in files, once per kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sync.scripts import Script


@pytest.fixture
def script(tmp_path: Path, kernel: str) -> Callable[[str], Script]:
    """Make a program of a source text."""
    return lambda source: Script(tmp_path, kernel, source)
