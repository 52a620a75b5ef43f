"""What does a write that nobody waits for cost, and what one in a thread of its own?

To a file that is on stable storage when the write returns (O_DSYNC), past the page cache
(O_DIRECT) and through it, and to the page cache alone.
start_write keeps 64 under way; a pool of N threads calls os.pwrite; the plain call waits for each.
The time of one write is from its beginning until the program has its result.
"""

import tempfile
from pathlib import Path

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.program import run_program, system_calls

FILE_SIZE = 64 << 20
CELLS = ("O_DSYNC", "O_DIRECT, O_DSYNC", "page cache")
THREADS = (1, 4, 16, 64)
POOLS = tuple(Contender(f"pool of {n} threads", "behind_pool.py", (str(n),)) for n in THREADS)
PLAIN = Contender("os.pwrite, one by one", "behind_pool.py", ("0",))
AGAINST = (*(pool.name for pool in POOLS), PLAIN.name)
OURS = Contender("ringmill start_write", "behind_ringmill.py", ("start_write",), ("ringmill",),
                 against=AGAINST)
FIBERS = Contender("ringmill write, 64 fibers", "behind_ringmill.py", ("fibers",), ("ringmill",),
                   against=AGAINST)
CONTENDERS = (OURS, FIBERS, *POOLS, PLAIN)
METRICS = (
    Metric("ns", "ns per write"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("p99_us", "p99 µs"),
    Metric("syscalls", "system calls"),
)


def run(plan: Plan) -> Answer:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(bytes(FILE_SIZE))  # every block exists: no write allocates one

        def timed(who: Contender, cell: str) -> Figures:
            return run_program(who, (cell, str(path)), plan)

        def traced(who: Contender, cell: str) -> Figures:
            return system_calls(who, (cell, str(path)), plan)

        rows = compare(plan, CELLS, CONTENDERS, timed, traced if plan.strace else None)
    return Answer("write_behind", __doc__.splitlines()[0], METRICS, rows)
