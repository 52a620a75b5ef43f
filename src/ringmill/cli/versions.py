"""Which versions are at work. Knows package metadata and uname."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version


def ringmill_version() -> str:
    return package_version("ringmill")


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown (not installed as a package)"


def all_versions() -> dict[str, str]:
    """What a bug report should say."""
    return {
        "ringmill": ringmill_version(),
        "greenlet": package_version("greenlet"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "Linux": os.uname().release,
        "machine": os.uname().machine,
    }
