"""From a file's name to its media type. The same answer on every machine: /etc/mime.types is not
read. Pure."""

from __future__ import annotations

import mimetypes
import os

# What Python's own table lacks and people serve.
MORE = {
    ".cfg": "text/plain",
    ".ini": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".pxd": "text/plain",
    ".pyi": "text/x-python",
    ".pyx": "text/plain",
    ".rst": "text/x-rst",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
TABLE = mimetypes.MimeTypes()
for _extension, _type in MORE.items():
    TABLE.add_type(_type, _extension)

# A compressed file is served as what it is: with Content-Encoding, a download of x.tar.gz would
# arrive unpacked under the same name.
COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/octet-stream",
}
OTHER = "application/octet-stream"


def media_type(name: bytes) -> bytes:
    """The Content-Type of a file called `name`. Text is taken to be UTF-8."""
    # Only the last extension and "./" before it: MimeTypes splits what looks like a URL.
    base = "./" + os.fsdecode(name.rpartition(b"/")[2])
    kind, encoding = TABLE.guess_type(base)
    if encoding is not None:
        kind = COMPRESSED.get(encoding, OTHER)
    kind = kind or OTHER
    return (kind + "; charset=utf-8" if kind.startswith("text/") else kind).encode()
