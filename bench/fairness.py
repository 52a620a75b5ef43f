"""How late is a 1 ms ticker, and an echo, beside thousands of tasks that always have work to do?

Each task computes for about a microsecond and yields, for ever. A runtime that runs all of them
before it looks at timers and I/O is late by as much as they take together; one that looks after
each of them does little else. The balance policies are the answers in between: Fixed(n) looks
after n steps, Relative in proportion to the runqueue, Adaptive by the time it took.

A tick is late by what passed beyond its 1 ms. The ticker asks anew after each tick: ticks that were
missed meanwhile do not count, so the percentiles of a slow runtime are flattered.
"""

from dataclasses import replace

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.place import cores
from bench.process import running
from bench.serving import Traffic, addresses, load_on, server_command

TASKS = (1_000, 10_000, 50_000)
TASKS_PER_TIME = 10_000  # measured for one time; five times as many for five
FIXED = (1, 16, 64, 256, 1024, 4096)  # steps between two looks at timers and I/O
TRAFFIC = Traffic("unix", 10, 64)
RINGMILL = ("ringmill",)
POLICIES = {f"Fixed({n})": f"fixed={n}" for n in FIXED}
POLICIES |= {"Relative": "relative=", "Adaptive": "adaptive="}
METRICS = (
    Metric("tick_p99_us", "tick p99 us"),
    Metric("tick_p50_us", "tick p50 us"),
    Metric("tick_p999_us", "tick p99.9 us"),
    Metric("p50_us", "echo p50 us"),
    Metric("p99_us", "echo p99 us", word="echo"),
    Metric("p999_us", "echo p99.9 us"),
    Metric("rps", "echo/s", higher_is_better=True),
    Metric("steps_s", "steps/s", higher_is_better=True, word="steps"),
)


def ours(face: str) -> list[Contender]:
    """One contender per policy."""
    against = ("gevent",) if face == "fiber" else ("uvloop", "asyncio")
    return [
        Contender(f"{face}, {name}", f"fairness_{face}.py", (option,), RINGMILL, against)
        for name, option in POLICIES.items()
    ]


CONTENDERS = (
    *ours("task"),
    *ours("fiber"),
    Contender("uvloop", "fairness_loop.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio", "fairness_loop.py", ("asyncio",)),
    Contender("gevent", "fairness_gevent.py", (), ("gevent",)),
    Contender("trio", "fairness_trio.py", (), ("trio",)),
)


def measure(who: Contender, tasks: int, plan: Plan) -> Figures:
    """Server and load end together: the server's last word comes when its last client has gone."""
    # So many tasks take so long to go round that a shorter time would see too few ticks.
    plan = replace(plan, seconds=plan.seconds * max(1, tasks // TASKS_PER_TIME))
    address = addresses.fresh(TRAFFIC.transport)
    command = [*server_command(who, address, plan), str(tasks)]
    with running(command, cores()[0]) as server:
        figures = load_on(server, address, TRAFFIC, plan)
        return {**figures, **server.last_word(plan.seconds)}


def throughput_notes(answer: Answer, cells: list[str]) -> list[str]:
    """How much work each self-adjusting policy gives up against the best fixed setting."""
    notes = []
    for cell in cells:
        for face in ("task", "fiber"):
            steps = {}
            for name in POLICIES:
                row = answer.row(cell, f"{face}, {name}")
                summary = row.summary("steps_s") if row else None
                if summary:
                    steps[name] = summary.median
            fixed = [value for name, value in steps.items() if name.startswith("Fixed")]
            for name in ("Relative", "Adaptive"):
                if fixed and name in steps:
                    part = steps[name] / max(fixed) * 100
                    notes.append(f"{cell}, {face}: {name} does {part:.0f} % of the best Fixed")
    return notes


def run(plan: Plan) -> Answer:
    cells = {f"{n:,} tasks": n for n in (TASKS if not plan.quick else TASKS[:2])}
    rows = compare(plan, list(cells), CONTENDERS, lambda who, cell: measure(who, cells[cell], plan))
    answer = Answer("fairness", __doc__.splitlines()[0], METRICS, rows)
    answer.notes += throughput_notes(answer, list(cells))
    return answer
