"""Process: talked to through its pipes, waited for, signalled; after its block it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest

import ringmill
from ringmill import Cancelled
from support import faces
from support.threads import elsewhere

pytestmark = pytest.mark.usefixtures("machine")

PIPE = subprocess.PIPE
BIG = bytes(range(256)) * 4096


def test_a_dialogue(face: str) -> None:
    """Line by line, both ways, without anybody's buffer between."""
    async def program(on: faces.Play) -> None:
        script = "while read word; do echo \"<$word>\"; done"
        async with on.within(on.open_process(["/bin/sh", "-c", script], stdin=PIPE, stdout=PIPE,
                                             text=True)) as process:
            for word in ("one", "two", "gr\u00fc\u00df"):
                await on(process.stdin.write_all(word + "\n"))
                assert await on(process.stdout.readline()) == f"<{word}>\n"
            process.stdin.close()
            assert await on(process.wait()) == 0
            assert process.returncode == process.poll() == 0
        assert (process.stdin.closed, process.stdout.closed, process.stderr) == (True, True, None)

    faces.play(face, program)


@pytest.mark.parametrize("way", ["quietly", "by an error", "by a cancel", "by a timeout"])
def test_the_end_of_the_block_ends_it(face: str, way: str) -> None:
    process: Any = None

    async def program(on: faces.Play) -> None:
        nonlocal process
        async with on.within(on.open_process(["cat"], stdin=PIPE, stdout=PIPE,
                                             stderr=PIPE)) as process:
            assert process.poll() is None
            if way == "by an error":
                raise LookupError("mine")
            if way == "by a cancel":
                ringmill.current().cancel()
                await on(process.stdout.read())
            if way == "by a timeout":
                with ringmill.timeout(0.005):
                    await on(process.wait())

    if way == "quietly":
        faces.play(face, program)
    else:
        kind = {"by an error": LookupError, "by a cancel": Cancelled,
                "by a timeout": TimeoutError}[way]
        with pytest.raises(kind):
            faces.play(face, program)
    assert process.returncode == -signal.SIGKILL
    assert process.stdin.closed and process.stdout.closed and process.stderr.closed


def test_cancelled_while_it_ends(face: str) -> None:
    """A second cancel, while the block waits for the end: it is raised after that, not instead."""
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE)) as process:
            ringmill.current().cancel()
        raise AssertionError(f"the cancel was lost: {process}")

    with pytest.raises(Cancelled):
        faces.play(face, program)


def test_awaited_without_a_block() -> None:
    async def main() -> None:
        process = await ringmill.aio.open_process(["true"], stdout=PIPE)
        assert await process.communicate() == (b"", None)
        assert process.returncode == 0

    ringmill.run(main())


def test_signals(face: str) -> None:
    async def program(on: faces.Play) -> None:
        for verb, arguments, code in (("terminate", (), -15), ("kill", (), -9),
                                      ("send_signal", (signal.SIGINT,), -2)):
            async with on.within(on.open_process(["sleep", "60"])) as process:
                getattr(process, verb)(*arguments)
                assert await on(process.wait()) == code
                getattr(process, verb)(*arguments)  # ended: nobody is struck
                process.send_signal(0)

    faces.play(face, program)


def test_several_wait(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE)) as process:
            waiting = [ringmill.spawn(process.wait if face == "fiber" else process.wait())
                       for _ in range(5)]
            await ringmill.aio.sleep(0.002)
            waiting[0].cancel()
            process.stdin.close()
            with pytest.raises(Cancelled):
                await waiting[0]
            assert [await each for each in waiting[1:]] == [0] * 4

    faces.play(face, program)


def test_wait_with_a_timeout(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE)) as process:
            with pytest.raises(subprocess.TimeoutExpired) as caught:
                await on(process.wait(timeout=0.002))
            assert (caught.value.cmd, caught.value.timeout) == (["cat"], 0.002)
            assert process.returncode is None
            process.stdin.close()
            assert await on(process.wait(timeout=60)) == 0
            assert await on(process.wait(timeout=0)) == 0

    faces.play(face, program)


def test_somebody_elses_timeout_is_not_ours(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE)) as process:
            with pytest.raises(TimeoutError), ringmill.timeout(0.002):
                await on(process.wait(timeout=60))

    faces.play(face, program)


