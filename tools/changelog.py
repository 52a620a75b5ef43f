"""At a release: move the fragments of changes/ into CHANGELOG.md under a new heading.

    python tools/changelog.py 0.2.0 2026-01-31      (the day, since a tool should not guess it)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"feature": "Added", "bugfix": "Fixed", "removal": "Removed", "doc": "Documentation"}


def fragments(folder: Path) -> dict[str, list[Path]]:
    """The fragments by kind, in the order of KINDS; an unknown kind is an error."""
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        kind = path.stem.rpartition(".")[2]
        if kind not in KINDS or "." not in path.stem:
            raise ValueError(f"{path.name}: its kind is none of {', '.join(KINDS)}")
        found[kind].append(path)
    return {kind: paths for kind, paths in found.items() if paths}


def entry(version: str, day: str, found: dict[str, list[Path]]) -> str:
    """One release as Markdown: a heading, then a list per kind."""
    lines = [f"## {version} ({day})", ""]
    for kind, paths in found.items():
        lines += [f"### {KINDS[kind]}", ""]
        for path in paths:
            text = path.read_text(encoding="utf-8").strip().replace("\n", "\n  ")
            lines.append(f"- {text}")
        lines.append("")
    return "\n".join(lines)


def released(changelog: str, new: str) -> str:
    """`changelog` with the new entry before the newest one."""
    newest = re.search(r"^## ", changelog, re.MULTILINE)
    at = newest.start() if newest else len(changelog)
    return f"{changelog[:at].rstrip()}\n\n{new.rstrip()}\n\n{changelog[at:]}".rstrip() + "\n"


def main(args: list[str]) -> int:
    if len(args) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = fragments(ROOT / "changes")
    if not found:
        print("changes/ holds no fragment: nothing to release", file=sys.stderr)
        return 1
    changelog = ROOT / "CHANGELOG.md"
    new = entry(args[0], args[1], found)
    changelog.write_text(released(changelog.read_text(encoding="utf-8"), new), encoding="utf-8")
    for paths in found.values():
        for path in paths:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
