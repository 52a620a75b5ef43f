"""From rounds to figures: medians, their spread, and ratios. Pure: knows numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Summary:
    """What several rounds said: the middle, and how far apart they were."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        if not values:
            raise ValueError("no round, no figure")
        return cls(median(values), min(values), max(values), tuple(values))


def ratio(ours: Summary, theirs: Summary, *, higher_is_better: bool) -> Summary | None:
    """How many times better we are (> 1), round by round: neighbours in time share its noise.

    None when a peer's figure is 0, as no number of times would be true then.
    """
    above, below = (ours, theirs) if higher_is_better else (theirs, ours)
    # A contender that failed in a late round has fewer values: its pairs are the first ones.
    pairs = list(zip(above.values, below.values, strict=False))
    if any(b == 0 for _, b in pairs):
        return None
    return Summary.of([a / b for a, b in pairs])


def figure(value: float) -> str:
    """Three digits that matter, and no more: `184000` -> `184,000`, `0.9613` -> `0.961`."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000:
        digits = len(str(int(size))) - 3
        return f"{round(value / 10**digits) * 10**digits:,}"
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def spread(summary: Summary) -> str:
    """`181,000 (176,000-186,000)`; one round has no spread."""
    if len(summary.values) == 1:
        return figure(summary.median)
    return f"{figure(summary.median)} ({figure(summary.low)}-{figure(summary.high)})"