def test_communicate_goes_on_where_it_was(face: str) -> None:
    """Interrupted again and again, it neither loses nor repeats a byte, in or out."""
    script = "tee /dev/stderr"

    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["/bin/sh", "-c", script], stdin=PIPE, stdout=PIPE,
                                             stderr=PIPE)) as process:
            given: tuple[Any, ...] = (BIG,)
            interrupted = 0
            seconds = 0.0
            while True:
                try:
                    out, err = await on(process.communicate(*given, timeout=seconds))
                    break
                except subprocess.TimeoutExpired as late:
                    assert BIG.startswith(late.output or b"")
                    interrupted += 1
                    given = ()
                    seconds += 0.0005
            assert out == err == BIG
            assert interrupted
            assert await on(process.communicate()) == (BIG, BIG)
            with pytest.raises(ValueError, match="no input"):
                await on(process.communicate(b"more"))

    faces.play(face, program)


def test_communicate_after_a_line(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["printf", r"one\ntwo\r\nthree"], stdout=PIPE,
                                             encoding="utf-8")) as process:
            assert await on(process.stdout.readline()) == "one\n"
            assert await on(process.communicate()) == ("two\nthree", None)

    faces.play(face, program)


def test_the_input_is_let_go_of(face: str) -> None:
    data = bytearray(b"some input")

    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE, stdout=PIPE)) as process:
            assert await on(process.communicate(data)) == (data, None)
            data.append(33)  # BufferError while it is exported

    faces.play(face, program)


def test_no_input_without_a_pipe(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["true"])) as process:
            with pytest.raises(ValueError, match="no input"):
                await on(process.communicate(b"hello"))

    faces.play(face, program)


def test_one_feeds_the_next(face: str) -> None:
    """A pipe's end is a file like any other."""
    async def program(on: faces.Play) -> None:
        async with (on.within(on.open_process(["printf", r"b\na\n"], stdout=PIPE)) as first,
                    on.within(on.open_process(["sort"], stdin=first.stdout,
                                              stdout=PIPE)) as second):
            first.stdout.close()
            assert await on(second.communicate()) == (b"a\nb\n", None)

    faces.play(face, program)


def test_a_pipe_of_some_size(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["sleep", "60"], stdin=PIPE,
                                             pipesize=4096)) as process:
            assert await on(process.stdin.write(bytes(100_000))) == 4096

    faces.play(face, program)


def test_dropped(face: str) -> None:
    """Without a block, and not waited for: warned of, as by subprocess, which reaps it later."""
    import warnings

    async def program(on: faces.Play) -> None:
        process = await on(on.open_process(["sleep", "60"]))
        pid = process.pid
        with pytest.warns(ResourceWarning, match=f"{pid} is still running"):
            del process
        os.kill(pid, signal.SIGKILL)
        with warnings.catch_warnings():
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            subprocess.run(["true"], check=True)

    faces.play(face, program)


def test_a_thread_of_its_own_waits(face: str) -> None:
    """Begun here, waited for there."""
    process = faces.call(face, "open_process", ["true"])

    def wait() -> int:
        code: int = ringmill.run(process.wait if face == "fiber" else process.wait())
        return code

    assert elsewhere(wait) == 0


def test_words_for_it(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=PIPE)) as process:
            assert f"{process.pid} running" in repr(process)
            assert process.args == ["cat"]
        assert f"{process.pid} ended: -9" in repr(process)
        assert "closed" in repr(process.stdin)

    faces.play(face, program)


@pytest.mark.parametrize("step", range(12))
def test_cancelled_at_every_point(face: str, step: int) -> None:
    """After so many turns of the machine; whatever it does then, nothing is left (see conftest)."""
    async def program(on: faces.Play) -> None:
        if face == "fiber":
            running = ringmill.spawn(ringmill.run_process, ["cat"], input=BIG, capture_output=True)
        else:
            running = ringmill.spawn(
                ringmill.aio.run_process(["cat"], input=BIG, capture_output=True))
        for _ in range(step):
            await ringmill.aio.sleep(0)
        running.cancel()
        try:
            done = await running
        except Cancelled:
            pass
        else:
            assert done.stdout == BIG

    faces.play(face, program)
