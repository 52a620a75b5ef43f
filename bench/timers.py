"""What does it cost to schedule a timer and cancel it, with many others alive?

The life of nearly every timeout: it is set, and never expires. A heap pays for the others by their
logarithm, a wheel does not, a runtime that only marks the cancelled pays later.
"""

from bench.harness import Answer, Contender, Metric, Plan, compare
from bench.program import by_cell, system_calls

RINGMILL = ("ringmill",)
PEERS = ("uvloop", "rloop", "asyncio")
CONTENDERS = (
    Contender("ringmill op", "timers_op.py", (), RINGMILL, PEERS),
    Contender("uvloop", "timers_loop.py", ("uvloop",), ("uvloop",)),
    Contender("rloop", "timers_loop.py", ("rloop",), ("rloop",)),
    Contender("asyncio", "timers_loop.py", ("asyncio",)),
    Contender("ringmill timeout()", "timers_timeout.py", (), RINGMILL, ("gevent Timeout",)),
    Contender("gevent Timeout", "timers_gevent.py", (), ("gevent",)),
)
METRICS = (
    Metric("ns", "ns per timer"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("syscalls", "system calls"),
)
CELLS = {f"{n:,} alive": (str(n),) for n in (1_000, 100_000)}


def run(plan: Plan) -> Answer:
    rows = compare(
        plan,
        list(CELLS),
        CONTENDERS,
        by_cell(CELLS, plan),
        (lambda who, cell: system_calls(who, CELLS[cell], plan)) if plan.strace else None,
    )
    return Answer("timers", __doc__.splitlines()[0], METRICS, rows)
