"""Run a program where io_uring is forbidden, as container runtimes forbid it, or memory is scarce.

usage: python refuse.py EPERM|ENOSYS|ENOMEM|MEMLOCK[=bytes] command arguments...

The first three install a seccomp filter that answers io_uring_setup, _enter and _register with
that errno; MEMLOCK sets the limit of locked memory (to nothing) and gives up the privilege to
ignore it. Then the command is executed in place. Knows Linux on x86-64 and aarch64, where the
three calls have the same numbers; knows nothing of ringmill.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import sys

SETUP, REGISTER = 425, 427  # io_uring_setup … io_uring_register
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
MODE_FILTER = 2
CAP_IPC_LOCK = 14
# classic BPF: load a word, jump if >=, jump if >, return
LOAD, IF_GE, IF_GT, RETURN = 0x20, 0x35, 0x25, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def forbid(error: int) -> None:
    """Let every io_uring call of this process fail with `error` from now on."""
    code = b"".join(struct.pack("HBBI", *line) for line in (
        (LOAD, 0, 0, 0),              # the call's number
        (IF_GE, 0, 2, SETUP),
        (IF_GT, 1, 0, REGISTER),
        (RETURN, 0, 0, ERRNO | error),
        (RETURN, 0, 0, ALLOW),
    ))
    memory = ctypes.create_string_buffer(code)
    program = Program(len(code) // 8, ctypes.addressof(memory))
    control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    control(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0)


def starve(limit: int) -> None:
    """Allow no more locked memory than `limit` bytes, not even to root."""
    try:
        control(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)
    except PermissionError:
        pass  # not root: there is no privilege to give up
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))


def control(*arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    if sys.argv[1].startswith("MEMLOCK"):
        starve(int(sys.argv[1].partition("=")[2] or 0))
    else:
        forbid(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
