"""`Process`: a program that runs beside us, with pipes; in both faces.

Its state and everything that waits are written once, in Running; the two classes below give them
the names of their face.

Knows children and pipes; does not know `run_process`, which is made from this.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Coroutine
from types import TracebackType
from typing import IO, Any, Self, TypeAlias, TypeVar, Unpack

from ringmill.errors import Cancelled
from ringmill.face.composite import call_face
from ringmill.face.opening import Opening
from ringmill.face.scope import scope
from ringmill.face.spawn import drive
from ringmill.face.timeout import timeout as timeout_block
from ringmill.ops import aio
from ringmill.processes.child import Child, Command, Spawning
from ringmill.processes.pipes import (
    AsyncPipeReader,
    AsyncPipeWriter,
    PipeEnd,
    PipeReader,
    PipeWriter,
    Sink,
    Source,
    Text,
)

File: TypeAlias = int | IO[Any] | PipeEnd | None  # an int: also PIPE, DEVNULL, STDOUT

T = TypeVar("T")


class Options(Spawning, total=False):
    """How a program is started, and what its pipes carry; as subprocess.Popen has it."""

    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None
    pipesize: int | None


class Running:
    """What both faces of a process share."""

    reader: type[Source]
    writer: type[Sink]

    def __init__(self, command: Command, *, stdin: File = None, stdout: File = None,
                 stderr: File = None, text: bool | None = None,
                 universal_newlines: bool | None = None, encoding: str | None = None,
                 errors: str | None = None, pipesize: int | None = None,
                 **options: Unpack[Spawning]) -> None:
        how = Text.asked(text or universal_newlines, encoding, errors)
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        ours: dict[str, int] = {}
        theirs: list[int] = []
        try:
            for name, asked in streams.items():
                if asked == subprocess.PIPE:
                    ends = os.pipe()
                    its, ours[name] = ends if name == "stdin" else ends[::-1]
                    theirs.append(its)
                    streams[name] = its
                    if pipesize is not None:
                        fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, pipesize)
            self._child = Child(command, streams, options)
        except BaseException:
            for fd in ours.values():
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.args = command
        self._stdin = self.writer(ours["stdin"], how) if "stdin" in ours else None
        self._stdout = self.reader(ours["stdout"], how) if "stdout" in ours else None
        self._stderr = self.reader(ours["stderr"], how) if "stderr" in ours else None
        self._input: memoryview | None = None       # what communicate() writes
        self._written = 0                           # how much of it
        self._pieces: dict[Source, list[bytes]] = {}   # what it has read
        self._said: dict[Source, Any] = {}          # the same, when the end has come

    def __repr__(self) -> str:
        how = "running" if self.returncode is None else f"ended: {self.returncode}"
        return f"<{type(self).__name__} {self.pid} {how}>"

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, as far as wait() and poll() have seen: its exit code, or minus the number
        of the signal that killed it. None: not yet."""
        return self._child.returncode

    def poll(self) -> int | None:
        """How it ended, if it has; does not wait."""
        return self._child.look()

    def send_signal(self, signum: int) -> None:
        """Send a signal to it, and never to another one that has got its number since."""
        self._child.send_signal(signum)

    def terminate(self) -> None:
        """Ask it to end: SIGTERM."""
        self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it: SIGKILL."""
        self._child.send_signal(signal.SIGKILL)

    # ── waiting ──

    async def _wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its returncode. subprocess.TimeoutExpired after `timeout` seconds.

        A program that writes into pipes which nobody reads may never end: see communicate().
        """
        return await self._in_time(self._child.wait(), timeout)

    async def _in_time(self, coroutine: Coroutine[Any, Any, T], timeout: float | None) -> T:
        try:
            block = timeout_block(timeout)
        except BaseException:
            coroutine.close()
            raise
        try:
            async with block:
                return await coroutine
        except TimeoutError:
            if timeout is None or not block.expired:
                raise
            out, err = (b"".join(self._pieces.get(source, ())) or None if source else None
                        for source in (self._stdout, self._stderr))
            raise subprocess.TimeoutExpired(self.args, timeout, out, err) from None

    async def _communicate(self, input: Any = None,
                           timeout: float | None = None) -> tuple[Any, Any]:
        """Write `input` to its stdin, read stdout and stderr to their ends, wait for its end.

        (stdout, stderr); None for one that is no pipe. The pipes are closed. A program that does
        not take its input is no error. Whatever ended it early (a cancel, TimeoutExpired after
        `timeout` seconds), call it again for the rest; nothing is lost.
        """
        self._take_input(input)
        await self._in_time(self._exchange(), timeout)
        return (self._said[self._stdout] if self._stdout else None,
                self._said[self._stderr] if self._stderr else None)

    def _take_input(self, data: Any) -> None:
        if self._stdin is None or self._stdin.closed:
            if data is not None:
                raise ValueError("it takes no input: its stdin is closed, or no pipe")
        elif self._input is None:
            encoded = b"" if data is None else self._stdin._encode(data)
            self._input = memoryview(encoded).cast("B")
        elif data is not None:
            raise ValueError("its input has been begun already")

    async def _exchange(self) -> None:
        jobs = []
        if self._stdin is not None and not self._stdin.closed:
            jobs.append(self._feed(self._stdin))
        for source in (self._stdout, self._stderr):
            if source is not None and source not in self._said:
                jobs.append(self._drain(source))
        if len(jobs) < 2:
            for job in jobs:
                await job
        else:
            try:
                async with scope() as together:
                    for job in jobs:
                        together.spawn(job)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
        await self._child.wait()

    async def _feed(self, stdin: Sink) -> None:
        assert self._input is not None
        with contextlib.suppress(BrokenPipeError):  # it has read what it wanted
            while self._written < len(self._input):
                rest = self._input[self._written:]
                self._written += await stdin._wait(aio.write(stdin.fileno(), rest))
        self._input = memoryview(b"")  # the program may change its buffer again
        self._written = 0
        stdin.close()

    async def _drain(self, source: Source) -> None:
        pieces = self._pieces.setdefault(source, [])
        while piece := await source._take_in():
            pieces.append(piece)
        self._said[source] = source._finish(b"".join(pieces))
        source.close()

    # ── the end ──

    async def _end(self) -> None:
        """Kill it if it runs still, close the pipes, and wait until it is gone."""
        ours = self._child.parent == os.getpid()  # else we were forked, and it is our sibling
        try:
            if ours:
                self._child.send_signal(signal.SIGKILL)
        finally:
            for end in (self._stdin, self._stdout, self._stderr):
                if end is not None:
                    end.close()
        stopped: BaseException | None = None
        # It is killed, so this is not for long: being cancelled can wait.
        while ours and self._child.look() is None:
            try:
                await self._child.wait()
            except Cancelled as cancelled:
                stopped = cancelled
        if stopped is not None:
            raise stopped


