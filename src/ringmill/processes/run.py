"""`run_process`: start a program, give it its input, take its output, wait for its end.

Knows processes; what it returns and raises is subprocess's own.
"""

from __future__ import annotations

import subprocess
from typing import Any, Unpack

from ringmill.processes.child import Command
from ringmill.processes.process import AsyncProcess, File, Options


async def run_process(command: Command, *, input: Any = None, stdin: File = None,
                      stdout: File = None, stderr: File = None, capture_output: bool = False,
                      check: bool = False, timeout: float | None = None,
                      **options: Unpack[Options]) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as subprocess.run does: the same arguments, result and errors.

    capture_output: have stdout and stderr in the result. check: CalledProcessError when it fails.
    timeout: after so many seconds it is killed and TimeoutExpired raised, which has what came
    until then. A cancel kills it as well. (`ringmill.run` runs a Python function.)
    """
    if input is not None:
        if stdin is not None:
            raise ValueError("stdin and input cannot both be given: input takes a pipe of its own")
        stdin = subprocess.PIPE
    if capture_output:
        if stdout is not None or stderr is not None:
            raise ValueError("capture_output takes pipes of its own: no stdout and stderr")
        stdout = stderr = subprocess.PIPE
    process = AsyncProcess(command, stdin=stdin, stdout=stdout, stderr=stderr, **options)
    async with process:
        out, err = await process.communicate(input, timeout)
    code = process.returncode
    assert code is not None, "communicate() waits for the end"
    if check and code != 0:
        raise subprocess.CalledProcessError(code, process.args, out, err)
    return subprocess.CompletedProcess(process.args, code, out, err)
