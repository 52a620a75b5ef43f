"""Signals as something a fiber can wait for.

Python's C handler writes the number of each signal into a socket; the Python handlers do nothing.
So a signal is an ordinary byte that the ring delivers, on every kernel, and none is lost between
two system calls. Main thread only, as for every signal handler.
"""

from __future__ import annotations

import signal
import socket
from types import TracebackType
from typing import Any

import ringmill


class Signals:
    """`with Signals(SIGINT, SIGTERM) as signals: number = signals.next()`"""

    def __init__(self, *numbers: signal.Signals) -> None:
        self.numbers = numbers

    def __enter__(self) -> Signals:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # set_wakeup_fd asks for it
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers_before: dict[signal.Signals, Any] = {
            number: signal.signal(number, lambda *_: None) for number in self.numbers
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._reader.close()
        self._writer.close()

    def next(self) -> int:
        """The next signal's number; only the calling fiber waits."""
        return ringmill.recv(self._reader, 1)[0]
