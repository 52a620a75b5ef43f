"""What a watch tells: plain values."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Change(enum.StrEnum):
    """What happened to a path."""

    CREATED = "created"          # made, linked, or moved in from elsewhere
    DELETED = "deleted"          # removed, or moved to elsewhere; a folder with all that is in it
    MOVED = "moved"              # from `source`; a folder with all that is in it
    MODIFIED = "modified"        # written to, truncated
    WRITTEN = "written"          # closed by somebody who had it open for writing
    ATTRIBUTES = "attributes"    # mode, owner, times, links, extended attributes
    RESCANNED = "rescanned"      # events were lost, and all is looked at anew: see watch
    UNWATCHED = "unwatched"      # a folder that cannot be watched: what happens in it is not told
    GONE = "gone"                # the watched path itself was removed, moved or unmounted: the end


class WatchEvent(NamedTuple):
    """One event. `path` begins as the watched path was given, and is bytes when that was."""

    change: Change
    path: str | bytes
    is_dir: bool = False
    source: str | bytes | None = None  # MOVED: where it was before
