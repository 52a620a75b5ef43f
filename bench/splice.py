"""What does it cost the sender to send a file over TCP: sendfile, or read and send?

One operation is 1 MiB of a file in the page cache, over the loopback, to a reader that throws it
away in a process of its own. CPU is the sender's alone, its kernel workers included: a GiB costs
1024 times as much. On the loopback a copy is cheap and a network card's checksum is not saved.
"""

import os
import tempfile
from pathlib import Path

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.program import run_program, system_calls

FILE_SIZE = 64 << 20  # larger than a processor's caches, smaller than anybody's page cache
CELL = "1 MiB"
PLAIN = Contender("os.sendfile", "splice_plain.py", ("sendfile",))
COPIES = Contender("os.pread + sendall", "splice_plain.py", ("read",))
C = Contender("C sendfile", "sendfile.c")
READS = Contender("ringmill read + sendall", "splice_ringmill.py", ("read",), ("ringmill",),
                  against=(COPIES.name,))
ZERO_COPY = Contender("ringmill read + sendall, zero_copy", "splice_ringmill.py", ("zero_copy",),
                      ("ringmill",), against=(COPIES.name,))
OURS = Contender("ringmill sendfile", "splice_ringmill.py", ("sendfile",), ("ringmill",),
                 against=(READS.name, PLAIN.name, C.name))
CONTENDERS = (OURS, READS, ZERO_COPY, PLAIN, COPIES, C)
METRICS = (
    Metric("cpu_ns", "CPU ns per MiB"),
    Metric("ns", "ns per MiB", word="time"),
    Metric("syscalls", "system calls"),
)


def run(plan: Plan) -> Answer:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(os.urandom(FILE_SIZE))  # written just now: in the page cache

        def timed(who: Contender, _cell: str) -> Figures:
            return run_program(who, (str(path),), plan)

        def traced(who: Contender, _cell: str) -> Figures:
            return system_calls(who, (str(path),), plan)

        rows = compare(plan, [CELL], CONTENDERS, timed, traced if plan.strace else None)
    return Answer("splice", __doc__.splitlines()[0], METRICS, rows)
