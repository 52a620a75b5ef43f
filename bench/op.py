"""What does one op cost: a call that does nothing, a 4 KiB read from the page cache?

Alone (the cost of a synchronous call) and with 64 in flight (what a ring is for), against the
plain system call, thread pools, and the same reads in C. System calls per op tell how much of the
batching arrives.
"""

import os
import tempfile
from pathlib import Path

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.program import run_program, system_calls

FILE_SIZE = 64 << 20  # larger than a processor's caches, smaller than anybody's page cache
RINGMILL = ("ringmill",)
ARGUMENTS = {
    "read, 1 in flight": ("read", "1"),
    "read, 64 in flight": ("read", "64"),
    "nop, 1 in flight": ("nop", "1"),
    "nop, 64 in flight": ("nop", "64"),
}
PLAIN = Contender("plain system call", "op_plain.py")
C_READ = Contender("C io_uring", "read_uring.c")
POOL = Contender("uvloop thread pool", "op_pool.py", ("uvloop",), ("uvloop",))
ASYNCIO_POOL = Contender("asyncio thread pool", "op_pool.py", ("asyncio",))
AIOFILES = Contender("aiofiles on uvloop", "op_aiofiles.py", ("uvloop",), ("aiofiles", "uvloop"))


def ours(*against: str) -> list[Contender]:
    return [
        Contender(f"ringmill {face}", f"op_{face}.py", (), RINGMILL, against)
        for face in ("fiber", "task")
    ]


READ_FLOORS = (PLAIN.name, C_READ.name)
POOLS = (POOL.name, AIOFILES.name, C_READ.name)
SCRIPT = Contender("ringmill script", "op_script.py", (), RINGMILL, against=(PLAIN.name,))
WHO = {
    "read, 1 in flight": [SCRIPT, *ours(*READ_FLOORS), PLAIN, C_READ],
    "read, 64 in flight": [*ours(*POOLS, PLAIN.name), POOL, ASYNCIO_POOL, AIOFILES, C_READ, PLAIN],
    "nop, 1 in flight": [SCRIPT, *ours(PLAIN.name), PLAIN],
    "nop, 64 in flight": [*ours(PLAIN.name), PLAIN],
}
METRICS = (
    Metric("ns", "ns per op"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("syscalls", "system calls"),
)


def arguments_of(who: Contender, cell: str, path: Path) -> tuple[str, ...]:
    what, depth = ARGUMENTS[cell]
    return (str(path), depth) if who is C_READ else (what, str(path), depth)


def run(plan: Plan) -> Answer:
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(os.urandom(FILE_SIZE))  # written just now: in the page cache

        def timed(who: Contender, cell: str) -> Figures:
            return run_program(who, arguments_of(who, cell, path), plan)

        def traced(who: Contender, cell: str) -> Figures:
            return system_calls(who, arguments_of(who, cell, path), plan)

        for cell, contenders in WHO.items():
            once = traced if plan.strace else None
            rows += compare(plan, [cell], contenders, timed, once)
    return Answer("op", __doc__.splitlines()[0], METRICS, rows)
