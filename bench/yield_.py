"""What does it cost to let another fiber or task run?

Two and a hundred of them take turns. A runtime pays here for everything it does between two
Python frames; nothing waits and no I/O is made.
"""

from bench.harness import Answer, Contender, Metric, Plan, compare
from bench.program import by_cell, system_calls

RINGMILL = ("ringmill",)
CONTENDERS = (
    Contender("ringmill fiber", "yield_fiber.py", (), RINGMILL, against=("gevent",)),
    Contender("gevent", "yield_gevent.py", (), ("gevent",)),
    Contender("ringmill task", "yield_task.py", (), RINGMILL, against=("uvloop", "asyncio")),
    Contender("uvloop", "yield_loop.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio", "yield_loop.py", ("asyncio",)),
    Contender("rloop", "yield_loop.py", ("rloop",), ("rloop",)),
    Contender("trio", "yield_trio.py", (), ("trio",)),
)
METRICS = (
    Metric("ns", "ns per yield"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("syscalls", "system calls"),
)
CELLS = {"2 taking turns": ("2",), "100 taking turns": ("100",)}


def run(plan: Plan) -> Answer:
    cells = CELLS if not plan.quick else dict(list(CELLS.items())[-1:])
    rows = compare(
        plan,
        list(cells),
        CONTENDERS,
        by_cell(cells, plan),
        (lambda who, cell: system_calls(who, cells[cell], plan)) if plan.strace else None,
    )
    return Answer("yield_", __doc__.splitlines()[0], METRICS, rows)
