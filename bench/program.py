"""Measure programs: each runs alone on one core for so long and prints what one operation cost.

Knows: the line of JSON a program prints (`peers/lap.py`). Must not know: what the operation is.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import place
from bench.harness import Contender, Failed, Figures, Measure, Plan
from bench.process import command_of, run_json, strace_prefix, traced_calls

# The difference of a long and a short run has no start and no end in it.
STRACE_LONG_S = 0.6
STRACE_SHORT_S = 0.1


def run_program(contender: Contender, extra: tuple[str, ...], plan: Plan) -> Figures:
    """One timed run. `extra` are the cell's arguments; the seconds come last."""
    command = [*command_of(contender, plan.development), *extra, str(plan.seconds)]
    said = run_json(command, place.cores()[0], plan.seconds)
    return {name: value for name, value in said.items() if isinstance(value, int | float)}


def calls_of(contender: Contender, extra: tuple[str, ...], plan: Plan, seconds: float) -> Figures:
    """One run under strace: how many operations, how many system calls."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "calls"
        command = [*command_of(contender, plan.development), *extra, str(seconds)]
        figures = run_json([*strace_prefix(file), *command], place.cores()[0], seconds)
        return {"count": figures["total"], "calls": traced_calls(file)}


def system_calls(contender: Contender, extra: tuple[str, ...], plan: Plan) -> Figures:
    """System calls per operation, without those of starting and ending."""
    short = calls_of(contender, extra, plan, STRACE_SHORT_S)
    long = calls_of(contender, extra, plan, STRACE_LONG_S)
    count = long["count"] - short["count"]
    if count <= 0:
        raise Failed("did no more operations in a longer time")
    return {"syscalls": max(0.0, (long["calls"] - short["calls"]) / count)}


def allocations(contender: Contender, extra: tuple[str, ...], plan: Plan) -> Figures:
    """Calls of malloc per operation: every object is one, as Python's own allocator is off."""
    library = place.compiled("count_malloc.c")
    command = [*command_of(contender, plan.development), *extra, str(plan.seconds)]
    environment = {"LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}
    figures = run_json(command, place.cores()[0], plan.seconds, environment)
    return {"mallocs": figures["mallocs"]} if "mallocs" in figures else {}


def by_cell(arguments: Mapping[str, tuple[str, ...]], plan: Plan) -> Measure:
    """A measure for `compare`: each cell's own arguments, then the seconds."""
    return lambda contender, cell: run_program(contender, arguments[cell], plan)
