"""What ops are tried on: files, pipes, sockets and children, made when asked for.

A Lab closes everything it has made when its block ends. Knows `os` and `socket`; does not know
ringmill, so that nothing in here can share its mistakes.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import mmap
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HELLO = b"Hello, ring!\r\n"
LETTER = b"a letter"

# Where descriptors are put that must not be taken again by chance while a test uses the number.
HIGH_FD = 900

# Names that docstring examples use beyond what a Lab makes.
MODULES = {"mmap": mmap, "os": os, "select": select, "_socket": socket}


class Lab(contextlib.ExitStack):
    """`lab.hello`, `lab.pipe_out` …: each made once; `lab.pair()` …: anew each time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        (folder / "hello").write_bytes(HELLO)

    def example(self, name: str) -> Any:
        """What `name` stands for in the examples of ops/table/."""
        return MODULES[name] if name in MODULES else getattr(self, name)

    def fresh(self) -> Lab:
        """Another one, for a second scene beside the first; closed with this one."""
        return self.enter_context(Lab(Path(tempfile.mkdtemp(dir=self.folder))))

    # ── files ──

    def opened(self, path: Path, flags: int = os.O_RDONLY) -> int:
        return self.kept(os.open(path, flags, 0o600))

    def kept(self, fd: int) -> int:
        """`fd`, which the lab will close unless somebody has."""
        self.callback(close_quietly, fd, identity(fd))
        return fd

    @functools.cached_property
    def hello(self) -> int:
        return self.opened(self.folder / "hello")

    @functools.cached_property
    def scratch(self) -> int:
        return self.opened(self.folder / "scratch", os.O_RDWR | os.O_CREAT)

    @functools.cached_property
    def directory(self) -> int:
        return self.opened(self.folder)

    @functools.cached_property
    def attribute(self) -> str:
        """The name of an extended attribute that files have here; a tmpfs of old has no user.*."""
        probe = self.folder / "attributed"
        probe.touch()
        for name in ("user.colour", "trusted.colour", "security.colour"):
            with contextlib.suppress(OSError):
                os.setxattr(probe, name, b"")
                return name
        pytest.skip("this file system has no extended attributes")

    @functools.cached_property
    def mapped(self) -> mmap.mmap:
        """Two pages of memory, full."""
        memory = mmap.mmap(-1, 2 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory[:] = b"x" * len(memory)
        return self.enter_context(memory)

    @functools.cached_property
    def fifo(self) -> Path:
        path = self.folder / "fifo"
        os.mkfifo(path)
        return path

    def closed(self) -> int:
        """The number of a descriptor that was, and is not any more."""
        fd = fcntl.fcntl(self.hello, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
        os.close(fd)
        return fd

    # ── pipes: (read end, write end) ──

    def pipe(self, *, full: bool = False, holding: bytes = b"") -> tuple[int, int]:
        source, target = os.pipe()
        self.kept(source)
        self.kept(target)
        os.write(target, holding)
        if full:
            with unblocked(target), contextlib.suppress(BlockingIOError):
                while True:
                    os.write(target, bytes(4096))
        return source, target

    @functools.cached_property
    def pipe_out(self) -> int:
        return self._pipes[0]

    @functools.cached_property
    def pipe_in(self) -> int:
        return self._pipes[1]

    @functools.cached_property
    def pipe2_in(self) -> int:
        return self.pipe()[1]

    @functools.cached_property
    def _pipes(self) -> tuple[int, int]:
        return self.pipe()

    def epoll(self, *watched: int, events: int = select.EPOLLIN) -> select.epoll:
        """A select.epoll that watches these."""
        epoll = self.enter_context(select.epoll())
        for fd in watched:
            epoll.register(fd, events)
        return epoll

    @functools.cached_property
    def watching(self) -> select.epoll:
        return self.epoll(self.pipe_in, events=select.EPOLLOUT)

    # ── words that are waited for ──

    @functools.cached_property
    def word(self) -> bytearray:
        return bytearray(4)

    # ── sockets ──

    def tcp_socket(self) -> socket.socket:
        return self.enter_context(socket.socket())

    def pair(self, *, full: bool = False,
             holding: bytes = b"") -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self.enter_context(ours)
        self.enter_context(theirs)
        theirs.send(holding)
        if full:
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(bytes(1 << 16), socket.MSG_DONTWAIT)
        return ours, theirs

    def listener(self) -> socket.socket:
        return self.enter_context(socket.create_server(("127.0.0.1", 0)))

    def unix_listener(self, *, full: bool = False) -> socket.socket:
        """With `full`, the next connect has to wait until somebody accepts."""
        sock = self.enter_context(socket.socket(socket.AF_UNIX))
        sock.bind(str(self.folder / "listener"))
        sock.listen(0)
        if full:
            first = self.enter_context(socket.socket(socket.AF_UNIX))
            first.connect(sock.getsockname())
        return sock

    def unix_socket(self) -> socket.socket:
        return self.enter_context(socket.socket(socket.AF_UNIX))

    def dial(self, listener: socket.socket) -> socket.socket:
        return self.enter_context(socket.create_connection(listener.getsockname()))

    @functools.cached_property
    def tcp(self) -> socket.socket:
        return self.tcp_socket()

    @functools.cached_property
    def bound(self) -> socket.socket:
        sock = self.tcp_socket()
        sock.bind(("127.0.0.1", 0))
        return sock

    @functools.cached_property
    def listening(self) -> socket.socket:
        return self.listener()

    @functools.cached_property
    def knocked(self) -> socket.socket:
        listener = self.listener()
        self.dial(listener)
        return listener

    @functools.cached_property
    def letter(self) -> socket.socket:
        return self.pair(holding=LETTER)[0]

    @functools.cached_property
    def left(self) -> socket.socket:
        return self.pair()[0]

    @functools.cached_property
    def mail(self) -> socket.socket:
        """A datagram socket that may send to anybody."""
        return self.enter_context(socket.socket(type=socket.SOCK_DGRAM))

    def datagrams(self, family: int = socket.AF_INET) -> socket.socket:
        """A datagram socket with an address."""
        sock = self.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        sock.bind({socket.AF_INET: ("127.0.0.1", 0), socket.AF_INET6: ("::1", 0)}.get(family, b""))
        return sock

    @functools.cached_property
    def mailbox(self) -> socket.socket:
        return self.datagrams()

    @functools.cached_property
    def passing(self) -> socket.socket:
        """A socket to which a descriptor is on its way: of the file `hello`."""
        ours, theirs = self.pair()
        socket.send_fds(theirs, [LETTER], [self.hello])
        return ours

    # ── children ──

    def child(self) -> int:
        """A process that ends at once, with 7."""
        return self._spawned("exit 7")

    def waiting_child(self) -> tuple[int, Callable[[], None]]:
        """A process that ends with 7 when the function is called."""
        source, target = self.pipe()
        pid = self._spawned("read line; exit 7", [(os.POSIX_SPAWN_DUP2, source, 0)])
        return pid, lambda: os.write(target, b"\n") and None

    @functools.cached_property
    def one_waiting_child(self) -> tuple[int, Callable[[], None]]:
        return self.waiting_child()

    def _spawned(self, script: str, actions: Any = ()) -> int:
        # Not subprocess: it would reap the child behind our back.
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], os.environ, file_actions=actions)
        self.callback(reap, pid)
        return pid


