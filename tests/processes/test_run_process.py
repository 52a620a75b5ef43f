"""run_process against subprocess.run: the same arguments give the same result or error."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from typing import Any

import pytest

import ringmill
from ringmill import Cancelled
from support import faces, leaks

pytestmark = pytest.mark.usefixtures("machine")

SH = "/bin/sh"
PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
BIG = bytes(range(256)) * 4096 * 3  # several times what a pipe holds


def outcome(run: Any, *arguments: Any, **options: Any) -> Any:
    """What comes of it, as something to compare."""
    try:
        done = run(*arguments, **options)
    except (OSError, ValueError, TypeError, LookupError, subprocess.SubprocessError) as error:
        words = [getattr(error, name, None) for name in
                 ("errno", "filename", "cmd", "returncode", "output", "stderr")]
        return type(error), words
    return done.args, done.returncode, done.stdout, done.stderr


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing asked for": (["true"], {}),
    "exit code": ([SH, "-c", "exit 7"], {}),
    "killed": ([SH, "-c", "kill -KILL $$"], {}),
    "capture": ([SH, "-c", "echo out; echo err >&2"], {"capture_output": True}),
    "stdout only": ([SH, "-c", "echo out; echo err >&2"], {"stdout": PIPE, "stderr": DEVNULL}),
    "stderr only": ([SH, "-c", "echo out; echo err >&2"], {"stderr": PIPE, "stdout": DEVNULL}),
    "both in one": ([SH, "-c", "echo out; echo err >&2"], {"stdout": PIPE, "stderr": STDOUT}),
    "nothing said": (["true"], {"capture_output": True}),
    "input": (["cat"], {"input": b"hello", "stdout": PIPE}),
    "no input": (["cat"], {"input": b"", "stdout": PIPE}),
    "input larger than a pipe": (["cat"], {"input": BIG, "stdout": PIPE}),
    "both larger than a pipe": (
        [SH, "-c", "tee /dev/stderr"], {"input": BIG, "capture_output": True}),
    "a memoryview": (["cat"], {"input": memoryview(b"abcd").cast("H"), "stdout": PIPE}),
    "input that is not read": (["true"], {"input": BIG}),
    "input that is read in part": (["head", "-c", "5"], {"input": BIG, "stdout": PIPE}),
    "stdout closed early": (
        [SH, "-c", "exec >&-; cat >/dev/null"], {"input": BIG, "stdout": PIPE}),
    "text": (["cat"], {"input": "gr\u00fc\u00df\r\nb\rc\n", "stdout": PIPE, "text": True,
                       "encoding": "utf-8"}),
    "encoding": (["cat"], {"input": "gr\u00fc\u00df", "stdout": PIPE, "encoding": "latin-1"}),
    "errors": (["printf", r"\377a"], {"stdout": PIPE, "encoding": "utf-8", "errors": "replace"}),
    "not text": (["printf", r"\377a"], {"stdout": PIPE, "encoding": "utf-8"}),
    "universal newlines": (
        ["printf", r"a\r\nb\r"], {"stdout": PIPE, "universal_newlines": True}),
    "unknown encoding": (["true"], {"stdout": PIPE, "encoding": "martian"}),
    "check": ([SH, "-c", "echo out; echo err >&2; exit 3"],
              {"capture_output": True, "check": True}),
    "check of a signal": ([SH, "-c", "kill -TERM $$"], {"check": True}),
    "check, and all is well": (["true"], {"check": True}),
    "shell": ("echo $((6 * 7)) | cat", {"shell": True, "stdout": PIPE}),
    "cwd": (["pwd"], {"cwd": "/", "stdout": PIPE}),
    "env": ([SH, "-c", "echo $COLOUR"], {"env": {"COLOUR": "blue", "PATH": os.defpath},
                                         "stdout": PIPE}),
    "executable": (["zero", "-c", "echo $0"], {"executable": SH, "stdout": PIPE}),
    "umask": ([SH, "-c", "umask"], {"umask": 0o27, "stdout": PIPE}),
    "a session": ([SH, "-c", "ps -o pid=,sid= -p $$ | awk '{print $1 == $2}'"],
                  {"start_new_session": True, "stdout": PIPE}),
    "bytes": ([b"/bin/echo", b"\xff"], {"stdout": PIPE}),
    "not found": (["/nowhere/to/be/found"], {}),
    "not found on PATH": (["nowhere-to-be-found"], {"capture_output": True}),
    "not executable": (["/etc/passwd"], {"input": b"x", "capture_output": True}),
    "a folder": (["/"], {}),
    "no such cwd": (["true"], {"cwd": "/nowhere"}),
    "not a program": ([], {}),
    "a null byte": (["a\0b"], {"stdout": PIPE}),
    "input and stdin": (["cat"], {"input": b"", "stdin": PIPE}),
    "capture and stdout": (["cat"], {"capture_output": True, "stdout": PIPE}),
    "input of the wrong type": (["cat"], {"input": "text", "stdout": PIPE}),
    "out of time, and silent": (["sleep", "60"], {"timeout": 0.05, "capture_output": True}),
    "no time at all": (["sleep", "60"], {"timeout": 0}),
    "no such user": (["true"], {"user": "nobody-of-this-name"}),
}


@pytest.mark.parametrize("name", CASES)
def test_as_subprocess_run(name: str, face: str) -> None:
    command, options = CASES[name]
    expected = outcome(subprocess.run, command, **options)
    assert outcome(lambda *a, **k: faces.call(face, "run_process", *a, **k),
                   command, **options) == expected


def out_of_time(face: str, script: str, lines: int, **options: Any) -> Any:
    """The TimeoutExpired of a script that says so many lines and goes on; slow hosts get time."""
    for seconds in (0.1, 1, 10):
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            faces.call(face, "run_process", [SH, "-c", script], timeout=seconds, **options)
        assert caught.value.timeout == seconds
        said = (caught.value.output or b"") + (caught.value.stderr or b"")
        if said.count(b"\n") == lines:
            break
    return caught.value


@pytest.mark.parametrize("text", [False, True])
def test_out_of_time_has_what_came(face: str, text: bool) -> None:
    """Bytes, in text mode as well, as subprocess has it."""
    late = out_of_time(face, "echo out; echo err >&2; exec sleep 60", 2,
                       capture_output=True, text=text)
    assert (late.output, late.stderr) == (b"out\n", b"err\n")


def test_a_grandchild_that_holds_the_pipe(face: str) -> None:
    """The timeout does not wait for it: it has been reparented, and its pipe is ours no more."""
    late = out_of_time(face, "sleep 60 & echo $!; wait", 1, stdout=PIPE)
    os.kill(int(late.output), signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_user(face: str) -> None:
    done = faces.call(face, "run_process", ["id", "-u"], stdout=PIPE, user=65534)
    assert done.stdout == b"65534\n"


def test_pass_fds(face: str, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    faces.call(face, "run_process", [SH, "-c", f"echo here > /dev/fd/{writer}"], pass_fds=[writer],
               check=True)
    assert os.read(reader, 100) == b"here\n"


def test_files_and_descriptors(face: str, tmp_path: Any) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        faces.call(face, "run_process", ["cat"], stdin=source, stdout=target, check=True)
    assert (tmp_path / "out").read_bytes() == b"from a file"


@pytest.mark.parametrize("script", ["exec sleep 60", "while :; do :; done",
                                    "exec >&- 2>&-; exec sleep 60"])
def test_a_cancel_kills_it(face: str, script: str) -> None:
    """Whatever it waits for: our input, our reading, or nothing of ours."""
    async def program(on: faces.Play) -> None:
        with ringmill.timeout(0.05):
            await on(on.run_process([SH, "-c", script], input=BIG, capture_output=True))

    with pytest.raises(TimeoutError):
        faces.play(face, program)


def test_cancelled_before_it_begins() -> None:
    """Nothing is started, or it is gone: the law of this folder looks."""
    async def main() -> None:
        task = ringmill.spawn(ringmill.aio.run_process(["sleep", "60"]))
        task.cancel()
        with pytest.raises(Cancelled):
            await task

    ringmill.run(main())


def test_two_hundred_at_once(face: str) -> None:
    def one(number: int) -> bytes:
        call = ["cat"]
        return ringmill.run_process(call, input=b"%d" % number, stdout=PIPE).stdout

    async def aone(number: int) -> bytes:
        done = await ringmill.aio.run_process(["cat"], input=b"%d" % number, stdout=PIPE)
        return done.stdout

    async def main() -> list[bytes]:
        begun = [ringmill.spawn(one, number) if face == "fiber" else ringmill.spawn(aone(number))
                 for number in range(200)]
        return [await each for each in begun]

    assert ringmill.run(main()) == [b"%d" % number for number in range(200)]


def test_no_descriptors_left(face: str) -> None:
    """EMFILE at every point of starting: an OSError each time, and nothing stays open."""
    def attempt() -> Any:
        return faces.call(face, "run_process", ["cat"], input=b"x", capture_output=True)

    attempt()  # whatever is opened once and kept
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(leaks.open_fds()) + 1, hard))
    filled: list[int] = []
    failed = 0
    try:
        with contextlib.suppress(OSError):
            while True:
                filled.append(os.dup(0))
        for _ in range(40):
            try:
                done = attempt()
            except OSError as error:
                assert error.errno == errno.EMFILE
                failed += 1
            else:
                assert done.stdout == b"x"
                break
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (resource.getrlimit(resource.RLIMIT_NOFILE)[0] + 1, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filled:
            os.close(fd)
    assert failed >= 6


def test_arguments_that_are_wrong(face: str) -> None:
    with pytest.raises(TypeError, match="colour"):
        faces.call(face, "run_process", ["true"], colour="blue")
    with pytest.raises(TypeError):
        faces.call(face, "run_process", ["true"], timeout="soon")
    with pytest.raises(TypeError, match="str"):
        faces.call(face, "run_process", ["cat"], input=b"bytes", text=True)


def test_a_loop_leaves_nothing(face: str) -> None:
    async def program(on: faces.Play) -> None:
        for _ in range(30):
            done = await on(on.run_process(["cat"], input=b"again", capture_output=True))
            assert done.stdout == b"again"

    faces.play(face, program)


@pytest.mark.soak
def test_many_thousands(face: str) -> None:
    async def program(on: faces.Play) -> None:
        for number in range(5000):
            done = await on(on.run_process([SH, "-c", f"exit {number % 256}"], input=b"x",
                                           capture_output=True))
            assert done.returncode == number % 256

    faces.play(face, program)


def test_in_another_thread(face: str) -> None:
    """No handler of signals, so no thread is special."""
    from support.threads import elsewhere

    done = elsewhere(faces.call, face, "run_process", [sys.executable, "-c", "print(6 * 7)"])
    assert done.returncode == 0
