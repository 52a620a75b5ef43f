"""Latencies of wake-ups, and the one line of JSON they end with. Nothing of any runtime."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable

REST_S = 0.0005  # so that whoever is to be woken sleeps


class Wakes:
    """When each was sent, how late each came."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds
        self.late: list[int] = []
        self.sent = 0

    def over(self) -> bool:
        return time.perf_counter() >= self.end

    def came(self) -> None:
        self.late.append(time.perf_counter_ns() - self.sent)

    def tell(self) -> None:
        late = sorted(self.late)
        pick = {"p50_us": 0.5, "p99_us": 0.99, "max_us": 1.0}
        figures = {name: late[min(len(late) - 1, int(len(late) * q))] / 1e3
                   for name, q in pick.items()}  # fmt: skip
        mean = sum(late) / len(late)
        print(json.dumps({**figures, "count": len(late), "rate": 1e9 / mean}))


def sender(wakes: Wakes, turn: threading.Semaphore, wake: Callable[[], object]) -> threading.Thread:
    """A thread that sends one wake-up whenever `turn` is released, until it is over."""

    def work() -> None:
        while turn.acquire() and not wakes.over():
            time.sleep(REST_S)
            wakes.sent = time.perf_counter_ns()
            wake()
        wakes.sent = 0
        wake()  # the last one only says that it is over

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def raise_signal() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
