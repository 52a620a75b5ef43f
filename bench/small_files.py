"""What do 10,000 small files cost: open, read 4 KiB, close?

Warm: everything is in the page cache. Against the plain system calls, one file after the other,
and against thread pools; read_file is the same in one call, until there is no more.
"""

import tempfile
from pathlib import Path

from bench.harness import Answer, Contender, Figures, Metric, Plan, compare
from bench.program import run_program, system_calls

FILES = 10_000
FILE_SIZE = 4096
DEPTH = 64
RINGMILL = ("ringmill",)
PLAIN = Contender("plain os loop", "files_plain.py")
POOL = Contender("uvloop thread pool", "files_pool.py", ("uvloop", "os"), ("uvloop",))
AIOFILES = Contender("aiofiles on uvloop", "files_pool.py", ("uvloop", "aiofiles"),
                     ("aiofiles", "uvloop"))
OTHERS = (POOL.name, AIOFILES.name, PLAIN.name)
CONTENDERS = [
    Contender("ringmill ops", "files_ringmill.py", ("ops",), RINGMILL, OTHERS),
    Contender("ringmill read_file", "files_ringmill.py", ("read_file",), RINGMILL, OTHERS),
    Contender("ringmill open_file", "files_ringmill.py", ("open_file",), RINGMILL, OTHERS),
    POOL, AIOFILES, PLAIN,
]
METRICS = (
    Metric("ns", "ns per file"),
    Metric("cpu_ns", "CPU ns", word="CPU"),
    Metric("syscalls", "system calls"),
)


def run(plan: Plan) -> Answer:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(FILES):
            (Path(folder) / f"{number:05}").write_bytes(bytes(FILE_SIZE))

        def timed(who: Contender, _cell: str) -> Figures:
            return run_program(who, (folder, str(DEPTH)), plan)

        def traced(who: Contender, _cell: str) -> Figures:
            return system_calls(who, (folder, str(DEPTH)), plan)

        rows = compare(plan, ["warm"], CONTENDERS, timed, traced if plan.strace else None)
    return Answer("small_files", __doc__.splitlines()[0], METRICS, rows)
