"""fsync goes through the ring: not one fsync(2), and what was begun together is one enter."""

from __future__ import annotations

import re
import shutil

import pytest

from support import programs


@pytest.mark.req("U27")
@pytest.mark.parametrize("datasync", [False, True])
def test_in_system_calls(kernel, tmp_path, datasync):
    """Counted from outside; that it is IORING_OP_FSYNC the entry says, and test_generated.py."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    programs.clean("""
        import os, sys
        import ringmill
        from ringmill import aio
        datasync = sys.argv[2] == "True"
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
        ringmill.machine()
        ringmill.nop()
        os.write(1, b"begin")
        for n in range(20):
            ringmill.fsync(fd, datasync=datasync)
        os.write(1, b"end")
        os.close(fd)
    """, tmp_path / "file", datasync, kernel=kernel,
        before=(strace, "-f", "-o", str(trace), "-e", "trace=all"))
    text = trace.read_text()
    begun, ended = text.index('"begin"'), text.index('"end"')
    calls = re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)\(", text[begun:ended], re.MULTILINE)
    syncs = [name for name in calls if name in ("fsync", "fdatasync", "sync_file_range")]
    if kernel == "soft":
        assert syncs == ["fdatasync" if datasync else "fsync"] * 20  # its job: the right one
    else:
        assert syncs == []
        assert 20 <= calls.count("io_uring_enter") <= 22
