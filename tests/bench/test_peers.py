"""The peers that need nothing but Python: what they print is what the harness understands.

The others are the same programs with another import. No time is asserted.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from bench.harness import Contender, Plan

from bench import place, process, serving

SHORT = Plan(rounds=1, seconds=0.05, quick=True)

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")


@pytest.fixture(autouse=True)
def _peers_run_on_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test makes an environment and asks a package registry."""
    monkeypatch.setattr(place, "peers_python", lambda: Path(sys.executable))


def command(program: str, *arguments: str) -> list[str]:
    return [*process.command_of(Contender("x", program)), *arguments]


@pytest.mark.parametrize(
    "words",
    [
        ("ready_loop.py",),
        ("ready_future.py",),
        ("ready_coroutine.py",),
        ("yield_loop.py", "asyncio", "3"),
        ("timers_loop.py", "asyncio", "100"),
        ("op_plain.py", "read", sys.executable, "1"),
        ("op_plain.py", "nop", sys.executable, "1"),
        ("op_pool.py", "asyncio", "read", sys.executable, "4"),
    ],
    ids=" ".join,
)
def test_a_program_prints_its_figures(words: tuple[str, ...]):
    figures = process.run_json(command(*words, "0.01"), place.cores()[0], 1)
    assert figures["ns"] > 0
    assert figures["total"] >= figures["count"] > 0


@pytest.mark.req("T8")
@pytest.mark.parametrize("threads", ["0", "4"])
def test_writes_tell_their_slowest(tmp_path: Path, threads: str):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    words = command("behind_pool.py", threads, "page cache", str(path), "0.01")
    figures = process.run_json(words, place.cores()[0], 1)
    assert figures["p99_us"] > 0


@pytest.mark.parametrize("words", [
    ("splice_plain.py", "sendfile"), ("splice_plain.py", "read"),
    pytest.param(("sendfile.c",), marks=needs_cc),
], ids=" ".join)
def test_a_sender_prints_its_figures(tmp_path: Path, words: tuple[str, ...]):
    path = tmp_path / "file"
    path.write_bytes(bytes(4 << 20))
    figures = process.run_json(command(*words, str(path), "0.01"), place.cores()[0], 1)
    assert figures["count"] > 0


@needs_cc
def test_allocations_are_counted_one_by_one():
    environment = {
        "LD_PRELOAD": str(place.compiled("count_malloc.c")),
        "PYTHONMALLOC": "malloc",
    }

    def mallocs(program: str) -> float:
        words = command(program, "0.01")
        return float(process.run_json(words, place.cores()[0], 1, environment)["mallocs"])

    assert mallocs("ready_loop.py") < 0.01  # an iterator now and then
    # A coroutine and its frame, whatever else this Python's version needs.
    assert mallocs("ready_coroutine.py") >= 1


@needs_cc
@pytest.mark.parametrize("program", ["echo_protocol.py", "echo_streams.py"])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_server_is_measured(program: str, transport: str):
    traffic = serving.Traffic(transport, 5, 64)
    figures = serving.serve(Contender("x", program, ("asyncio",)), traffic, SHORT)
    assert figures["requests"] > 0
    assert figures["server_cpu_us"] > 0


@needs_cc
@pytest.mark.parametrize("who", [
    Contender("x", "echo_udp_loop.py", ("asyncio",)), Contender("x", "echo_udp.c"),
], ids=lambda who: who.program)
def test_a_server_of_datagrams_is_measured(who: Contender):
    figures = serving.serve(who, serving.Traffic("udp", 5, 64), SHORT)
    assert figures["requests"] > 0
    assert figures["server_cpu_us"] > 0
    assert figures["lost"] >= 0


@needs_cc
def test_a_busy_server_has_the_last_word():
    from bench import fairness

    figures = fairness.measure(Contender("x", "fairness_loop.py", ("asyncio",)), 50, SHORT)
    assert figures["requests"] > 0  # the load's
    assert figures["steps_s"] > 0  # the server's
    assert 0 <= figures["tick_p50_us"] <= figures["tick_p99_us"] <= figures["tick_p999_us"]


@needs_cc
def test_a_server_that_dies_is_told_with_what_it_said(tmp_path: Path):
    (tmp_path / "dies.py").write_text("import sys; sys.exit('no luck today')\n")
    dying = Contender("x", str(tmp_path / "dies.py"))
    with pytest.raises(process.Failed, match=r"the server died.*no luck today"):
        serving.serve(dying, serving.Traffic("unix", 1, 64), SHORT)
