"""How many instructions does one op take, from one release to the next?

Counted by valgrind's callgrind, in the process and without the kernel's share: the difference of a
long and a short run, per op. Times say which runtime is quicker today; this says which commit made
an op dearer, on any machine and however busy it is. `results/instructions.json` is kept from
release to release.
"""

import re
import shutil
import subprocess

from bench import place
from bench.harness import Answer, Contender, Failed, Figures, Metric, Missing, Plan, compare
from bench.process import command_of

LONG, SHORT = 3000, 1000  # ops; what differs is the ops themselves
TIMEOUT_S = 300  # valgrind is fifty times slower than the processor
WHAT = ("nop", "yield", "write+read", "send+recv", "timeout")
RINGMILL = ("ringmill",)
CONTENDERS = tuple(
    Contender(f"{face}, {kernel}", "instructions.py", (face, kernel), RINGMILL)
    for kernel in ("linux", "soft")
    for face in ("fiber", "task")
)
METRICS = (Metric("instructions", "instructions per op"),)


def collected(command: list[str]) -> int:
    """Instructions of one whole run."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise Missing("valgrind is not installed")
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        raise Missing(done.stdout.strip())
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise Failed(f"ended with {done.returncode}: {done.stderr[-200:]}")
    return int(found.group(1))


def measure(who: Contender, cell: str, plan: Plan) -> Figures:
    command = [*command_of(who, plan.development), cell]
    difference = collected([*command, str(LONG)]) - collected([*command, str(SHORT)])
    return {"instructions": difference / (LONG - SHORT)}


def run(plan: Plan) -> Answer:
    # Once is enough: they differ by less than one in a hundred.
    place.tell(f"  valgrind, {LONG} and {SHORT} ops each")
    plan = type(plan)(**{**plan.__dict__, "rounds": 1})
    rows = compare(plan, WHAT, CONTENDERS, lambda who, cell: measure(who, cell, plan))
    return Answer("instructions", __doc__.splitlines()[0], METRICS, rows)