class Process(Running):
    """A program that runs beside us; see open_process(). A context manager, which ends it."""

    reader = PipeReader
    writer = PipeWriter
    wait = call_face(Running._wait)
    communicate = call_face(Running._communicate)

    @property
    def stdin(self) -> PipeWriter | None:
        """The pipe to its input, when PIPE was asked for."""
        assert self._stdin is None or isinstance(self._stdin, PipeWriter)
        return self._stdin

    @property
    def stdout(self) -> PipeReader | None:
        """The pipe from its output, when PIPE was asked for."""
        assert self._stdout is None or isinstance(self._stdout, PipeReader)
        return self._stdout

    @property
    def stderr(self) -> PipeReader | None:
        """The pipe from its error output, when PIPE was asked for."""
        assert self._stderr is None or isinstance(self._stderr, PipeReader)
        return self._stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        drive(self._end())


class AsyncProcess(Running):
    """A program that runs beside us; see aio.open_process(). `async with` ends it."""

    reader = AsyncPipeReader
    writer = AsyncPipeWriter
    wait = Running._wait
    communicate = Running._communicate

    @property
    def stdin(self) -> AsyncPipeWriter | None:
        """The pipe to its input, when PIPE was asked for."""
        assert self._stdin is None or isinstance(self._stdin, AsyncPipeWriter)
        return self._stdin

    @property
    def stdout(self) -> AsyncPipeReader | None:
        """The pipe from its output, when PIPE was asked for."""
        assert self._stdout is None or isinstance(self._stdout, AsyncPipeReader)
        return self._stdout

    @property
    def stderr(self) -> AsyncPipeReader | None:
        """The pipe from its error output, when PIPE was asked for."""
        assert self._stderr is None or isinstance(self._stderr, AsyncPipeReader)
        return self._stderr

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self._end()


def open_process(command: Command, *, stdin: File = None, stdout: File = None,
                 stderr: File = None, **options: Unpack[Options]) -> Process:
    """Start a program; a Process, for `with`, at whose end it is killed if it runs still.

    stdin, stdout, stderr: subprocess.PIPE gives an attribute to write to or read from; DEVNULL,
    STDOUT, files and descriptors (None: ours) as in subprocess.Popen, as are the options.
    FileNotFoundError, PermissionError … when it cannot be started.

    Starting takes the machine a fraction of a millisecond, in which nothing else runs.
    """
    return Process(command, stdin=stdin, stdout=stdout, stderr=stderr, **options)


def open_process_op(command: Command, *, stdin: File = None, stdout: File = None,
                    stderr: File = None, **options: Unpack[Options]) -> Opening[AsyncProcess]:
    """Start a program; `async with open_process(…) as process:` kills it at its end if it runs.

    Or `await` it for an AsyncProcess. The arguments are those of ringmill.open_process.
    """
    async def begin() -> AsyncProcess:
        return AsyncProcess(command, stdin=stdin, stdout=stdout, stderr=stderr, **options)

    return Opening(begin())
