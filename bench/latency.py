"""How soon does a server answer when only one or two connections talk, and at what CPU cost?

Here nothing can be batched: each request finds the server asleep, unless it spins a little. The
same servers as in `echo.py`, and ringmill once more with its spinning off.
"""

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.serving import Traffic, serve, serve_traced

RINGMILL = ("ringmill",)
PEERS = ("uvloop protocol", "gevent", "C epoll", "C uring recv")
CONTENDERS = (
    Contender("ringmill fiber", "echo_fiber.py", ("recv",), RINGMILL, PEERS),
    Contender("ringmill task", "echo_task.py", ("recv",), RINGMILL, PEERS),
    Contender("ringmill fiber, no spin", "echo_fiber.py", ("recv", "spin=0"), RINGMILL, PEERS),
    Contender("ringmill task, no spin", "echo_task.py", ("recv", "spin=0"), RINGMILL, PEERS),
    Contender("uvloop protocol", "echo_protocol.py", ("uvloop",), ("uvloop",)),
    Contender("uvloop streams", "echo_streams.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio protocol", "echo_protocol.py", ("asyncio",)),
    Contender("gevent", "echo_gevent.py", (), ("gevent",)),
    Contender("C epoll", "echo_epoll.c"),
    Contender("C uring recv", "echo_uring.c", ("recv",)),
)
METRICS = (
    Metric("rps", "requests/s", higher_is_better=True),
    Metric("server_cpu_us", "CPU us per request", word="CPU"),
    Metric("p50_us", "p50 us"),
    Metric("p99_us", "p99 us"),
    Metric("p999_us", "p99.9 us"),
    Metric("syscalls", "system calls"),
)
SIZE = 64


def run(plan: Plan) -> Answer:
    found = [Traffic(t, n, SIZE) for t in ("tcp", "unix") for n in (1, 2)]
    cells = {t.name: t for t in (found if not plan.quick else found[-2:])}

    def timed(who: Contender, cell: str) -> Figures:
        return serve(who, cells[cell], plan)

    def traced(who: Contender, cell: str) -> Figures:
        return serve_traced(who, cells[cell], plan)

    rows = compare(plan, list(cells), CONTENDERS, timed, traced if plan.strace else None)
    return Answer("latency", __doc__.splitlines()[0], METRICS, rows)
