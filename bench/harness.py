"""Ask one question of many contenders, round by round, so that all of them share the noise.

Knows: contenders, cells, rounds. Must not know: how a thing is run or measured (the question hands
in a function), nor how the answer is told.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.stats import Summary, ratio

ROUNDS = 5  # fewer medians lie; more only narrow them
SECONDS = 1.0  # per measurement: long beside a scheduler tick, short beside one's patience
QUICK_ROUNDS = 2  # enough to see that the interleaving works
QUICK_SECONDS = 0.2


class Missing(Exception):
    """This contender cannot run here: a dash in the table. The text says why."""


class Failed(Exception):
    """This contender ran and went wrong: told as such, and the run's status is 1."""


@dataclass(frozen=True)
class Plan:
    """How thoroughly to ask."""

    rounds: int = ROUNDS
    seconds: float = SECONDS
    quick: bool = False
    strace: bool = True  # count system calls too, in rounds that are not timed
    development: bool = False  # take ringmill from the Python that runs the harness

    @classmethod
    def short(cls) -> "Plan":
        return cls(rounds=QUICK_ROUNDS, seconds=QUICK_SECONDS, quick=True, strace=False)


@dataclass(frozen=True)
class Contender:
    """One program that answers the question. `program` lies in `peers/` (.py) or in `c/` (.c)."""

    name: str
    program: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # modules without which it is missing
    against: tuple[str, ...] = ()  # names of those it is compared with

    @property
    def ours(self) -> bool:
        return "ringmill" in self.needs


@dataclass(frozen=True)
class Metric:
    """One column. Ratios are made of the first of a question, and of those with a `word`."""

    name: str  # as in the measured dict
    title: str
    higher_is_better: bool = False
    word: str = ""  # that tells this ratio from the first one: `2.1 x gevent (CPU 2.3)`


Figures = dict[str, float]
Measure = Callable[[Contender, str], Figures]


@dataclass
class Row:
    """What became of one contender in one cell."""

    cell: str
    contender: Contender
    rounds: list[Figures] = field(default_factory=list)
    absent: str | None = None  # why it, or one of its figures, is a dash
    error: str | None = None  # what went wrong

    def summary(self, metric: str) -> Summary | None:
        values = [figures[metric] for figures in self.rounds if metric in figures]
        return Summary.of(values) if values else None


@dataclass
class Answer:
    """All of one question, ready to be told."""

    name: str
    question: str
    metrics: tuple[Metric, ...]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(row.error for row in self.rows)

    def row(self, cell: str, name: str) -> Row | None:
        found = [row for row in self.rows if row.cell == cell and row.contender.name == name]
        return found[0] if found else None

    @property
    def compared(self) -> tuple[Metric, ...]:
        return (self.metrics[0], *(metric for metric in self.metrics[1:] if metric.word))

    def ratios(self, row: Row) -> dict[str, dict[str, Summary]]:
        """By rival, then by metric: how many times better this row is."""
        found: dict[str, dict[str, Summary]] = {}
        for name in row.contender.against:
            if other := self.row(row.cell, name):
                times = {m.name: times_better(row, other, m) for m in self.compared}
                known = {metric: summary for metric, summary in times.items() if summary}
                if known:
                    found[name] = known
        return found


def times_better(row: Row, other: Row, metric: Metric) -> Summary | None:
    ours, theirs = row.summary(metric.name), other.summary(metric.name)
    if ours is None or theirs is None:
        return None
    return ratio(ours, theirs, higher_is_better=metric.higher_is_better)


def attempt(row: Row, measure: Measure) -> Figures:
    """One measurement, or {} and the reason in the row."""
    try:
        return measure(row.contender, row.cell)
    except Missing as reason:
        row.absent = str(reason)
    except Failed as reason:
        row.error = str(reason)
        print(f"  {row.cell}: {row.contender.name} failed: {reason}", file=sys.stderr, flush=True)
    return {}


def compare(
    plan: Plan,
    cells: Sequence[str],
    contenders: Sequence[Contender],
    measure: Measure,
    once: Measure | None = None,
) -> list[Row]:
    """Measure every contender in every cell: A B C, A B C, ... and not A A A, B B B.

    `once` measures what needs one untimed round only (system calls, allocations). Who is missing
    or failed in a cell is not asked again in that cell.
    """
    rows: list[Row] = []
    for cell in cells:
        here = [Row(cell, contender) for contender in contenders]
        for number in range(plan.rounds):
            print(f"  {cell}: round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
            for row in here:
                if not row.absent and not row.error and (figures := attempt(row, measure)):
                    row.rounds.append(figures)
        for row in here:
            if once and row.rounds and not row.error:
                row.rounds[0].update(attempt(row, once))
        rows += here
    return rows
