"""What does the await of an op cost that is already complete, and does it allocate?

The way of every op that was answered in the same turn: no waiting, no switch, only the protocol of
`await`. The empty loop is in every other figure too.
"""

from bench.harness import Answer, Contender, Metric, Plan, compare
from bench.program import allocations, by_cell

CONTENDERS = (
    Contender(
        "ringmill op",
        "ready_op.py",
        (),
        ("ringmill",),
        against=("asyncio Future", "async def", "gevent AsyncResult"),
    ),
    Contender("asyncio Future", "ready_future.py"),
    Contender("gevent AsyncResult", "ready_gevent.py", (), ("gevent",)),
    Contender("async def", "ready_coroutine.py"),
    Contender("empty loop", "ready_loop.py"),
)
METRICS = (
    Metric("ns", "ns per await"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("mallocs", "allocations"),
)
CELL = "already complete"


def run(plan: Plan) -> Answer:
    rows = compare(
        plan,
        [CELL],
        CONTENDERS,
        by_cell({CELL: ()}, plan),
        lambda who, _cell: allocations(who, (), plan),
    )
    return Answer("ready_await", __doc__.splitlines()[0], METRICS, rows)
