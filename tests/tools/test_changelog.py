"""The changelog tool: fragments in, one entry out, newest first."""

from __future__ import annotations

import pytest

from support import tools
from support.tidy_sources import ROOT

changelog = tools.load("changelog")


def test_entries_by_kind(tmp_path):
    (tmp_path / "README.md").write_text("# not a fragment")
    (tmp_path / "b.bugfix.md").write_text("Mends b.\nTwo lines.\n")
    (tmp_path / "a.feature.md").write_text("Adds a.\n")
    text = changelog.entry("0.2.0", "2026-01-31", changelog.fragments(tmp_path))
    assert text == ("## 0.2.0 (2026-01-31)\n\n### Added\n\n- Adds a.\n\n"
                    "### Fixed\n\n- Mends b.\n  Two lines.\n")


def test_newest_comes_first():
    first = changelog.released("# Changelog\n\nWords.\n", "## 0.1.0 (x)\n")
    assert first == "# Changelog\n\nWords.\n\n## 0.1.0 (x)\n"
    assert changelog.released(first, "## 0.2.0 (y)\n") == (
        "# Changelog\n\nWords.\n\n## 0.2.0 (y)\n\n## 0.1.0 (x)\n")


@pytest.mark.parametrize("name", ["a.fix.md", "feature.md"])
def test_an_unknown_kind_is_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match="kind"):
        changelog.fragments(tmp_path)


def test_our_own_fragments_are_well_named():
    changelog.fragments(ROOT / "changes")
