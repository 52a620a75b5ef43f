"""The house rules, kept by a test: each failure is a sentence that says what to change.

The rules themselves are in support/tidy_rules.py, and tests/test_tidy_rules.py shows each of them
a sample it must refuse.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import PurePosixPath

import pytest

from support import tidy_rules as rules
from support.tidy_sources import (
    ROOT,
    Source,
    generated,
    meson_lists,
    repository_files,
    sources,
)

PACKAGE_TOP = "src/ringmill"
BUILD_FILES = {"Makefile", "meson.build", "meson.options"}
BINARY_SUFFIXES = {".png", ".gif", ".woff2", ".ico"}


@pytest.fixture(scope="module")
def package():
    return sources(PACKAGE_TOP + "/")


@pytest.fixture(scope="module")
def written_by_hand():
    made = generated()
    return [source for source in sources() if source.path not in made]


def test_nothing_imports_upwards(package):
    assert not rules.floors(package), "\n".join(rules.floors(package))


def test_no_circle_of_folders(package):
    assert not rules.circles(package, by_room=True)


def test_no_circle_of_files(package):
    assert not rules.circles(package, by_room=False)


def test_sizes(written_by_hand):
    wrong = [sentence for source in written_by_hand for sentence in rules.sizes(source)]
    assert not wrong, "\n".join(wrong)


def test_columns_of_what_builds():
    wrong = []
    for path in repository_files():
        if path.suffix == ".toml" or path.name in BUILD_FILES:
            wrong += rules.columns(Source(path, (ROOT / path).read_text(encoding="utf-8")))
    assert not wrong, "\n".join(wrong)


def test_each_file_says_what_it_is_for():
    wrong = [sentence for source in sources() for sentence in rules.opening(source)]
    assert not wrong, "\n".join(wrong)


def test_nothing_unfinished_and_no_machine_named():
    wrong = []
    for path in repository_files():
        if path.suffix not in BINARY_SUFFIXES:
            text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
            wrong += rules.words(path, text)
    assert not wrong, "\n".join(wrong)


def test_quiet_where_programs_spend_their_time(package):
    wrong = [sentence for source in package for sentence in rules.quiet(source)]
    assert not wrong, "\n".join(wrong)


def test_hot_paths_are_announced_once(written_by_hand):
    wrong = [sentence for source in written_by_hand for sentence in rules.announced_once(source)]
    assert not wrong, "\n".join(wrong)


def test_meson_lists_match_the_folders():
    tables = meson_lists((ROOT / PACKAGE_TOP / "meson.build").read_text(encoding="utf-8"))
    present = [path.relative_to(PACKAGE_TOP) for path in repository_files()
               if path.is_relative_to(PACKAGE_TOP)]
    wrong = rules.listed(tables, present)
    assert not wrong, "\n".join(wrong)


def test_extension_names_are_unique():
    # They are names of meson targets, and meson knows no folders there.
    tables = meson_lists((ROOT / PACKAGE_TOP / "meson.build").read_text(encoding="utf-8"))
    names = [PurePosixPath(path).stem for path in tables["extensions"]]
    assert sorted(names) == sorted(set(names))


def test_generated_files_exist():
    """A pattern in .gitattributes that matches nothing exempts nothing, or soon the wrong thing."""
    for line in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            pattern = line.split()[0].removeprefix("/")
            assert any(path.match(pattern) for path in repository_files()), line


GENERATE = ROOT / PACKAGE_TOP / "ops" / "generate.py"


def test_what_is_generated_is_marked():
    """What the generator writes is exempt from the size rules, and nothing else is."""
    ask = f"import runpy; print(*runpy.run_path({str(GENERATE)!r})['outputs'](), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    written = {PurePosixPath(line).relative_to(ROOT) for line in done.stdout.splitlines()}
    assert written == generated()
