"""write_all on a file that can take only a part: what was written stays where it is, and told.

Linux leaves the file's own position where it was when a worker goes on with a short write and
fails; the rest must not be written over the beginning.
"""

from __future__ import annotations

import errno
import os
import resource

import pytest

from support.faces import call
from support.limits import limited

LIMIT = 100_000


@pytest.mark.parametrize("offset", [None, 0])
@pytest.mark.usefixtures("machine")
def test_a_file_that_may_not_grow(face, tmp_path, offset):
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    data = os.urandom(3 * LIMIT)
    with limited(resource.RLIMIT_FSIZE, LIMIT), pytest.raises(OSError, match="large") as caught:
        call(face, "write_all", fd, data, offset=offset)
    assert caught.value.errno == errno.EFBIG
    assert os.pread(fd, 3 * LIMIT, 0) == data[:LIMIT]
    assert os.lseek(fd, 0, os.SEEK_CUR) == (0 if offset == 0 else LIMIT)
    os.close(fd)
