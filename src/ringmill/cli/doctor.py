"""`ringmill doctor`: what this machine can do, and why the kernel in use was chosen.

`examine` gathers, as one dict that `--json` prints; `show` draws it for people. What is present is
asked of `ringmill.probe()` and nowhere else.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from typing import Any

import click
from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import ringmill
from ringmill.errors import RingmillError

from .units import human_size
from .versions import all_versions

STATES = ("present", "emulated", "missing")
STYLE = {"present": "green", "emulated": "yellow", "missing": "red"}
MARK = {"present": "+", "emulated": "~", "missing": "-"}
MEANING = {
    "present": "the kernel has it",
    "emulated": "the soft kernel does it, with epoll and worker threads",
    "missing": "not to be had here",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def doctor(as_json: bool) -> None:
    """Say which kernel is used and why, and what it can do."""
    report = examine_or_say_why()
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        show(report, Console())


def examine_or_say_why() -> dict[str, Any]:
    """For commands: what is wrong with the environment (RINGMILL_KERNEL, RINGMILL_DISABLE, a
    kernel that is forbidden) is a sentence, not a traceback."""
    try:
        return examine()
    except (OSError, ValueError, RingmillError) as error:
        raise click.ClickException(str(error)) from error


def examine() -> dict[str, Any]:
    """Everything the doctor knows, ready for JSON."""
    probe: Mapping[str, Any] = ringmill.probe()
    return {
        "kernel": probe["kernel"],
        "why": probe["why"],
        "versions": all_versions(),
        "limits": {
            "memlock": limit(resource.RLIMIT_MEMLOCK),
            "open_files": limit(resource.RLIMIT_NOFILE),
        },
        "setup_flags": dict(probe["setup_flags"]),
        "features": probe["features"],
        "opcodes": probe["opcodes"],
        "masked": probe["masked"],
    }


def limit(which: int) -> dict[str, int | None]:
    """A resource limit; None is unlimited."""
    soft, hard = (None if v == resource.RLIM_INFINITY else v for v in resource.getrlimit(which))
    return {"soft": soft, "hard": hard}


def show(report: Mapping[str, Any], console: Console) -> None:
    console.print(Text.assemble(("kernel  ", "bold"), (report["kernel"], "bold cyan")))
    console.print(f"[bold]why[/]     {escape(report['why'])}", highlight=False)
    if report["masked"]:
        masked = ", ".join(report["masked"])
        console.print(f"[bold]masked[/]  {masked} (RINGMILL_DISABLE)", highlight=False)
    console.print()
    console.print(facts_table(report))
    for kind in ("features", "opcodes"):
        console.print()
        show_states(kind, report[kind], console)
    console.print()
    for state in STATES:
        console.print(Text(f"{MARK[state]} {state}: {MEANING[state]}", style=STYLE[state]))


def facts_table(report: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in ("name", "value"):
        table.add_column(overflow="fold")  # in a narrow terminal nothing of it is lost
    for name, text in report["versions"].items():
        table.add_row(name, text)
    limits = report["limits"]
    table.add_row("locked memory", span(limits["memlock"], human_size))
    table.add_row("open files", span(limits["open_files"], "{:,}".format))
    flags = [name for name, taken in report["setup_flags"].items() if taken]
    table.add_row("setup flags", ", ".join(flags) or "none")
    return table


def span(bounds: Mapping[str, int | None], write: Any) -> str:
    """`8.0 MiB`, or `1,024 (up to 4,096)` where the limit may be raised."""
    soft, hard = ("unlimited" if v is None else write(v) for v in bounds.values())
    return soft if soft == hard else f"{soft} (up to {hard})"


def show_states(kind: str, states: Mapping[str, str], console: Console) -> None:
    counts = ", ".join(
        f"{count} {state}"
        for state in STATES
        if (count := sum(value == state for value in states.values()))
    )
    console.print(Text.assemble((kind, "bold"), f"  {counts}"))
    marks = [Text(f"{MARK[s]} {name}", style=STYLE[s]) for name, s in states.items()]
    console.print(Columns(marks, padding=(0, 2)))
