"""Tell an answer: a table for people, JSON for the record. Knows no process and no clock."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.harness import Answer, Plan, Row
from bench.stats import Summary, figure, spread

DASH = "-"
FAILED = "failed"
WIDTH = 150  # where there is no terminal to ask

Line = tuple[str, ...]


def ratios_text(answer: Answer, row: Row) -> str:
    """`2.31 x gevent (CPU 2.42), 0.84 x C epoll (CPU 0.86)`."""
    first, *others = answer.compared
    texts = []
    for rival, times in answer.ratios(row).items():
        text = f"{figure(times[first.name].median)} x {rival}" if first.name in times else rival
        words = [f"{m.word} {figure(times[m.name].median)}" for m in others if m.name in times]
        texts.append(f"{text} ({', '.join(words)})" if words else text)
    return ", ".join(texts)


def line_of(answer: Answer, row: Row) -> Line:
    """One row as text: the first metric with its spread, the others by their medians."""
    texts = [row.contender.name]
    for index, metric in enumerate(answer.metrics):
        summary = row.summary(metric.name)
        if summary is None:
            texts.append(FAILED if row.error and not row.rounds else DASH)
        else:
            texts.append(spread(summary) if index == 0 else figure(summary.median))
    return (*texts, ratios_text(answer, row))


def heads_of(answer: Answer) -> Line:
    return ("", *(metric.title for metric in answer.metrics), "times better than")


def sections_of(answer: Answer) -> dict[str, list[Line]]:
    """The table's lines under the cell they belong to."""
    sections: dict[str, list[Line]] = {}
    for row in answer.rows:
        sections.setdefault(row.cell, []).append(line_of(answer, row))
    return sections


def plain_table(answer: Answer) -> str:
    """The table in characters only, for where rich is not installed."""
    heads, sections = heads_of(answer), sections_of(answer)
    lines = [heads, *(line for part in sections.values() for line in part)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]

    def text(line: Line) -> str:
        first, *rest = (
            cell.ljust(width) if i in (0, len(widths) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join((first, *rest)).rstrip()

    out = [answer.question, text(heads)]
    for cell, part in sections.items():
        out += [f"[{cell}]", *(text(line) for line in part)]
    return "\n".join(out)


def print_table(answer: Answer) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(plain_table(answer))
    else:
        table = Table(title=answer.question, title_justify="left", title_style="bold")
        heads = heads_of(answer)
        for index, head in enumerate(heads):
            edge = index in (0, len(heads) - 1)
            table.add_column(head, justify="left" if edge else "right", no_wrap=index < 2)
        for cell, part in sections_of(answer).items():
            table.add_section()
            table.add_row(f"[bold]{cell}[/bold]")
            for line in part:
                table.add_row(*line)
        Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    for text in notes_of(answer):
        print(text)
    print(flush=True)


def notes_of(answer: Answer) -> list[str]:
    """The answer's own notes, then why there are dashes, each reason once."""
    absent: dict[str, dict[str, None]] = {}  # why -> who, in order and each once
    for row in answer.rows:
        if row.absent:
            absent.setdefault(row.absent, {})[row.contender.name] = None
    failed = [f"{r.cell}: {r.contender.name} failed: {r.error}" for r in answer.rows if r.error]
    return [
        *answer.notes,
        *(f"{DASH} {', '.join(who)}: {why}" for why, who in absent.items()),
        *failed,
    ]


def record_of(answer: Answer, plan: Plan, about: Mapping[str, object]) -> dict[str, Any]:
    """The JSON: every round, not only what was told, with what one must know to judge it."""
    return {
        "name": answer.name,
        "question": answer.question,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "quick": plan.quick},
        "about": dict(about),
        "metrics": [
            {"name": m.name, "title": m.title, "higher_is_better": m.higher_is_better}
            for m in answer.metrics
        ],
        "notes": answer.notes,
        "rows": [record_of_row(answer, row) for row in answer.rows],
    }


def record_of_row(answer: Answer, row: Row) -> dict[str, Any]:
    names = sorted({name for figures in row.rounds for name in figures})
    summaries = {name: row.summary(name) for name in names}
    return {
        "cell": row.cell,
        "contender": row.contender.name,
        "absent": row.absent,
        "error": row.error,
        "figures": {name: figures_of(s) for name, s in summaries.items() if s},
        "ratios": {
            rival: {metric: figures_of(s) for metric, s in times.items()}
            for rival, times in answer.ratios(row).items()
        },
    }


def figures_of(summary: Summary) -> dict[str, Any]:
    return {
        "median": summary.median,
        "min": summary.low,
        "max": summary.high,
        "rounds": list(summary.values),
    }


def save(record: Mapping[str, Any], folder: Path) -> Path:
    """Write the record whole or not at all: a run that is cut short must not spoil the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['name']}.json"
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    fresh.replace(path)
    return path
