"""Measure servers: a server on one core, the load on another, and what each answer cost.

Knows: `c/load.c` and how its address, connections and sizes are told. Must not know: how a server
does it.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import place
from bench.harness import Contender, Failed, Figures, Missing, Plan
from bench.process import Server, command_of, run_json, running, strace_prefix, traced_calls

WARM_S = 0.3  # specializing interpreters, growing buffers, filling caches
WARM_QUICK_S = 0.1
STRACE_SHORT = 2_000  # requests; the difference of both runs has no start in it
STRACE_LONG = 8_000
LOAD_BUSY = 0.95  # of its core: from here on the load is what limits
SERVER_IDLE = 0.9

addresses = place.Addresses()


@dataclass(frozen=True)
class Traffic:
    """What the load does: over what, how many connections, how large the messages."""

    transport: str  # "tcp", "unix" or "udp"
    connections: int
    size: int

    @property
    def name(self) -> str:
        size = f"{self.size} B" if self.size < 1024 else f"{self.size // 1024} KiB"
        way = {"tcp": "TCP", "unix": "Unix", "udp": "UDP"}[self.transport]
        return f"{way}, {size}, N = {self.connections}"


def run_load(address: str, traffic: Traffic, options: tuple[str, ...], plan: Plan) -> Figures:
    """Run the load generator against whoever listens at the address."""
    if traffic.transport == "udp":
        options = ("-u", *options)
    command = [str(place.compiled("load.c")), *options, address]
    command += [str(traffic.connections), str(traffic.size), str(plan.seconds)]
    return run_json(command, place.cores()[1], plan.seconds)


def load_on(server: Server, address: str, traffic: Traffic, plan: Plan) -> Figures:
    """Timed load on a server; when it fails, the server's own complaint is told with it."""
    warm = WARM_QUICK_S if plan.quick else WARM_S
    try:
        return run_load(address, traffic, ("-w", str(warm), "-p", str(server.pid)), plan)
    except Failed as reason:
        raise server.fail(reason) from None


def server_command(contender: Contender, address: str, plan: Plan) -> list[str]:
    """`server ADDRESS ARGUMENTS...`: the address is the first argument of every server."""
    command = command_of(contender, plan.development)
    where = len(command) - len(contender.arguments)
    return [*command[:where], address, *command[where:]]


def serve(contender: Contender, traffic: Traffic, plan: Plan) -> Figures:
    """A fresh server, one load, its figures."""
    address = addresses.fresh(traffic.transport)
    with running(server_command(contender, address, plan), place.cores()[0]) as server:
        figures = load_on(server, address, traffic, plan)
    return marked(figures)


def marked(figures: Figures) -> Figures:
    """Tell when the load, not the server, was at its limit: then only the CPU figure counts."""
    busy = figures["load_cpu"] > LOAD_BUSY and figures["server_cpu"] < SERVER_IDLE
    return {**figures, "load_limited": float(busy)}


def serve_traced(contender: Contender, traffic: Traffic, plan: Plan) -> Figures:
    """System calls of the server per request."""
    counts = {n: calls_for(contender, traffic, plan, n) for n in (STRACE_SHORT, STRACE_LONG)}
    calls = counts[STRACE_LONG] - counts[STRACE_SHORT]
    return {"syscalls": calls / (STRACE_LONG - STRACE_SHORT)}


def calls_for(contender: Contender, traffic: Traffic, plan: Plan, requests: int) -> int:
    """All system calls of a server that answers exactly so many requests."""
    address = addresses.fresh(traffic.transport)
    command = server_command(contender, address, plan)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "calls"
        with running([*strace_prefix(file), *command], place.cores()[0]) as server:
            try:
                run_load(address, traffic, ("-r", str(requests)), plan)
            except Failed as reason:
                raise Missing(f"cannot be traced: {reason}; {server.complaint()}") from None
        return traced_calls(file)
