"""How many datagrams does a server echo on one core, and what does each cost?

One UDP socket serves all: there are no connections that could be served side by side. Beside the
peers stands the floor in plain C, which sleeps in recvfrom. A closed loop loses next to nothing;
what it does lose is sent again, and counted. Most of a small echo is the kernel's own UDP.
"""

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.serving import Traffic, serve, serve_traced

FLOOR = "C recvfrom"
LOOPS = ("uvloop transport", "asyncio transport", FLOOR)
RINGMILL = ("ringmill",)
CONTENDERS = (
    Contender("ringmill fiber", "echo_udp_fiber.py", ("recvfrom",), RINGMILL, LOOPS),
    Contender("ringmill fiber, recvmsg_each", "echo_udp_fiber.py", ("each",), RINGMILL, LOOPS),
    Contender("ringmill task", "echo_udp_task.py", ("recvfrom",), RINGMILL, LOOPS),
    Contender("ringmill task, recvmsg_each", "echo_udp_task.py", ("each",), RINGMILL, LOOPS),
    Contender("uvloop transport", "echo_udp_loop.py", ("uvloop",), ("uvloop",)),
    Contender("asyncio transport", "echo_udp_loop.py", ("asyncio",)),
    Contender(FLOOR, "echo_udp.c"),
)
METRICS = (
    Metric("rps", "datagrams/s", higher_is_better=True),
    Metric("server_cpu_us", "CPU us per datagram", word="CPU"),
    Metric("p50_us", "p50 us"),
    Metric("p99_us", "p99 us"),
    Metric("syscalls", "system calls"),
)
SIZES = (64, 1400)  # a question, and what fits into one Ethernet frame
CLIENTS = (1, 100)  # more would fill the socket's queue, and measure what is dropped


def run(plan: Plan) -> Answer:
    found = [Traffic("udp", n, size) for n in CLIENTS for size in SIZES]
    cells = {traffic.name: traffic for traffic in (found[2:3] if plan.quick else found)}

    def timed(who: Contender, cell: str) -> Figures:
        return serve(who, cells[cell], plan)

    def traced(who: Contender, cell: str) -> Figures:
        return serve_traced(who, cells[cell], plan) if cells[cell].size == SIZES[0] else {}

    rows = compare(plan, list(cells), CONTENDERS, timed, traced if plan.strace else None)
    limited = {row.cell: None for row in rows for figures in row.rounds if figures["load_limited"]}
    notes = [f"{cell}: the load was at its limit before a server was" for cell in limited]
    lost = sum(figures.get("lost", 0) for row in rows for figures in row.rounds)
    if lost:
        notes.append(f"{lost:.0f} datagrams were lost and sent again")
    return Answer("udp", __doc__.splitlines()[0], METRICS, rows, notes)
