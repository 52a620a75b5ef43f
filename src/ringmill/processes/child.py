"""A program that was started: its number, how it is waited for, signalled and reaped.

It is spawned by `subprocess.Popen`, in the thread that asks: that is a vfork, which keeps the
interpreter's lock until the program begins, so another thread would spare the machine nothing.
It is waited for through a pidfd, which the ring polls: no handler of SIGCHLD, in any thread, and
nobody else's children are touched. Where there are no pidfds (old kernels, sandboxes) waitid(2)
waits for the number.

Knows processes; does not know pipes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from ringmill.ops import aio

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Command: TypeAlias = Path | Sequence[Path]


class Spawning(TypedDict, total=False):
    """How a program is started, as subprocess.Popen has it."""

    executable: Path | None
    preexec_fn: Callable[[], Any] | None
    close_fds: bool
    shell: bool
    cwd: Path | None
    env: Mapping[str, str] | Mapping[bytes, bytes] | None
    restore_signals: bool
    start_new_session: bool
    process_group: int | None
    pass_fds: Collection[int]
    user: str | int | None
    group: str | int | None
    extra_groups: Iterable[str | int] | None
    umask: int


# ioctl PIDFD_GET_INFO (Linux 6.13), and its question PIDFD_INFO_EXIT (6.15), in the first version
# of struct pidfd_info: what to tell, cgroup, 11 numbers, the wait status. See pidfd_open(2).
PIDFD_INFO = struct.Struct("=QQ11Ii")
PIDFD_GET_INFO = 3 << 30 | PIDFD_INFO.size << 16 | 0xFF << 8 | 11
PIDFD_INFO_EXIT = 1 << 3


class Child:
    """Started by __init__, or OSError as subprocess raises it: nothing is left then."""

    pidfd = -1  # of a program that has not been reaped; -1 as well where the system has none

    def __init__(self, command: Command, streams: Mapping[str, Any],
                 options: Spawning) -> None:
        popen: Any = subprocess.Popen
        self.popen: subprocess.Popen[bytes] = popen(command, bufsize=0, **streams, **options)
        self.pid: int = self.popen.pid
        self.parent = os.getpid()
        self.returncode: int | None = None
        self.waiting = 0                # who waits on the pidfd, which therefore stays open
        self.lock = threading.RLock()   # of `waiting`, `pidfd` and who reaps
        self._open_pidfd()

    def _open_pidfd(self) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except OSError:
            return  # not there, forbidden, or no room: the number does as well
        try:
            # Where children are not kept for their parent (SIGCHLD ignored), the number may be
            # somebody else's by now.
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            os.close(pidfd)
        else:
            self.pidfd = pidfd

    def __del__(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)

    def look(self) -> int | None:
        """How it ended, if it has: the exit code, or minus the number of the signal."""
        with self.lock:
            if self.returncode is None:
                self._reap()
            self._let_go()
        return self.returncode

    def _let_go(self) -> None:
        if self.returncode is not None and self.pidfd >= 0 and self.waiting == 0:
            pidfd, self.pidfd = self.pidfd, -1
            os.close(pidfd)

    def _reap(self) -> None:
        kind, number = (os.P_PIDFD, self.pidfd) if self.pidfd >= 0 else (os.P_PID, self.pid)
        try:
            info = os.waitid(kind, number, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            if self.returncode is not None:
                return  # by a signal handler of the program's, in between
            self.returncode = self._code_of_reaped()
        else:
            if info is None:
                return
            killed = info.si_code != os.CLD_EXITED
            self.returncode = -info.si_status if killed else info.si_status
        self.popen.returncode = self.returncode  # it has nothing to warn of any more

    def _code_of_reaped(self) -> int:
        """Somebody else was told how it ended. Linux may know still; else 0, as in subprocess."""
        question = bytearray(PIDFD_INFO.pack(PIDFD_INFO_EXIT, *[0] * 13))
        try:
            fcntl.ioctl(self.pidfd, PIDFD_GET_INFO, question)
        except (OSError, ValueError):
            return 0
        mask, *_, status = PIDFD_INFO.unpack(question)
        return os.waitstatus_to_exitcode(status) if mask & PIDFD_INFO_EXIT else 0

    async def wait(self) -> int:
        """Wait for its end; how it ended."""
        while (code := self.look()) is None:
            with self._waiter():
                if self.pidfd >= 0:
                    await aio.poll(self.pidfd, select.POLLIN)
                else:
                    with contextlib.suppress(ChildProcessError):
                        await aio.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return code

    @contextlib.contextmanager
    def _waiter(self) -> Iterator[None]:
        with self.lock:
            self.waiting += 1
        try:
            yield
        finally:
            with self.lock:
                self.waiting -= 1
                self._let_go()

    def send_signal(self, number: int) -> None:
        """Send it a signal, and nobody else; one that has ended takes no notice."""
        if self.look() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd >= 0:
                signal.pidfd_send_signal(self.pidfd, number)
            else:
                os.kill(self.pid, number)  # not reaped: the number is its own
