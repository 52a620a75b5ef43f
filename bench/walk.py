"""What does a walk of 100,000 entries cost, each with its stat?

Warm: names and inodes are cached. Against os.scandir with a stat of each entry, in one thread.
"""

import os
import tempfile
from pathlib import Path

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.program import run_program, system_calls

FOLDERS = 1000
IN_EACH = 100
RINGMILL = ("ringmill",)
PLAIN = Contender("os.scandir and stat", "walk_plain.py")
CONTENDERS = [
    Contender("ringmill fiber", "walk_ringmill.py", ("fiber",), RINGMILL, (PLAIN.name,)),
    Contender("ringmill task", "walk_ringmill.py", ("task",), RINGMILL, (PLAIN.name,)),
    PLAIN,
]
METRICS = (
    Metric("ns", "ns per entry"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("syscalls", "system calls"),
)


def plant(root: Path) -> None:
    for number in range(FOLDERS):
        path = root / f"{number // 100}" / f"{number}"
        path.mkdir(parents=True)
        folder = os.open(path, os.O_RDONLY)
        for leaf in range(IN_EACH):
            os.mknod(f"{leaf}", dir_fd=folder)
        os.close(folder)


def run(plan: Plan) -> Answer:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plant(Path(folder))

        def timed(who: Contender, _cell: str) -> Figures:
            return run_program(who, (folder,), plan)

        def traced(who: Contender, _cell: str) -> Figures:
            return system_calls(who, (folder,), plan)

        rows = compare(plan, ["warm"], CONTENDERS, timed, traced if plan.strace else None)
    return Answer("walk", __doc__.splitlines()[0], METRICS, rows)
