"""Cluster: the same program in several processes; what one of them does is told, nobody is left."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
from typing import Any

import pytest

import ringmill
from ringmill import Cluster, WorkerError

BEGIN = """
    import os, signal, socket, sys, threading, time
    import ringmill
    from ringmill import Cluster, WorkerError, aio

    def say(what):
        os.write(1, f"{what}\\n".encode())  # in one piece: others write there, too
"""


def gone(pid: int) -> bool:
    """Whether no process has this number any more (or only its parent's record of it)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def pids(process: subprocess.Popen[str], count: int = 2) -> list[int]:
    """What the workers say when they have begun."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


@contextlib.contextmanager
def begun(script: Any, body: str, *arguments: object):
    """A program that is running, and killed when the test fails meanwhile."""
    process = script(BEGIN + body).begin(*arguments)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.req("T13")
def test_what_each_returned(script: Any) -> None:
    out = script(BEGIN + """
    def calls(add):
        ringmill.sleep(0.01)
        return Cluster.index() + add, os.getpid(), ringmill.machine().kernel.name

    async def awaits(add):
        await aio.sleep(0.01)
        return Cluster.index() + add, os.getpid(), ringmill.machine().kernel.name

    if __name__ == "__main__":
        for main in calls, awaits:
            told = Cluster(3).run(main, 10)
            print([number for number, _, _ in told], {kernel for _, _, kernel in told},
                  len({os.getpid(), *(pid for _, pid, _ in told)}), Cluster.index())
            ringmill.machine().close()
    """)
    kernel = out.environ["RINGMILL_KERNEL"]
    assert out.clean() == f"[10, 11, 12] {{'{kernel}'}} 4 None\n" * 2


SERVE = """
    async def serve(port):
        listener = await aio.tcp_listen("127.0.0.1", port, reuse_port=True)
        with listener, ringmill.signals(signal.SIGINT, signal.SIGTERM) as told:
            say(os.getpid())
            async with ringmill.scope() as s:
                s.spawn(answer(listener))
                async for number in told:
                    break
                s.cancel()
        return Cluster.index(), number

    async def answer(listener):
        async for sock in aio.accept_each(listener):
            with sock:
                await aio.sendall(sock, b"%d" % Cluster.index())

    if __name__ == "__main__":
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(("127.0.0.1", 0))  # not listening: it only keeps the number ours
            print(taken.getsockname()[1], flush=True)
            print(Cluster(2).run(serve, taken.getsockname()[1]))
"""


@pytest.mark.req("T13")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_connections_are_shared_out(script: Any, number: signal.Signals) -> None:
    """SO_REUSEPORT: both answer; workers that handle the signal themselves end in good order."""
    import socket

    with begun(script, SERVE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        workers = pids(process)
        who = []
        for _ in range(64):  # that all go to one of the two: once in 2**63
            with socket.create_connection(("127.0.0.1", port)) as sock:
                who.append(sock.recv(10))
        assert set(who) == {b"0", b"1"}
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        signals = f"<Signals.{number.name}: {number.value}>"
        assert (process.returncode, err) == (0, "")
        assert out == f"[(0, {signals}), (1, {signals})]\n"
        assert all(map(gone, workers))


WAIT = """
    def wait(last):
        try:
            say(os.getpid())
            ringmill.sleep(3600)
        finally:
            say(last)

    def stubborn():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(os.getpid())
        while True:
            time.sleep(3600)
"""


@pytest.mark.parametrize("to", ["the parent", "the terminal's group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_workers_in_good_order(
        script: Any, number: signal.Signals, to: str) -> None:
    """Their `finally` blocks run, once; then the parent ends as it would have without them."""
    with begun(script, WAIT + """
    if __name__ == "__main__":
        Cluster(2).run(wait, "ended")
    """) as process:
        workers = pids(process)
        os.kill(process.pid, number) if to == "the parent" else os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == -number
        assert out == "ended\n" * 2
        assert err.count("Traceback") == (number == signal.SIGINT)
        assert all(map(gone, workers))


def test_the_grace_is_bounded(script: Any) -> None:
    with begun(script, WAIT + """
    if __name__ == "__main__":
        Cluster(2, grace=0.2).run(stubborn)
    """) as process:
        workers = pids(process)
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGTERM
        assert all(map(gone, workers))


def test_an_error_ends_the_others_and_is_raised(script: Any) -> None:
    out = script(BEGIN + """
    def second_fails(first):
        if Cluster.index() == 1:
            first.wait()
            fibers = [ringmill.spawn(ringmill.sleep, 3600) for _ in range(10)]
            raise LookupError("here it is")
        try:
            first.set()
            ringmill.sleep(3600)
        finally:
            say("the other ended")

    def leaves(code):
        if Cluster.index() == 1:
            sys.exit(code)
        ringmill.sleep(0.01 if not code else 3600)

    def vanishes():
        if Cluster.index() == 1:
            os._exit(5)
        ringmill.sleep(3600)

    def unpicklable():
        return lambda: 0

    def attempt(main, *arguments):
        try:
            print(Cluster(2, grace=5).run(main, *arguments))
        except WorkerError as error:
            lines = str(error).splitlines()
            print(lines[0], "|", lines[-1], error.exitcode)

    if __name__ == "__main__":
        attempt(second_fails, ringmill.SharedEvent())
        attempt(leaves, 3)
        attempt(leaves, 0)
        attempt(vanishes)
        attempt(unpicklable)
        try:
            Cluster(2).run(lambda: 0)
        except Exception as error:
            print("pickle" in str(error))
        print(len(os.listdir("/proc/self/task")), os.listdir("/proc/self/fd").__len__() < 15)
    """).clean()
    lines = out.splitlines()
    assert lines[:2] == ["the other ended", "worker 1 failed: | LookupError: here it is 1"]
    assert lines[2:5] == ["worker 1 exited with 3 | worker 1 exited with 3 1", "[None, None]",
                          "worker 1 exited with code 5 | worker 1 exited with code 5 5"]
    # Whichever was first; 3.12 and later word it without "pickle".
    assert "failed: |" in lines[5] and "local object" in lines[5]
    assert lines[6] == "True"
    assert lines[7].endswith("True")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_is_told(script: Any, number: signal.Signals) -> None:
    with begun(script, WAIT + """
    if __name__ == "__main__":
        try:
            Cluster(2).run(wait, "ended")
        except WorkerError as error:
            print(error, "|", error.index in (0, 1))
    """) as process:
        workers = pids(process)
        os.kill(workers[0], number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        ended = ["ended"] * (1 if number == signal.SIGKILL else 2)
        *said, last = out.splitlines()
        assert said == ended
        how = "killed" if number == signal.SIGKILL else "ended"
        assert last.endswith(f"was {how} by {number.name} | True")
        assert all(map(gone, workers))


def test_no_worker_outlives_its_parent(script: Any) -> None:
    """Even one that is killed, and even workers that ignore every signal."""
    for main in ("wait, 'ended'", "stubborn"):
        with begun(script, WAIT + f"""
    if __name__ == "__main__":
        Cluster(2, grace=0.2).run({main})
    """) as process:
            workers = pids(process)
            process.kill()
            process.wait()
            # The pipes are closed when the last worker is gone.
            out, _ = process.communicate(timeout=60)
            assert out == ("ended\n" * 2 if "wait" in main else "")
            assert all(map(gone, workers))


def test_within_a_program(script: Any) -> None:
    """In a fiber others go on; cancelled there, or by a timeout, it ends its workers."""
    with begun(script, WAIT + """
    def beside():
        ticks = 0
        with ringmill.scope() as s:
            fiber = s.spawn(Cluster(2).run, quick)
            while not fiber.done:
                ringmill.sleep(0.001)
                ticks += 1
        print(fiber.join(), ticks > 5)
        try:
            with ringmill.timeout(1):
                Cluster(2).run(wait, "ended")
        except TimeoutError:
            print("in time")

    def quick():
        return Cluster.index()

    if __name__ == "__main__":
        ringmill.run(beside)
        thread = threading.Thread(target=lambda: print(Cluster(1).run(quick)))
        thread.start()
        thread.join()
    """) as process:
        out, err = process.communicate(timeout=60)
        lines = [line for line in out.splitlines() if not line.isdigit()]
        assert (process.returncode, err) == (0, "")
        assert lines[0] == "[0, 1] True"
        assert lines.index("in time") > 0 and lines[-1] == "[0]"
        assert all(gone(int(line)) for line in out.splitlines() if line.isdigit())


def test_ctrl_c_while_workers_begin(script: Any) -> None:
    """At any moment: no traceback of a half-begun worker, nothing left."""
    for delay in (0.0, 0.02, 0.05, 0.1, 0.15):
        with begun(script, WAIT + """
    if __name__ == "__main__":
        group = os.getpid()
        try:
            threading.Timer(float(sys.argv[1]), os.killpg, (group, signal.SIGINT)).start()
            Cluster(2).run(wait, "ended")
        except KeyboardInterrupt:
            print("interrupted")
    """, delay) as process:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
            *rest, last = out.splitlines()
            assert last == "interrupted"
            workers = [int(line) for line in rest if line.isdigit()]
            assert rest.count("ended") == len(workers)
            assert all(map(gone, workers))


def test_what_is_no_cluster() -> None:
    for wrong in ({"n": 0}, {"n": -1}, {"n": 1, "grace": -1}):
        with pytest.raises(ValueError):
            Cluster(**wrong)  # type: ignore[arg-type]
    assert Cluster.index() is None


def test_a_task_may_not_wait_so() -> None:
    """Refused before anything is begun."""
    async def main() -> None:
        Cluster(1).run(os.getpid)

    with pytest.raises(ringmill.WouldBlock):
        ringmill.run(main())


def test_signals_that_are_taken_already() -> None:
    with ringmill.signals(signal.SIGTERM), pytest.raises(ValueError, match="iterated over"):
        Cluster(1).run(os.getpid)


def test_the_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(WorkerError("worker 1 failed", 1, -9)))
    assert (str(error), error.index, error.exitcode) == ("worker 1 failed", 1, -9)
