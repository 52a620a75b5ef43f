"""The programs of tools/ as modules, for the tests of what they do. Knows where they are."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from support.tidy_sources import ROOT


def load(name: str) -> ModuleType:
    """tools/<name>.py, which no package holds."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
