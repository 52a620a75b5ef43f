"""`count` items of a supply that begins again when it is used up. Knows nothing of ringmill."""

import itertools
import os
from collections.abc import Iterator


def files_in(folder: str, count: int) -> Iterator[str]:
    """Paths of the files in `folder`."""
    paths = sorted(entry.path for entry in os.scandir(folder))
    return itertools.islice(itertools.cycle(paths), count)
