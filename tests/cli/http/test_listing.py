"""Directory pages: every name can be clicked and none can break out of the page."""

from __future__ import annotations

import html
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.listing import ENTRIES_MAX, Entry, entry_of, render_listing

NAMES = st.binary(min_size=1, max_size=30).filter(
    lambda name: name not in (b".", b"..") and not set(name) & {0, ord("/")}
)


class Page(HTMLParser):
    """Tags and links of a page, as a browser would see them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value is not None]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(st.lists(st.builds(Entry, NAMES, st.booleans(), st.none() | st.integers(0, 2**62),
                          st.none() | st.integers(-(2**63), 2**63)), max_size=5))
def test_every_entry_is_linked_and_nothing_else_is_in_the_page(entries: list[Entry]) -> None:
    page = Page(render_listing("/", entries))
    assert page.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "table", "tr",
                         "td", "a"}
    expected = sorted(b"./" + entry.name + (b"/" if entry.directory else b"") for entry in entries)
    assert sorted(map(unquote_to_bytes, page.links)) == expected


def test_order_and_parent() -> None:
    entries = [Entry(b"b", False, 1, 0), Entry(b"z", True, None, 0), Entry(b"a", False, 1, 0)]
    assert Page(render_listing("/sub/", entries)).links == ["../", "./z/", "./a", "./b"]


def test_the_title_is_escaped() -> None:
    page = render_listing("/%3Cscript%3Ealert(1)%3C/script%3E/", []).decode()
    assert "<script" not in page and html.escape("/<script>") in page


def test_a_huge_directory_is_cut_and_says_so() -> None:
    entries = [Entry(b"%d" % i, False, 0, 0) for i in range(ENTRIES_MAX + 3)]
    page = Page(render_listing("/", entries, omitted=4))
    assert len(page.links) == ENTRIES_MAX
    assert "and 7 more" in page.texts


def test_what_a_name_tells(tmp_path: Path) -> None:
    """Sizes of files only, and of links nothing: what they lead to may be outside."""
    (tmp_path / "secret").write_text("not to be measured")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("abc")
    (root / "sub").mkdir()
    os.mkfifo(root / "fifo")
    for name, target in (("gone", "nowhere"), ("out", "../secret"), ("to_sub", "sub")):
        (root / name).symlink_to(target)
    with os.scandir(os.fsencode(root)) as items:
        entries = {entry.name: entry for entry in map(entry_of, items)}
    assert entries[b"file"] == Entry(b"file", False, 3, (root / "file").stat().st_mtime_ns)
    assert entries[b"fifo"] == Entry(b"fifo", False, None, (root / "fifo").stat().st_mtime_ns)
    assert entries[b"sub"].directory and entries[b"sub"].size is None
    assert entries[b"gone"] == Entry(b"gone", False, None, None)
    assert entries[b"out"] == Entry(b"out", False, None, None)
    assert entries[b"to_sub"] == Entry(b"to_sub", True, None, None)


def test_what_is_not_told_is_not_shown() -> None:
    page = render_listing("/", [Entry(b"gone", False, None, None)])
    assert b"<td></td><td></td>" in page and b"1970" not in page
