"""Ops that wait for children, for other descriptors, and for words in memory."""

from __future__ import annotations

from ringmill.ops.entry import at_once, in_own_worker, op, when_readable
from ringmill.ops.fields import (
    Count,
    EventRoom,
    Fd,
    HowMany,
    Number,
    NumberAsFd,
    Ready,
    Waited,
    Woken,
    Word,
)


@op("WAITID", soft=in_own_worker("rm_do_waitid((int)idtype, id, info, (int)options)"))
def waitid(idtype: Number("len"), id: NumberAsFd(), options: Number("file_index")) -> Waited:
    """Wait for a child to change state, as os.waitid does. See waitid(2).

    None when os.WNOHANG is given and no child is in that state. idtype os.P_PIDFD waits for the
    child of a descriptor of os.pidfd_open, which no other process can take the number of.

    >>> waitid(os.P_PID, child(), os.WEXITED).si_status
    7
    """


@op("EPOLL_WAIT", soft=when_readable("rm_do_epoll_wait(epoll, events, n, nowait)"))
def epoll_wait(epoll: Fd, maxevents: EventRoom = 64) -> Ready:
    """Wait until descriptors of a select.epoll are ready: (descriptor, events) each.

    At most `maxevents` of them, at least one; for no longer than you like: ringmill.timeout. See
    epoll_wait(2).

    >>> epoll_wait(watching) == [(pipe_in, select.EPOLLOUT)]
    True
    """


@op("FUTEX_WAIT", soft=in_own_worker(
    "rm_result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, NULL, NULL, mask))"))
def futex_wait(word: Word, value: Number("addr2"), *,
               mask: Number("addr3") = 0xFFFFFFFF) -> Woken:
    """Wait while the 32-bit `word` holds `value`, until somebody wakes it; see futex(2).

    True when it was woken; False, at once, when the word holds another value. Wake-ups may be
    for another reason, so look again at what you wait for. word: a writable buffer whose address
    is a multiple of 4, private or shared with other processes. mask: only a wake with one of
    these bits is for us.

    >>> futex_wait(word, 1)
    False
    """


@op("FUTEX_WAKE", soft=at_once(
    "n ? rm_result(syscall(SYS_futex, word, FUTEX_WAKE_BITSET, n, NULL, NULL, mask)) : 0"))
def futex_wake(word: Word, n: HowMany, *, mask: Number("addr3") = 0xFFFFFFFF) -> Count:
    """Wake up to `n` of those who wait for `word`, in any process; how many it were.

    >>> futex_wake(word, 1)
    0
    """
