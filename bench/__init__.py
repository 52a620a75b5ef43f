"""Benchmarks of ringmill against its peers and against the same work in plain C.

    python -m bench                 every question
    python -m bench echo timers     some
    python -m bench --quick         short rounds: does it run?  (figures mean little)

One file per question, the question in its first line. `harness.py` asks it, `stats.py` sums it up,
`report.py` tells it, `place.py` knows where everything lies, `process.py` runs what is measured,
`serving.py` measures servers and `program.py` programs. What is measured lies in `peers/` and `c/`.

No figure here is ever asserted: a benchmark that can fail by being slow is a test of the machine.
"""

# Every question, in the order in which they are asked. A name is a module of this package.
QUESTIONS = (
    "yield_", "ready_await", "op", "small_files", "walk", "echo", "udp", "latency", "wake",
    "fairness", "timers", "instructions", "scaling", "splice", "write_behind",
)
