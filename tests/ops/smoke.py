"""Each op once, in both faces, and what the machine says afterwards: for a process of its own.

`python smoke.py` prints a line of JSON: the kernel, the counts, and what went wrong, by op. Run by
test_fallback.py with parts of the kernel hidden.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("error")

import ringmill  # noqa: E402
from ops.lab import Lab  # noqa: E402
from ops.specimens import SPECIMENS, Scene  # noqa: E402
from ops.trying import Attempt, started, submitted, tried, until  # noqa: E402
from ringmill.errors import Cancelled  # noqa: E402
from ringmill.ops.entry import ENTRIES  # noqa: E402
from support import leaks  # noqa: E402


def works(name: str, face: str, lab: Lab) -> None:
    scene = SPECIMENS[name].works(lab)
    outcome = tried(face, name, scene)
    assert outcome == ("value", scene.expected), outcome


def fails(name: str, face: str, lab: Lab) -> None:
    make = SPECIMENS[name].fails
    if not isinstance(make, str):
        failure = make(lab)
        outcome = tried(face, name, Scene(failure.arguments))
        assert outcome[0] == "error" and outcome[2] == failure.number, outcome


def waits(name: str, face: str, lab: Lab) -> None:
    make = SPECIMENS[name].blocks
    if not isinstance(make, str):
        scene = make(lab)
        attempt = Attempt(face, name, scene)
        attempt.waiting()
        assert scene.unblock is not None
        scene.unblock()
        outcome = attempt.ended()
        assert outcome == ("value", scene.expected), outcome


def is_cancelled(name: str, face: str, lab: Lab) -> None:
    make = SPECIMENS[name].blocks
    if not isinstance(make, str):
        attempt = Attempt(face, name, make(lab))
        attempt.waiting()
        attempt.strand.cancel()
        outcome = attempt.ended()
        assert outcome == ("error", "Cancelled", ""), outcome
        attempt.strand = None


def is_cancelled_in_flight(name: str, face: str, lab: Lab) -> None:
    make = SPECIMENS[name].blocks
    if not isinstance(make, str) and not ENTRIES[name].many:
        op = started(name, make(lab))
        submitted(op)
        op.cancel()
        try:
            ringmill.wait(op)
        except Cancelled:
            return
        raise AssertionError("it was cancelled and has a result")


def main() -> None:
    machine = ringmill.machine()
    wrong = []
    for name in ENTRIES:
        for face in ("fiber", "aio"):
            for law in (works, fails, waits, is_cancelled, is_cancelled_in_flight):
                with tempfile.TemporaryDirectory() as folder, Lab(Path(folder)) as lab:
                    try:
                        law(name, face, lab)
                    except BaseException as error:
                        wrong.append(f"{name} {law.__name__} in {face}: {error!r}")
    gc.collect()
    until(lambda: machine.stats()["ops_live"] == 0, "the end of what was in flight")
    gc.collect()
    stats = machine.stats()
    wrong += leaks.unrest(stats)
    print(json.dumps({"kernel": machine.kernel.name, "why": machine.kernel.why, "wrong": wrong,
                      "beside_submitted": stats["beside_submitted"],
                      "submitted": stats["submitted"]}))
    machine.close()


if __name__ == "__main__":
    main()
