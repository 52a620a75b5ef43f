"""What io_uring_enter may answer instead of doing it: nothing is lost, nothing is done twice.

Pitfall 8. strace answers in the kernel's place, at every second or third call.
"""

from __future__ import annotations

import re
import shutil

import pytest

from support import programs

PROGRAM = """
    import os, socket, sys
    import ringmill
    from ringmill import aio

    def main():
        left, right = socket.socketpair()
        reader, writer = os.pipe()
        data = os.urandom(1 << 19)
        received = bytearray()
        with ringmill.scope() as s:
            s.spawn(ringmill.sendall, left, data)
            first, second = aio.read(reader, 10), aio.read(reader, 10)
            while len(received) < len(data):
                received += ringmill.recv(right, 5000)
            second.cancel()
            try:
                ringmill.wait(second)
            except ringmill.Cancelled:
                os.write(writer, b"one")
            assert ringmill.wait(first) == b"one"
            try:
                with ringmill.timeout(0.01):
                    ringmill.read(reader, 1)
            except TimeoutError:
                pass
            for op in [aio.nop() for _ in range(3000)]:  # more than the queue holds
                ringmill.wait(op)
            with ringmill.recv_each(right) as each:
                for n in range(50):
                    ringmill.send(left, b"%02d" % n)
                    assert next(each) == b"%02d" % n
        assert received == data
        while machine.stats()["ops_live"]:  # the iteration's op ends a turn later
            ringmill.sleep(0)
        left.close(), right.close()
        os.close(reader), os.close(writer)

    machine = ringmill.Machine(spin=False)
    machine.run(main)
    stats = machine.stats()
    print(stats["ops_live"], stats["stale"], stats["enters"])
    machine.close()
"""


@pytest.mark.parametrize("when", ["3+2", "4+3"])
@pytest.mark.parametrize("error", ["EINTR", "EAGAIN", "EBUSY"])
def test_enter_is_refused_again_and_again(kernel, tmp_path, error, when):
    """Neither an error nor a completion: the entries stay queued and are submitted next time."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("the soft kernel enters nothing")
    trace = tmp_path / "trace"
    out = programs.clean(PROGRAM, kernel=kernel, before=(
        strace, "-f", "-o", str(trace), "-e", "trace=io_uring_enter",
        "-e", f"inject=io_uring_enter:error={error}:when={when}"))
    live, stale, enters = map(int, out.split())
    assert (live, stale) == (0, 0)
    refused = len(re.findall(r"INJECTED", trace.read_text()))
    assert refused > 20 and enters > 2 * 20
