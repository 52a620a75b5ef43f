"""HTTP served and fetched by a Cluster of WORKERS on one port, on all processors.  WORKERS SECONDS

Each worker serves files, and fetches them over connections that the kernel deals out to all of the
workers. So the load needs no processor of its own, and takes part in the scaling.
"""

import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

import ringmill
from lap import CANNOT
from ringmill.cli.http.body import Sender
from ringmill.cli.http.limits import Limits
from ringmill.cli.http.server import Server
from ringmill.cli.http.site import Site

CLIENTS = 32  # per worker
BODY = b"x" * 4096
BEGIN_S = 1.5  # until all workers listen and all clients are connected
END_S = 0.5  # for the replies to the others' clients


def fetch(port: int, until: float, counted_from: float) -> int:
    """Requests answered between two moments, one after the other on one connection."""
    request = b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sock = ringmill.tcp_connect("127.0.0.1", port)
    count = 0
    while (now := time.monotonic()) < until:
        ringmill.sendall(sock, request)
        reply = ringmill.recv(sock, 65536)
        while not reply.endswith(BODY):
            more = ringmill.recv(sock, 65536)
            if not more:
                raise SystemExit(f"the server ended a reply early: {reply[:80]!r}")
            reply += more
        count += now >= counted_from
    sock.close()
    return count


def work(folder: str, port: int, begin: float, seconds: float) -> tuple[int, float]:
    """One worker: what its clients were answered, and the CPU time of the measured span."""
    listener = ringmill.tcp_listen("127.0.0.1", port, backlog=4096, reuse_port=True)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    limits = Limits(connections=1024)
    site, sender = Site(folder), Sender(stall_s=limits.stall_s)
    server = Server(site, listener, limits, sender)
    server.start()
    ringmill.sleep(begin - BEGIN_S / 2 - time.monotonic())  # connect when all listen
    clients = [ringmill.spawn(fetch, port, begin + seconds, begin) for _ in range(CLIENTS)]
    ringmill.sleep(begin - time.monotonic())
    cpu_s = time.process_time()
    ringmill.sleep(begin + seconds - time.monotonic())
    cpu_s = time.process_time() - cpu_s
    count = sum(client.join() for client in clients)
    ringmill.sleep(END_S)
    server.stop()
    server.drain()
    listener.close()
    sender.close()
    site.close()
    return count, cpu_s


def main(workers: int, seconds: float) -> None:
    if workers > os.cpu_count():
        print(f"{workers} workers, {os.cpu_count()} processors", file=sys.stderr)
        sys.exit(CANNOT)
    os.sched_setaffinity(0, range(os.cpu_count()))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, socket.socket() as held:
        Path(folder, "file").write_bytes(BODY)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))  # keeps the number; nobody is sent to who does not listen
        begin = time.monotonic() + BEGIN_S + workers
        answers = ringmill.Cluster(workers).run(
            work, folder, held.getsockname()[1], begin, seconds
        )
    count = sum(count for count, _ in answers)
    cpu_us = sum(cpu_s for _, cpu_s in answers) * 1e6
    print(json.dumps({"count": count, "rps": count / seconds, "cpu_us": cpu_us / count}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
