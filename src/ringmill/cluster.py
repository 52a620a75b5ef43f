"""A program on several processors: processes of its own, each with a machine of its own.

Nothing is shared but what the program passes: servers let the kernel share the connections out
(SO_REUSEPORT). The processes are spawned, never forked, so no ring or thread of the parent gets
into them. Knows machines, signals and multiprocessing; does not know what a worker does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Unpack

from ringmill.errors import WorkerError
from ringmill.face.machine import Options, run
from ringmill.face.scope import scope
from ringmill.face.spawn import drive, sleep_op
from ringmill.face.timeout import timeout
from ringmill.ops import aio
from ringmill.sync.passing import packed, unpacked
from ringmill.sync.signals import signals

GRACE_S = 10.0  # what a server needs to answer the requests it has begun
ENDING = (signal.SIGINT, signal.SIGTERM)

_index: int | None = None  # of this process, when it is a worker


class Cluster:
    """`Cluster(4).run(serve, host, port)`: `ringmill.run(serve, host, port)` in 4 processes.

    grace: seconds that workers have to end when they are asked to, before they are killed.
    options: for the workers' machines, see Machine.
    """

    def __init__(self, n: int, *, grace: float = GRACE_S, **options: Unpack[Options]) -> None:
        if n < 1:
            raise ValueError(f"a cluster has 1 or more workers, not {n}")
        if grace < 0:
            raise ValueError(f"grace is 0 or more seconds, not {grace}")
        self.n = n
        self.grace = grace
        self.options = options

    @staticmethod
    def index() -> int | None:
        """Which worker this process is: 0 … n-1; None outside a cluster."""
        return _index

    def run(self, main: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Run `main` (a function or coroutine function) in every worker; what each returned.

        `main`, its arguments and results are pickled. A script says `if __name__ == "__main__":`
        before it calls this, since workers import it.

        When a worker fails the others are ended, and WorkerError is raised. SIGINT and SIGTERM are
        passed on to the workers: each ends its fibers and tasks in an orderly way, or handles the
        signal itself (ringmill.signals). If it ended one of them, it is then raised here, as if
        there had been no cluster. Only in the main thread; elsewhere cancel the fiber that runs
        this.
        """
        results: list[Any] = drive(self._run(main, arguments))
        return results

    async def _run(self, main: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
        told: list[int] = []  # the signals that came
        failures: list[WorkerError] = []
        workers: list[_Worker] = []
        with _ending_signals() as source:
            try:
                self._start(workers, main, arguments)
                async with scope() as everything:
                    if source is not None:
                        everything.spawn(self._pass_on(source, told, workers, everything))
                    async with scope() as watchers:
                        for worker in workers:
                            watchers.spawn(worker.watch(everything, told, failures))
                    everything.cancel()
            finally:
                await self._end(workers)
        if failures:
            raise failures[0]
        if told and any(worker.was_ended for worker in workers):
            signal.raise_signal(told[0])
        return [worker.result for worker in workers]

    def _start(self, workers: list[_Worker], main: Callable[..., Any],
               arguments: tuple[Any, ...]) -> None:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # it would unblock the signals again, in between
        # Workers are born with these blocked and unblock them when they can handle them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            for index in range(self.n):
                workers.append(_Worker(index))
                workers[-1].start(self.grace, self.options, main, arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    async def _pass_on(self, source: signals, told: list[int], workers: list[_Worker],
                       everything: scope) -> None:
        """Whatever ends the parent ends the workers."""
        async for number in source:
            told.append(number)
            for worker in workers:
                worker.send(number)
            if len(told) == 1:
                everything.spawn(self._lose_patience(workers))

    async def _lose_patience(self, workers: list[_Worker]) -> None:
        await sleep_op(self.grace)
        for worker in workers:
            worker.send(signal.SIGKILL)

    async def _end(self, workers: list[_Worker]) -> None:
        """Nothing is left running, whatever happens to us meanwhile."""
        running = [worker for worker in workers if worker.is_running()]
        try:
            for worker in running:
                worker.send(signal.SIGTERM)
            async with timeout(self.grace):
                for worker in running:
                    await worker.wait()
        except TimeoutError:
            pass
        finally:
            for worker in workers:
                worker.bury()


@contextlib.contextmanager
def _ending_signals() -> Iterator[signals | None]:
    if threading.current_thread() is threading.main_thread():
        with signals(*ENDING) as source:
            yield source
    else:
        yield None


class _Worker:
    """A worker, as the parent sees it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: Any = None
        self.result: Any = None
        self.was_ended = False  # by a signal that we passed on
        # What the worker says at its end. A file, not a pipe: nobody has to read meanwhile.
        self.letter = _Letter(os.memfd_create("ringmill-worker", os.MFD_CLOEXEC))

    def start(self, *given: Any) -> None:
        from multiprocessing import get_context

        process = get_context("spawn").Process(
            target=_work, args=(self.index, self.letter, *given),
            name=f"ringmill worker {self.index}")
        process.start()
        self.process = process

    def is_running(self) -> bool:
        return self.process is not None and self.process.exitcode is None

    def send(self, number: int) -> None:
        if self.is_running():  # not reaped yet, so the number is certainly its own
            os.kill(self.process.pid, number)

    async def wait(self) -> None:
        """Wait for its end."""
        with contextlib.suppress(ChildProcessError):  # multiprocessing has looked, too
            await aio.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    async def watch(self, everything: scope, told: list[int],
                    failures: list[WorkerError]) -> None:
        """Wait for its end, and find out what became of it; a failure ends everything."""
        await self.wait()
        self.process.join()
        exitcode = self.process.exitcode
        kind, value = self.letter.read()
        if kind == "returned":
            self.result = value
        elif told and kind in ("", "ended"):
            self.was_ended = True  # as it was asked to, or because the grace was over
        else:
            sentence = {"raised": f"failed:\n\n{value}", "exited": f"exited with {value!r}",
                        "ended": f"was ended by {_name(value)}"}.get(kind, _how(exitcode))
            failures.append(
                WorkerError(f"worker {self.index} {sentence}", self.index, exitcode))
            everything.cancel()

    def bury(self) -> None:
        """Kill it if need be, and let go of it."""
        if self.process is not None:
            if self.is_running():
                self.process.kill()
            self.process.join()
            self.process.close()
            self.process = None
        self.letter.close()


def _how(exitcode: int) -> str:
    """How a process ended that said nothing."""
    return f"was killed by {_name(-exitcode)}" if exitcode < 0 else f"exited with code {exitcode}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Letter:
    """A file in memory that the worker writes once, before it ends: (kind, value)."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, kind: str, value: Any) -> None:
        with open(self.fd, "wb", closefd=False) as file:
            pickle.dump((kind, value), file)

    def read(self) -> tuple[str, Any]:
        """("", None): there is none, or only a part."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        with open(self.fd, "rb", closefd=False) as file:
            try:
                kind, value = pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return "", None
            except Exception:
                return "raised", f"its result cannot be unpickled:\n\n{traceback.format_exc()}"
        return kind, value

    def clear(self) -> None:
        os.lseek(self.fd, 0, os.SEEK_SET)
        os.ftruncate(self.fd, 0)

    def close(self) -> None:
        os.close(self.fd)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _letter_of, (packed(self.fd, "cluster's worker"),)


def _letter_of(parcel: Any) -> _Letter:
    return _Letter(unpacked(parcel))


# ── in the worker ───────────────────────────────────────────────────────────────────────────


class _Ended(SystemExit):
    """Raised in the program when the worker is asked to end."""


def _work(index: int, letter: _Letter, grace: float, options: Options,
          main: Callable[..., Any], arguments: tuple[Any, ...]) -> NoReturn:
    """What a worker does from its begin to its end."""
    global _index
    _index = index
    # A group of its own: Ctrl-C in a terminal strikes the parent alone, who passes it on once.
    os.setpgid(0, 0)
    try:
        for number in ENDING:
            signal.signal(number, _end)
        threading.Thread(target=_outlive_nobody, args=(grace,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        said, code = ("returned", run(main, *arguments, **options)), 0
    except _Ended as ended:
        said, code = ("ended", ended.code), 128 + int(str(ended))
    except SystemExit as exited:
        said, code = ("exited", exited.code), 1
        if not exited.code:
            said, code = ("returned", None), 0
    except BaseException:
        said, code = ("raised", traceback.format_exc()), 1
    try:
        letter.write(*said)
    except Exception:
        letter.clear()
        letter.write("raised", f"its result cannot be pickled:\n\n{traceback.format_exc()}")
        code = 1
    raise SystemExit(code)


def _end(number: int, _frame: Any) -> NoReturn:
    """End the program in an orderly way, as Ctrl-C would. Once: to ask again hurries nobody."""
    for each in ENDING:
        if signal.getsignal(each) is _end:
            signal.signal(each, signal.SIG_IGN)
    raise _Ended(number)


def _outlive_nobody(grace: float) -> None:
    """A thread that ends this worker when its parent is gone, whatever the program does."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace)
    os.kill(os.getpid(), signal.SIGKILL)
