"""Media types by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.media import media_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a.html", b"text/html; charset=utf-8"),
        (b"dir/b.PNG", b"image/png"),
        (b"README.md", b"text/markdown; charset=utf-8"),
        (b"x.tar.gz", b"application/gzip"),
        (b"x.json", b"application/json"),
        (b"LICENSE", b"application/octet-stream"),
        (b".gitignore", b"application/octet-stream"),
        (b"data:text/html,x", b"application/octet-stream"),  # a name, not a URL
        (b"\xff.css", b"text/css; charset=utf-8"),
    ],
)
def test_types(name: bytes, expected: bytes) -> None:
    assert media_type(name) == expected


@given(st.binary(max_size=40))
def test_any_name_has_one_that_fits_into_a_header(name: bytes) -> None:
    assert media_type(name).isascii() and b"/" in media_type(name)
