"""How many messages does a server echo on one core, and what does each cost?

Over TCP and over Unix sockets: on TCP most of a small echo is the kernel's own TCP, so a runtime's
cost shows only on Unix sockets. Beside the peers stand two floors in plain C. When the load is at
its limit before the server is, the requests per second are a lower bound and the CPU per request
is the figure to trust.
"""

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.serving import Traffic, serve, serve_traced

FLOORS = ("C epoll", "C uring recv", "C uring poll")
RINGMILL = ("ringmill",)
CONTENDERS = (
    Contender("ringmill fiber", "echo_fiber.py", ("recv",), RINGMILL, ("gevent", *FLOORS)),
    Contender(
        "ringmill fiber, recv_each", "echo_fiber.py", ("each",), RINGMILL, ("gevent", *FLOORS)
    ),
    Contender("gevent", "echo_gevent.py", (), ("gevent",)),
    Contender(
        "ringmill task",
        "echo_task.py",
        ("recv",),
        RINGMILL,
        ("uvloop streams", "uvloop protocol", *FLOORS),
    ),
    Contender(
        "ringmill task, recv_each",
        "echo_task.py",
        ("each",),
        RINGMILL,
        ("uvloop streams", "uvloop protocol", *FLOORS),
    ),
    Contender("uvloop streams", "echo_streams.py", ("uvloop",), ("uvloop",)),
    Contender("uvloop protocol", "echo_protocol.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio streams", "echo_streams.py", ("asyncio",)),
    Contender("rloop protocol", "echo_protocol.py", ("rloop",), ("rloop",)),
    Contender("trio", "echo_trio.py", (), ("trio",)),
    Contender("C epoll", "echo_epoll.c"),
    Contender("C uring recv", "echo_uring.c", ("recv",)),
    Contender("C uring poll", "echo_uring.c", ("poll",)),
)
METRICS = (
    Metric("rps", "requests/s", higher_is_better=True),
    Metric("server_cpu_us", "CPU us per request", word="CPU"),
    Metric("p50_us", "p50 us"),
    Metric("p99_us", "p99 us"),
    Metric("syscalls", "system calls"),
)
TRACED_SIZE = 64  # system calls per request hardly depend on anything else but the turns
SIZES = (64, 16 << 10, 64 << 10)
CONNECTIONS = (100, 1000)


def traffics(plan: Plan) -> dict[str, Traffic]:
    """Every combination; in a quick run the corners only."""
    found = [Traffic(t, n, s) for t in ("tcp", "unix") for n in CONNECTIONS for s in SIZES]
    if plan.quick:
        found = [Traffic("tcp", 100, 64), Traffic("unix", 100, 64 << 10), Traffic("unix", 1000, 64)]
    return {traffic.name: traffic for traffic in found}


def run(plan: Plan) -> Answer:
    cells = traffics(plan)

    def timed(who: Contender, cell: str) -> Figures:
        return serve(who, cells[cell], plan)

    def traced(who: Contender, cell: str) -> Figures:
        traffic = cells[cell]
        return serve_traced(who, traffic, plan) if traffic.size == TRACED_SIZE else {}

    rows = compare(plan, list(cells), CONTENDERS, timed, traced if plan.strace else None)
    limited = {row.cell: None for row in rows for figures in row.rounds if figures["load_limited"]}
    notes = [f"{cell}: the load was at its limit before a server was" for cell in limited]
    return Answer("echo", __doc__.splitlines()[0], METRICS, rows, notes)
