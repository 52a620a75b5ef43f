"""Specimens of the ops that wait for children and for words in memory."""

from __future__ import annotations

import errno
import os
import select
from typing import Any

from ops.lab import Lab, wake
from ops.specimens.scene import NEVER_WAITS, Failure, Scene, Specimen, ended


def waitid_works(lab: Lab) -> Scene:
    return Scene({"idtype": os.P_PID, "id": lab.child(), "options": os.WEXITED},
                 (os.CLD_EXITED, 7), ended)


def waitid_waits(lab: Lab) -> Scene:
    pid, end = lab.waiting_child()
    return Scene({"idtype": os.P_PID, "id": pid, "options": os.WEXITED},
                 (os.CLD_EXITED, 7), ended, end)


def waitid_fails(lab: Lab) -> Failure:
    return Failure({"idtype": os.P_PID, "id": os.getpid(), "options": os.WEXITED}, errno.ECHILD)




def futex_wait_waits(lab: Lab) -> Scene:
    word = bytearray(4)
    return Scene({"word": word, "value": 0}, True, unblock=lambda: wake(word))


def no_bit(lab: Lab, **more: Any) -> Failure:
    return Failure({"word": lab.word, "mask": 0, **more}, errno.EINVAL)


def epoll_works(lab: Lab) -> Scene:
    return Scene({"epoll": lab.watching}, [(lab.pipe_in, select.EPOLLOUT)])


def epoll_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"epoll": lab.epoll(source)}, [(source, select.EPOLLIN)],
                 unblock=lambda: os.write(target, b"late"))


SPECIMENS: dict[str, Specimen] = {
    "waitid": Specimen(waitid_works, waitid_waits, waitid_fails),
    "epoll_wait": Specimen(epoll_works, epoll_waits,
                           lambda lab: Failure({"epoll": lab.pipe_out}, errno.EINVAL)),
    "futex_wait": Specimen(lambda lab: Scene({"word": lab.word, "value": 1}, False),
                           futex_wait_waits, lambda lab: no_bit(lab, value=0)),
    "futex_wake": Specimen(lambda lab: Scene({"word": lab.word, "n": 1}, 0),
                           NEVER_WAITS, lambda lab: no_bit(lab, n=1)),
}
