"""What the lying kernel shares with Python, as type checkers see it."""
from collections.abc import Sequence
from typing import Self, final

FAULTS_MAX: int
RATES: tuple[str, ...]
WHATS: tuple[str, ...]

@final
class Lies:
    def __new__(
        cls, seed: int, rates: Sequence[float], *, delay_ns: int, patience_ns: int,
        faults: Sequence[tuple[int, int, float]] = (),
    ) -> Self: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def fingerprint(self) -> int: ...
    @property
    def clock_ns(self) -> int: ...
    def story(self) -> list[tuple[int, str, int, int, int]]: ...
