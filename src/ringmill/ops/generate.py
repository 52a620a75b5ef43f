"""Make everything that follows from ops/table/: both faces, stubs, the soft kernel's rows, docs.

`python src/ringmill/ops/generate.py` writes the files, `--check` tells which are stale. Runs
without a built ringmill. What comes out is plain code that a reader can step through.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

SRC = Path(__file__).resolve().parents[2]
if __package__ is None or __package__ == "":
    # Run as a script: the package itself may not be built, so only its folders are made known,
    # and no import hook of a development install may offer another tree's modules instead.
    import types
    from importlib.machinery import PathFinder

    sys.meta_path.insert(0, PathFinder)
    for name, folder in (("ringmill", "ringmill"), ("ringmill.ops", "ringmill/ops")):
        module = types.ModuleType(name)
        module.__path__ = [str(SRC / folder)]
        sys.modules[name] = module

from ringmill.ops import table  # noqa: E402, F401
from ringmill.ops.entry import ENTRIES  # noqa: E402
from ringmill.ops.render import RENDERERS  # noqa: E402

if TYPE_CHECKING:
    from ringmill.ops.entry import Entry


def outputs() -> dict[Path, str]:
    """Each generated file and its text."""
    entries: Iterable[Entry] = list(ENTRIES.values())
    root = SRC.parent
    return {root / where: render(entries) for where, render in RENDERERS.items()}


def main(arguments: list[str]) -> int:
    stale = {path: text for path, text in outputs().items()
             if not path.exists() or path.read_text() != text}
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(SRC.parent)} is stale: run `make gen`")
        return 1 if stale else 0
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(SRC.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
