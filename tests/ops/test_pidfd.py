"""Children by pidfd: waitid(os.P_PIDFD, …) and poll, which no reuse of a number can mislead."""

from __future__ import annotations

import os
import select
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.trying import until
from ringmill import aio
from support import faces


def pidfd(lab: Lab, pid: int) -> int:
    return lab.kept(os.pidfd_open(pid))


@pytest.mark.usefixtures("machine")
def test_a_child_that_has_ended(lab: Lab, face: str) -> None:
    pid = lab.child()
    fd = pidfd(lab, pid)
    result = faces.call(face, "waitid", os.P_PIDFD, fd, os.WEXITED)
    assert (result.si_pid, result.si_code, result.si_status) == (pid, os.CLD_EXITED, 7)
    with pytest.raises(ChildProcessError):  # it was reaped
        faces.call(face, "waitid", os.P_PIDFD, fd, os.WEXITED)


@pytest.mark.usefixtures("machine")
def test_a_child_that_ends_later(lab: Lab) -> None:
    pid, end = lab.waiting_child()
    fd = pidfd(lab, pid)
    op = aio.waitid(os.P_PIDFD, fd, os.WEXITED)
    readable = aio.poll(fd, select.POLLIN)
    ringmill.sleep(0.002)
    assert not op.done and not readable.done
    end()
    assert ringmill.wait(op).si_pid == pid
    assert ringmill.wait(readable) & select.POLLIN


@pytest.mark.usefixtures("machine")
def test_looking_and_leaving_it(lab: Lab, face: str) -> None:
    pid, end = lab.waiting_child()
    fd = pidfd(lab, pid)
    assert faces.call(face, "waitid", os.P_PIDFD, fd, os.WEXITED | os.WNOHANG) is None
    end()
    for _ in range(2):  # WNOWAIT leaves it for the next
        result = faces.call(face, "waitid", os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
        assert result.si_status == 7
    assert faces.call(face, "waitid", os.P_PIDFD, fd, os.WEXITED).si_pid == pid


def test_cancelled_it_leaves_the_child(lab: Lab, machine: Any) -> None:
    pid, end = lab.waiting_child()
    fd = pidfd(lab, pid)
    op = aio.waitid(os.P_PIDFD, fd, os.WEXITED)
    ringmill.sleep(0.002)
    op.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    end()
    until(lambda: select.select([fd], [], [], 0)[0], "its end")
    assert ringmill.waitid(os.P_PIDFD, fd, os.WEXITED).si_status == 7


@pytest.mark.usefixtures("machine")
def test_what_is_no_pidfd(lab: Lab, face: str) -> None:
    for wrong in (lab.hello, lab.closed()):
        with pytest.raises(OSError):
            faces.call(face, "waitid", os.P_PIDFD, wrong, os.WEXITED)
    with pytest.raises(ChildProcessError):  # a process, but nobody's child
        faces.call(face, "waitid", os.P_PIDFD, pidfd(lab, os.getpid()), os.WEXITED)
