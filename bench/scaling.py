"""Does an HTTP server on two processors answer twice as much?

A Cluster of one worker and of two: each worker has a process, a machine and a listener of its own
on the one port. What they share is the kernel. The clients live in the workers, too.
"""

from bench.harness import Answer, Contender, Metric, Plan, compare
from bench.program import by_cell

RINGMILL = ("ringmill", "h11")
CONTENDERS = (
    Contender("Cluster(2)", "scaling_http.py", ("2",), RINGMILL, against=("Cluster(1)",)),
    Contender("Cluster(1)", "scaling_http.py", ("1",), RINGMILL),
)
METRICS = (
    Metric("rps", "requests/s", higher_is_better=True),
    Metric("cpu_us", "CPU us per request", word="CPU"),
)
CELL = "4 KiB over HTTP"


def run(plan: Plan) -> Answer:
    rows = compare(plan, [CELL], CONTENDERS, by_cell({CELL: ()}, plan))
    return Answer("scaling", __doc__.splitlines()[0], METRICS, rows)