def stream(lab: Lab, name: str) -> tuple[Any, Callable[[bytes], Any], Callable[[], None]]:
    """What the iterator reads from, how to feed it, how to end it."""
    if name in ("recv_each", "recvmsg_each"):
        ours, theirs = lab.pair()
        return ours, theirs.sendall, theirs.close
    source, target = lab.pipe()
    return source, lambda data: os.write(target, data), lambda: os.close(target)


class Fileno:
    """An object with a fileno() method, which tells a number or raises."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def fileno(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@contextlib.contextmanager
def unblocked(fd: int):
    os.set_blocking(fd, False)
    try:
        yield
    finally:
        os.set_blocking(fd, True)


SYS_FUTEX = {"x86_64": 202, "aarch64": 98}[os.uname().machine]
FUTEX_WAKE = 1
WAKES_MAX = 5000  # a worker thread of the soft kernel may be late, but not by as many tries


def wake(word: bytearray) -> None:
    """Wake the one who waits for this futex word, or soon will."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(WAKES_MAX):
        place = ctypes.c_uint32.from_buffer(word)
        if libc.syscall(SYS_FUTEX, ctypes.byref(place), FUTEX_WAKE, 1, None, None, 0) == 1:
            return
        del place
        time.sleep(0.001)
    raise AssertionError("nobody waits for this word")


def drain(fd: int) -> bytes:
    """Everything that can be read without waiting."""
    pieces = []
    with unblocked(fd), contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def close_quietly(fd: int, was: tuple[int, int]) -> None:
    """Close `fd` if it still is what it was."""
    with contextlib.suppress(OSError):
        if identity(fd) == was:
            os.close(fd)


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
