"""How long does it take to wake a machine: from a thread, from a signal, from another process?

The machine sleeps each time. Told are percentiles of the time from the wake-up to the code that it
was for, and how many there are in a second when one answers the other. asyncio beside it:
call_soon_threadsafe and add_signal_handler; it has nothing between processes but a pipe.
"""

from bench.harness import Answer, Contender, Metric, Plan, compare
from bench.program import run_program

RINGMILL = ("ringmill",)
PEERS = ("uvloop", "asyncio")
CELLS = {"a thread": "thread", "a signal": "signal", "a process": "process"}
CONTENDERS = (
    Contender("ringmill", "wake_ringmill.py", (), RINGMILL, PEERS),
    Contender("uvloop", "wake_loop.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio", "wake_loop.py", ("asyncio",)),
)
METRICS = (
    Metric("p50_us", "p50 us"),
    Metric("p99_us", "p99 us", word="p99"),
    Metric("max_us", "max us"),
    Metric("rate", "wakes/s", higher_is_better=True),
)


def run(plan: Plan) -> Answer:
    rows = compare(
        plan, list(CELLS), CONTENDERS, lambda who, cell: run_program(who, (CELLS[cell],), plan)
    )
    return Answer("wake", __doc__.splitlines()[0], METRICS, rows)
