"""What the fairness servers share: the work of one step, what a ticker saw, the last word.

A fairness server starts TASKS that do `work()` and yield, for ever; a ticker that sleeps PERIOD_S
and writes down how much later than that it was woken; and an echo server. The clock starts with
the first connection and stops with the end of the last: so the load decides how long it runs.
"""

import json
import time
from collections.abc import Sequence

PERIOD_S = 0.001
STEP = range(20)  # one step is about a microsecond of Python: what a task does between awaits
WARM_S = 0.2  # of the first ticks, which are not counted


def work() -> None:
    for _ in STEP:
        pass


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


class Record:
    """Ticks, steps, and how many connections are open."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.steps = 0
        self.open = 0
        self.begun_s = 0.0
        self.steps_begun = 0
        self.over = False

    def opened(self) -> None:
        if not self.begun_s:
            self.begun_s = time.monotonic()
            self.steps_begun = self.steps
        self.open += 1

    def closed(self) -> None:
        """The last one out stops the clock."""
        self.open -= 1
        self.over = self.open == 0

    def tick(self, asked_s: float, woken_s: float) -> None:
        """Only while the load runs, and not its first moments."""
        if self.begun_s and woken_s > self.begun_s + WARM_S and not self.over:
            self.late_s.append(max(0.0, woken_s - asked_s - PERIOD_S))

    def last_word(self) -> None:
        seconds = time.monotonic() - self.begun_s
        late = self.late_s or [seconds]  # never woken: as late as the whole run
        figures = {f"tick_p{n}_us": percentile(late, p) * 1e6 for n, p in PARTS.items()}
        figures |= {"ticks": len(self.late_s), "steps_s": (self.steps - self.steps_begun) / seconds}
        print(json.dumps(figures), flush=True)


PARTS = {"50": 0.5, "99": 0.99, "999": 0.999}
