"""Ask the questions: `python -m bench [NAME...] [--quick]`. The command line, and nothing else."""

import argparse
import importlib
import resource
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from bench import QUESTIONS, place, report
from bench.harness import Plan


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(QUESTIONS))
    parser.add_argument("--quick", action="store_true", help="short rounds: does it run?")
    parser.add_argument("--rounds", type=int, help=f"default {Plan.rounds}")
    parser.add_argument("--seconds", type=float, help=f"per measurement, default {Plan.seconds}")
    parser.add_argument("--strace", action=argparse.BooleanOptionalAction, help="system calls too")
    parser.add_argument(
        "--development",
        action="store_true",
        help="the ringmill of this Python, not a release build of its own",
    )
    parser.add_argument("--results", type=Path, help="folder for the JSON")
    parser.add_argument("--list", action="store_true", help="only tell the questions")
    return parser.parse_args(words)


def plan_of(asked: argparse.Namespace) -> Plan:
    base = Plan.short() if asked.quick else Plan()
    return Plan(
        rounds=asked.rounds or base.rounds,
        seconds=asked.seconds or base.seconds,
        quick=asked.quick,
        strace=base.strace if asked.strace is None else asked.strace,
        development=asked.development,
    )


def question_of(name: str) -> ModuleType:
    """`yield` is a word of Python, so its file is yield_.py; both names are understood."""
    for known in QUESTIONS:
        if name in (known, known.rstrip("_")):
            return importlib.import_module(f"bench.{known}")
    raise SystemExit(f"bench: no question is called {name!r}; there are: {', '.join(QUESTIONS)}")


def first_line(question: ModuleType) -> str:
    return (question.__doc__ or "").splitlines()[0]


def main(words: Sequence[str] | None = None) -> int:
    """Ask, tell, keep. Returns 1 when a contender that could run went wrong."""
    asked = arguments(words)
    questions = [question_of(name) for name in asked.names or QUESTIONS]
    if asked.list:
        for question in questions:
            print(f"{question.__name__.removeprefix('bench.'):12} {first_line(question)}")
        return 0
    raise_fd_limit()
    plan = plan_of(asked)
    # A quick run's figures must never replace measured ones.
    folder = asked.results or (place.OUT / "quick" if plan.quick else place.RESULTS)
    about = place.about(plan.development)
    failed = False
    for question in questions:
        place.tell(first_line(question))
        answer = question.run(plan)
        if about["build"] != "release":
            answer.notes.append("ringmill is a development build: its assertions are measured too")
        report.print_table(answer)
        place.tell(f"kept as {report.save(report.record_of(answer, plan, about), folder)}")
        failed = failed or answer.failed
    return int(failed)


def raise_fd_limit() -> None:
    """A thousand connections do not fit into the usual soft limit; children inherit ours."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    raise SystemExit(main())
