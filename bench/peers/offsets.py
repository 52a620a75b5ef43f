"""Where to read: random blocks of a file, chosen before the stopwatch starts."""

import itertools
import os
import random

READ_SIZE = 4096
CHOSEN = 1 << 14  # then the same again: random enough for a cache, small enough for ours


def offsets_in(path: str, count: int) -> "itertools.islice[int]":
    """`count` offsets of whole blocks in the file."""
    blocks = os.stat(path).st_size // READ_SIZE
    choose = random.Random(4711)
    chosen = [choose.randrange(blocks) * READ_SIZE for _ in range(min(count, CHOSEN))]
    return itertools.islice(itertools.cycle(chosen), count)
