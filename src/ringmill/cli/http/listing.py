"""A directory as a page of HTML. Knows names, sizes and times; does not read the directory."""

from __future__ import annotations

import html
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ..units import human_size

# A page nobody can read is no service; what is left out is counted at its end.
ENTRIES_MAX = 10_000

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;margin:2rem}}
td{{padding:0 2rem 0 0}}td+td{{text-align:right;font-variant-numeric:tabular-nums}}
</style></head><body><h1>{title}</h1><table>
"""
TAIL = "</table></body></html>\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory. No size and no time where there is none to tell."""

    name: bytes
    directory: bool
    size: int | None
    mtime_ns: int | None


def render_listing(url: str, entries: Iterable[Entry], *, omitted: int = 0) -> bytes:
    """The page for the directory at the (encoded) path `url`: directories first, then by name."""
    ordered = sorted(entries, key=lambda entry: (not entry.directory, entry.name))
    omitted += len(ordered) - len(ordered[:ENTRIES_MAX])
    page = [HEAD.format(title=html.escape(readable_url(url)))]
    if url != "/":
        page.append(row("../", "../", "", ""))
    for entry in ordered[:ENTRIES_MAX]:
        slash = "/" if entry.directory else ""
        # "./" first: a name like "a:b" would otherwise read as a URL with the scheme "a".
        href = "./" + quote_from_bytes(entry.name) + slash
        size = "" if entry.size is None or entry.directory else human_size(entry.size)
        page.append(row(href, readable(entry.name) + slash, size, stamp(entry.mtime_ns)))
    if omitted:
        page.append(row("", f"and {omitted:,} more", "", ""))
    page.append(TAIL)
    return "".join(page).encode()


def row(href: str, name: str, size: str, modified: str) -> str:
    link = f'<a href="{html.escape(href)}">{html.escape(name)}</a>' if href else html.escape(name)
    return f"<tr><td>{link}</td><td>{size}</td><td>{modified}</td></tr>\n"


def readable(name: bytes) -> str:
    """A name as text, whatever its bytes are; what is not UTF-8 is shown, not hidden."""
    return name.decode("utf-8", "backslashreplace")


def readable_url(url: str) -> str:
    return readable(unquote_to_bytes(url))


def stamp(mtime_ns: int | None) -> str:
    if mtime_ns is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(mtime_ns // 10**9))
    except (OverflowError, ValueError, OSError):
        return ""  # a time stamp beyond the calendar


def entry_of(item: os.DirEntry[bytes]) -> Entry:
    """What a directory entry is. Of a symlink only whether it leads to a directory: it may lead
    out of what is served, and the rest is nobody's business."""
    try:
        if item.is_symlink():
            return Entry(item.name, item.is_dir(), size=None, mtime_ns=None)
        facts = item.stat()
    except OSError:  # it has just been removed
        return Entry(item.name, directory=False, size=None, mtime_ns=None)
    size = facts.st_size if stat.S_ISREG(facts.st_mode) else None
    return Entry(item.name, item.is_dir(), size, facts.st_mtime_ns)
