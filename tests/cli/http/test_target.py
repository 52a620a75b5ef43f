"""Request targets: what leaves parse_target can be opened below a directory, whatever came in."""

from __future__ import annotations

import os
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.target import BadTarget, Location, parse_target

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in (b".", b"..") and not set(name) & {0, ord("/")}
)


@pytest.mark.parametrize(
    ("target", "names", "directory"),
    [
        (b"/", (), True),
        (b"//", (), True),
        (b"/a", (b"a",), False),
        (b"/a/", (b"a",), True),
        (b"/a//b", (b"a", b"b"), False),
        (b"/a/./b", (b"a", b"b"), False),
        (b"/a/../b", (b"b",), False),
        (b"/a/%2e%2E/b", (b"b",), False),
        (b"/a/b/..", (b"a",), True),
        (b"/a/.", (b"a",), True),
        (b"/a%20b%ff", (b"a b\xff",), False),
        (b"/%252e%252e/x", (b"%2e%2e", b"x"), False),
        (b"/...", (b"...",), False),
        (b"http://host/a", (b"a",), False),
        (b"HTTP://host:80", (), True),
        (b"https://host?q", (), True),
    ],
)
def test_what_a_target_names(target: bytes, names: tuple[bytes, ...], directory: bool) -> None:
    location = parse_target(target)
    assert (location.names, location.directory) == (names, directory)


@pytest.mark.parametrize(
    "target",
    [
        b"", b"a", b"*", b"host:80", b"ftp://host/a", b"http:///a",
        b"/..", b"/../etc/passwd", b"/a/../../etc", b"/%2e%2e/x", b"/.%2e/x",
        b"/a%00b", b"/%00", b"/a%2fb", b"/..%2fetc", b"/%2Fetc",
        b"/a%", b"/a%4", b"/a%zz", b"/a#b", b"/a b", b"/a\nb", b"/\xff",
    ],
)  # fmt: skip
def test_targets_that_are_refused(target: bytes) -> None:
    with pytest.raises(BadTarget):
        parse_target(target)


@given(st.binary(max_size=60) | st.text("/.%2eEfF0aAZ?#:*hp", max_size=40).map(str.encode))
def test_nothing_leads_outside(target: bytes) -> None:
    try:
        location = parse_target(target)
    except BadTarget:
        return
    for name in location.names:
        assert name not in (b"", b".", b"..")
        assert not set(name) & {0, ord("/")}
    assert not location.path.startswith(b"/")
    root = b"/root/of/it"
    assert os.path.normpath(root + b"/" + location.path).startswith(root)


@given(st.lists(NAMES, max_size=4), st.booleans())
def test_every_name_can_be_reached(names: list[bytes], slash: bool) -> None:
    target = "/" + "/".join(quote_from_bytes(name) for name in names)
    location = parse_target((target + ("/" if slash else "")).encode())
    assert location.names == tuple(names)
    assert location.directory == (slash or not names)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_url_is_the_way_back_and_stays_on_this_server(names: list[bytes]) -> None:
    url = Location(tuple(names), directory=False).url(directory=True)
    assert url.startswith("/") and not url.startswith("//")
    assert "\\" not in url and url.isascii() and url.isprintable()
    assert parse_target(url.encode()) == Location(tuple(names), directory=True)


def test_a_redirect_to_another_host_cannot_be_provoked() -> None:
    assert parse_target(b"//elsewhere.example").url(directory=True) == "/elsewhere.example/"
    assert parse_target(b"/%5c%5celsewhere").url(directory=True) == "/%5C%5Celsewhere/"
