"""A pytest plugin: which rows of the wish lists did this run prove?

A test says @pytest.mark.req("U17"). With --req-report the run ends with one line per row and fails
when a demanded row (--req-rows, default: all) is not proven. Proven means: at least one of the
row's tests ran and passed, and none failed. A row whose tests were all skipped is not proven.

Knows pytest and tests/requirements.toml; does not know ringmill.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROWS_FILE = Path(__file__).parent.parent / "requirements.toml"


def load_rows(path: Path = ROWS_FILE) -> dict[str, str]:
    """Every row's id and title, in the order of the file."""
    lists = tomllib.loads(path.read_text(encoding="utf-8"))
    return {prefix + number: title for prefix, rows in lists.items()
            for number, title in rows.items()}


@dataclass
class Row:
    """What happened to the tests of one row."""

    title: str
    outcomes: dict[str, str] = field(default_factory=dict)  # test id -> worst outcome so far
    reasons: Counter[str] = field(default_factory=Counter)  # why tests were skipped

    def verdict(self) -> str:
        seen = Counter(self.outcomes.values())
        if not seen:
            return "NO TEST"
        if seen["failed"]:
            return "FAILED"
        return "proven" if seen["passed"] else "SKIPPED"

    def note(self, outcome: str, test: str, reason: str = "") -> None:
        # A test has three phases; a failing teardown (a leak) undoes a passing call.
        worst = {"passed": 1, "skipped": 2, "failed": 3}
        if worst[outcome] >= worst.get(self.outcomes.get(test, ""), 0):
            self.outcomes[test] = outcome
        if outcome == "skipped" and reason:
            self.reasons[reason] += 1


class ReqReport:
    """Collects outcomes while the tests run and prints the rows at the end."""

    def __init__(self, rows: dict[str, str], demanded: list[str]) -> None:
        self.rows = {name: Row(title) for name, title in rows.items()}
        self.demanded = demanded

    def unproven(self) -> list[str]:
        return [name for name in self.demanded if self.rows[name].verdict() != "proven"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]):
        report = yield
        if report.outcome == "passed" and report.when != "call":
            return report
        outcome, reason = report.outcome, ""
        if hasattr(report, "wasxfail"):
            outcome, reason = "skipped", f"expected to fail: {report.wasxfail}"
        elif outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
        for name in rows_of(item):
            self.rows[name].note(outcome, item.nodeid, reason)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unproven() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        terminalreporter.section("what this run proves")
        for name in self.demanded:
            row = self.rows[name]
            verdict = row.verdict()
            count = Counter(row.outcomes.values())
            counts = ", ".join(f"{n} {word}" for word, n in sorted(count.items()))
            terminalreporter.write_line(
                f"{name:4} {verdict:8} {row.title}" + (f"  ({counts})" if counts else ""),
                green=verdict == "proven", red=verdict != "proven")
            for test in sorted({test.split("[")[0] for test in row.outcomes}):
                terminalreporter.write_line(f"       {test}")
            for reason, times in row.reasons.items():
                terminalreporter.write_line(f"       skipped {times}: {reason}")
        missing = self.unproven()
        done = len(self.demanded) - len(missing)
        terminalreporter.write_line(f"{done} of {len(self.demanded)} rows proven")
        if missing:
            terminalreporter.write_line("not proven: " + " ".join(missing), red=True)


def rows_of(item: pytest.Item) -> list[str]:
    return [name for mark in item.iter_markers("req") for name in mark.args]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("requirements")
    group.addoption("--req-report", action="store_true",
                    help="print row by row what is proven; fail when a demanded row is not")
    group.addoption("--req-rows", default="", metavar="T1,U7-U12",
                    help="the rows --req-report demands (default: all of them)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(row, ...): the rows of the wish lists a test proves")
    rows = load_rows()
    config.stash[ROWS_KEY] = rows
    if config.getoption("--req-report"):
        demanded = parse_rows(config.getoption("--req-rows"), rows)
        config.pluginmanager.register(ReqReport(rows, demanded), "ringmill-req-report")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A mistyped row would silently prove nothing, so it stops the run."""
    known = config.stash[ROWS_KEY]
    for item in items:
        for name in rows_of(item):
            if name not in known:
                raise pytest.UsageError(f"{item.nodeid}: no row {name!r} in {ROWS_FILE.name}")


def parse_rows(text: str, rows: dict[str, str]) -> list[str]:
    """`T1,U7-U12` as a list of rows; empty means all."""
    if not text:
        return list(rows)
    demanded = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        prefix, last = first[:1], last or first
        if not (first[1:].isdigit() and last[:1] == prefix and last[1:].isdigit()):
            raise pytest.UsageError(f"--req-rows: {part!r} is neither a row nor a range of rows")
        demanded += [f"{prefix}{n}" for n in range(int(first[1:]), int(last[1:]) + 1)]
    for name in demanded:
        if name not in rows:
            raise pytest.UsageError(f"--req-rows: no row {name!r} in {ROWS_FILE.name}")
    return demanded


ROWS_KEY = pytest.StashKey[dict[str, str]]()
