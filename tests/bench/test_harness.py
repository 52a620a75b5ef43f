"""The harness itself: what it computes, how it asks, what it tells, how it runs things.

Needs no ringmill and no peer, and asserts no time: only that figures are made of what was measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bench.__main__ import main, question_of
from bench.harness import (
    Answer,
    Contender,
    Failed,
    Figures,
    Metric,
    Missing,
    Plan,
    compare,
)
from bench.stats import Summary, figure, ratio, spread

from bench import QUESTIONS, place, process, report

ROOT = Path(__file__).resolve().parents[2]
A = Contender("a", "a.py", against=("b",))
B = Contender("b", "b.py")
RATE = Metric("rps", "requests/s", higher_is_better=True)
COST = Metric("ns", "ns")


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_a_summary_is_the_median_and_its_spread():
    summary = Summary.of([3.0, 1.0, 10.0])
    assert (summary.median, summary.low, summary.high) == (3.0, 1.0, 10.0)


def test_no_round_is_no_summary():
    with pytest.raises(ValueError):
        Summary.of([])


def test_a_ratio_pairs_neighbours_in_time():
    # Both ran twice as fast in the second round: the machine did that, not the contender.
    ours, theirs = Summary.of([10.0, 20.0, 10.0]), Summary.of([5.0, 10.0, 4.0])
    times = ratio(ours, theirs, higher_is_better=True)
    assert times is not None
    assert times.values == (2.0, 2.0, 2.5)
    assert times.median == 2.0


def test_more_than_one_means_better_also_when_less_is_better():
    times = ratio(Summary.of([50.0]), Summary.of([200.0]), higher_is_better=False)
    assert times is not None
    assert times.median == 4.0


def test_no_ratio_to_nothing():
    assert ratio(Summary.of([1.0]), Summary.of([0.0]), higher_is_better=True) is None
    assert ratio(Summary.of([0.0]), Summary.of([1.0]), higher_is_better=False) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (184321.0, "184,000"),
        (1234.0, "1,230"),
        (999.6, "1,000"),
        (121.4, "121"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.0161, "0.016"),
        (0.0, "0"),
    ],
)
def test_a_figure_has_three_digits(value: float, text: str):
    assert figure(value) == text


def test_one_round_has_no_spread():
    assert spread(Summary.of([5.0])) == "5.00"
    assert spread(Summary.of([5.0, 7.0, 6.0])) == "6.00 (5.00-7.00)"


# ── rounds ───────────────────────────────────────────────────────────────────────────────────────


def test_rounds_are_interleaved():
    asked: list[str] = []

    def measure(who: Contender, cell: str) -> Figures:
        asked.append(f"{cell}{who.name}")
        return {"rps": 1.0}

    compare(Plan(rounds=2), ["1", "2"], [A, B], measure)
    assert asked == ["1a", "1b", "1a", "1b", "2a", "2b", "2a", "2b"]


def test_who_is_missing_is_asked_once_per_cell_and_told():
    asked: list[str] = []

    def measure(who: Contender, _cell: str) -> Figures:
        asked.append(who.name)
        if who is B:
            raise Missing("no b here")
        return {"rps": 1.0}

    rows = compare(Plan(rounds=3), ["1"], [A, B], measure)
    assert asked == ["a", "b", "a", "a"]
    answer = Answer("q", "Why?", (RATE,), rows)
    assert not answer.failed
    assert report.line_of(answer, rows[1]) == ("b", "-", "")
    assert report.notes_of(answer) == ["- b: no b here"]


def test_who_fails_is_a_failure_and_the_others_go_on(capsys: pytest.CaptureFixture[str]):
    def measure(who: Contender, _cell: str) -> Figures:
        if who is A:
            raise Failed("other bytes came back")
        return {"rps": 2.0}

    rows = compare(Plan(rounds=2), ["1"], [A, B], measure)
    answer = Answer("q", "Why?", (RATE,), rows)
    assert answer.failed
    assert report.line_of(answer, rows[0]) == ("a", "failed", "")
    assert len(rows[1].rounds) == 2
    assert "other bytes came back" in capsys.readouterr().err


def test_what_is_counted_once_joins_the_first_round():
    rows = compare(
        Plan(rounds=2), ["1"], [A], lambda *_: {"rps": 1.0}, lambda *_: {"syscalls": 0.5}
    )
    calls = rows[0].summary("syscalls")
    assert calls is not None
    assert calls.values == (0.5,)


# ── telling ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def answer() -> Answer:
    figures = {"a": iter([100.0, 120.0]), "b": iter([200.0, 480.0])}
    rows = compare(
        Plan(rounds=2), ["cell"], [A, B], lambda who, _cell: {"ns": next(figures[who.name])}
    )
    return Answer("q", "How long?", (COST, Metric("syscalls", "system calls")), rows)


def test_the_table_tells_figures_dashes_and_ratios(answer: Answer):
    text = report.plain_table(answer)
    assert text.splitlines()[0] == "How long?"
    line = next(line for line in text.splitlines() if line.startswith("a "))
    assert line.split() == ["a", "110", "(100-120)", "-", "3.00", "x", "b"]


def test_a_second_ratio_is_told_by_its_word():
    cpu = Metric("cpu_us", "CPU us", word="CPU")
    figures = {"a": {"rps": 50.0, "cpu_us": 2.0}, "b": {"rps": 40.0, "cpu_us": 6.0}}
    rows = compare(Plan(rounds=1), ["cell"], [A, B], lambda who, _cell: dict(figures[who.name]))
    answer = Answer("q", "How long?", (RATE, cpu), rows)
    assert report.ratios_text(answer, rows[0]) == "1.25 x b (CPU 3.00)"
    assert report.ratios_text(answer, rows[1]) == ""


def test_the_record_keeps_every_round(answer: Answer, tmp_path: Path):
    record = report.record_of(answer, Plan(rounds=2), {"kernel": "6.1"})
    path = report.save(record, tmp_path / "new")
    read = json.loads(path.read_text())
    assert path.name == "q.json"
    assert read["about"] == {"kernel": "6.1"}
    first = read["rows"][0]
    assert first["figures"]["ns"] == {
        "median": 110.0,
        "min": 100.0,
        "max": 120.0,
        "rounds": [100.0, 120.0],
    }
    assert first["ratios"]["b"]["ns"]["rounds"] == [2.0, 4.0]
    assert list(path.parent.iterdir()) == [path]


def test_every_question_opens_with_its_question(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(QUESTIONS)
    assert all(line.endswith("?") for line in told), told


def test_every_contender_s_program_exists_and_its_rivals_do_too():
    for name in QUESTIONS:
        question = question_of(name)
        groups = list(question.WHO.values()) if hasattr(question, "WHO") else [question.CONTENDERS]
        for contenders in groups:
            names = [who.name for who in contenders]
            assert len(set(names)) == len(names), f"{name}: two contenders of one name"
            for who in contenders:
                folder = "c" if who.program.endswith(".c") else "peers"
                assert (ROOT / "bench" / folder / who.program).exists(), (name, who.program)
                assert set(who.against) <= set(names), (name, who.name)


def test_an_unknown_question_names_the_known_ones():
    with pytest.raises(SystemExit, match="echo"):
        question_of("nothing")


# ── strace ───────────────────────────────────────────────────────────────────────────────────────

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.25    0.001234           1      1000           read
 38.75    0.000780           7       100         3 openat
------ ----------- ----------- --------- --------- ----------------
100.00    0.002014           1      1100         3 total
"""


def test_strace_s_table_is_read_with_and_without_errors():
    assert process.calls_in(SUMMARY) == {"read": 1000, "openat": 100}


# ── processes ────────────────────────────────────────────────────────────────────────────────────


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_program_s_last_line_is_its_word():
    code = "import os; print('hello'); print('{\"cores\": %d}' % len(os.sched_getaffinity(0)))"
    assert process.run_json(python(code), place.cores()[0], 1) == {"cores": 1}


def test_a_program_that_dies_is_told_with_its_complaint():
    with pytest.raises(Failed, match=r"status 3.*out of luck"):
        process.run_json(
            python("import sys; print('out of luck', file=sys.stderr); sys.exit(3)"), 0, 1
        )


def test_a_program_that_was_not_offered_what_it_needs_is_missing():
    with pytest.raises(Missing, match="no such thing"):
        process.run_json(
            python("import sys; print('no such thing', file=sys.stderr); sys.exit(77)"), 0, 1
        )


def test_a_server_is_ended_even_if_it_ignores_the_wish(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "END_S", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)\n"
    with process.running(python(code + "time.sleep(60)"), place.cores()[0]) as server:
        assert server.process.stdout.readline() == "1\n"  # from here on it ignores SIGTERM
    assert server.process.returncode == -9
