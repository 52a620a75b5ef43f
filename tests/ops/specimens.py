"""How each op is made to succeed, to wait and to fail: what the laws need to know of an entry.

One Specimen per entry of ops/table.py. `works` makes arguments with which the op completes by
itself, `blocks` such that it waits until `unblock()` is called, `fails` such that the kernel
refuses. Where one of them is impossible, a sentence stands in its place.

Knows a Lab; does not know which kernel or face tries them.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops.lab import HELLO, LETTER, Lab, drain, wake
from ringmill.ops import table  # noqa: F401  (fills ENTRIES)
from ringmill.ops.entry import ENTRIES, Entry


@dataclass
class Scene:
    """Arguments by name; `seen(result)` is what can be compared, `expected` what it should be."""

    arguments: dict[str, Any]
    expected: Any = None
    seen: Callable[[Any], Any] = lambda result: result
    unblock: Callable[[], Any] | None = None

    def passed(self, entry: Entry) -> tuple[list[Any], dict[str, Any]]:
        """As positional and keyword arguments."""
        positional, keywords = [], {}
        for argument in entry.arguments:
            if argument.name in self.arguments:
                value = self.arguments[argument.name]
                if argument.keyword_only:
                    keywords[argument.name] = value
                else:
                    positional.append(value)
        unknown = set(self.arguments) - {a.name for a in entry.arguments}
        assert not unknown, f"{entry.name} has no argument {', '.join(sorted(unknown))}"
        return positional, keywords


@dataclass(frozen=True)
class Failure:
    """What the kernel refuses, and with which errno and filename."""

    arguments: dict[str, Any]
    number: int
    filename: Any = None


@dataclass(frozen=True)
class Specimen:
    works: Callable[[Lab], Scene]
    blocks: Callable[[Lab], Scene] | str
    fails: Callable[[Lab], Failure] | str


NEVER_WAITS = "the kernel answers at once"


# ── what results look like when they can be compared ────────────────────────────────────────


def content(fd: int) -> bytes:
    """An fd that arrived: what is in it. It is closed."""
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def kind_of(sock: socket.socket) -> tuple[Any, ...]:
    with sock:
        return sock.family, sock.type, sock.proto, os.get_inheritable(sock.fileno())


def who(accepted: tuple[socket.socket, Any]) -> tuple[Any, ...]:
    sock, address = accepted
    with sock:
        assert sock.getpeername() == address
        return sock.family, sock.type, address[0]


def same_stat(result: os.stat_result) -> tuple[Any, ...]:
    # Not st_atime: whoever looked at the file in between has changed it.
    return tuple(getattr(result, name) for name in (
        "st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns",
        "st_ctime_ns", "st_mtime", "st_ctime", "st_blksize", "st_blocks", "st_rdev"))


def letter_of(message: tuple[Any, ...]) -> tuple[Any, ...]:
    data, ancillary, flags, _ = message
    return data, ancillary, flags


def ended(result: os.waitid_result) -> tuple[int, int]:
    return result.si_code, result.si_status


# ── files ───────────────────────────────────────────────────────────────────────────────────


def open_missing(lab: Lab) -> Failure:
    path = lab.folder / "missing"
    return Failure({"path": path, "flags": os.O_RDONLY}, errno.ENOENT, path)


def close_works(lab: Lab) -> Scene:
    fd = lab.kept(os.dup(lab.hello))

    def seen(result: None) -> tuple[Any, bool]:
        try:
            return result, os.path.samestat(os.fstat(fd), os.fstat(lab.hello))
        except OSError:
            return result, False

    return Scene({"fd": fd}, (None, False), seen)


def reads(argument: str, make: Callable[[], Any]) -> Specimen:
    """Of the three forms: bytes are made, a buffer or several are filled."""
    def told(given: Any) -> Callable[[Any], Any]:
        def seen(result: Any) -> Any:
            if isinstance(result, bytes):
                return result
            filled = b"".join(given) if isinstance(given, list) else bytes(given)
            return result, filled[:result]

        return seen

    def expected(data: bytes) -> Any:
        return data if argument == "n" else (len(data), data)

    def works(lab: Lab) -> Scene:
        given = make()
        return Scene({"fd": lab.hello, argument: given, "offset": 0}, expected(HELLO[:6]),
                     told(given))

    def waits(lab: Lab) -> Scene:
        given = make()
        source, target = lab.pipe()
        return Scene({"fd": source, argument: given}, expected(b"late"), told(given),
                     lambda: os.write(target, b"late"))

    return Specimen(works, waits, lambda lab: Failure(
        {"fd": lab.directory, argument: make()}, errno.EISDIR))


def writes(argument: str, make: Callable[[], Any], size: int) -> Specimen:
    def works(lab: Lab) -> Scene:
        return Scene({"fd": lab.scratch, argument: make(), "offset": 0},
                     (size, b"some bytes"),
                     lambda result: (result, os.pread(lab.scratch, 100, 0)))

    def waits(lab: Lab) -> Scene:
        source, target = lab.pipe(full=True)
        taken = bytearray()  # it may be written between two of the reads that make room
        return Scene({"fd": target, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, bytes(taken + drain(source))[-size:]),
                     lambda: taken.extend(drain(source)))

    def fails(lab: Lab) -> Failure:
        source, target = lab.pipe()
        os.close(source)
        return Failure({"fd": target, argument: make()}, errno.EPIPE)

    return Specimen(works, waits, fails)


def all_of(part: Specimen) -> Specimen:
    """Of an op that says how many bytes went: one that says nothing, for all have."""
    def uncounted(make: Callable[[Lab], Scene]) -> Callable[[Lab], Scene]:
        def made(lab: Lab) -> Scene:
            scene = make(lab)
            return Scene(scene.arguments, (None, scene.expected[1]), scene.seen, scene.unblock)

        return made

    assert not isinstance(part.blocks, str)
    return Specimen(uncounted(part.works), uncounted(part.blocks), part.fails)


def fsync_fails(lab: Lab) -> Failure:
    return Failure({"fd": lab.pipe_in}, errno.EINVAL)


def stat_works(lab: Lab) -> Scene:
    path = lab.folder / "hello"
    return Scene({"path": path}, same_stat(os.stat(path)), same_stat)


def stat_missing(lab: Lab) -> Failure:
    path = lab.folder / "missing"
    return Failure({"path": path}, errno.ENOENT, path)


def splice_works(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"source": lab.hello, "target": target, "n": 6, "offset_source": 0},
                 (6, HELLO[:6]), lambda result: (result, drain(source)))


def splice_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"source": source, "target": lab.scratch, "n": 6, "offset_target": 0},
                 (4, b"late"), lambda result: (result, os.pread(lab.scratch, 100, 0)),
                 lambda: os.write(target, b"late"))


def splice_fails(lab: Lab) -> Failure:
    return Failure({"source": lab.hello, "target": lab.scratch, "n": 6}, errno.EINVAL)


def tee_works(lab: Lab) -> Scene:
    source, _ = lab.pipe(holding=b"twice")
    copy, target = lab.pipe()
    return Scene({"source": source, "target": target, "n": 5}, (5, b"twice", b"twice"),
                 lambda result: (result, drain(source), drain(copy)))


def tee_waits(lab: Lab) -> Scene:
    source, feed = lab.pipe()
    copy, target = lab.pipe()
    return Scene({"source": source, "target": target, "n": 5}, (4, b"late", b"late"),
                 lambda result: (result, drain(source), drain(copy)),
                 lambda: os.write(feed, b"late"))


def tee_fails(lab: Lab) -> Failure:
    return Failure({"source": lab.hello, "target": lab.pipe_in, "n": 5}, errno.EINVAL)


def poll_works(lab: Lab) -> Scene:
    return Scene({"fd": lab.pipe_in, "mask": select.POLLOUT}, select.POLLOUT)


def poll_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"fd": source, "mask": select.POLLIN}, select.POLLIN, lambda mask: mask,
                 lambda: os.write(target, b"late"))


# ── sockets ─────────────────────────────────────────────────────────────────────────────────


def bind_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.tcp, "address": ("127.0.0.1", 0)}, (None, True),
                 lambda result: (result, lab.tcp.getsockname()[1] != 0))


def bind_fails(lab: Lab) -> Failure:
    path = str(lab.folder / "missing" / "socket")
    return Failure({"sock": lab.unix_socket(), "address": path}, errno.ENOENT, path)


def listen_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.bound}, (None, 1), lambda result: (
        result, lab.bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)))


def listen_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.enter_context(socket.socket(type=socket.SOCK_DGRAM))},
                   errno.EOPNOTSUPP)


def accept_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.knocked}, (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"), who)


def accept_waits(lab: Lab) -> Scene:
    return Scene({"sock": lab.listening}, (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"), who,
                 lambda: lab.dial(lab.listening))


def accept_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp}, errno.EINVAL)


def connect_works(lab: Lab) -> Scene:
    address = lab.listening.getsockname()
    return Scene({"sock": lab.tcp, "address": address}, (None, address),
                 lambda result: (result, lab.tcp.getpeername()))


def connect_waits(lab: Lab) -> Scene:
    listener = lab.unix_listener(full=True)
    sock = lab.unix_socket()
    name = listener.getsockname()

    def come() -> None:
        lab.enter_context(listener.accept()[0])

    return Scene({"sock": sock, "address": name}, (None, name),
                 lambda result: (result, sock.getpeername()), come)


def connect_fails(lab: Lab) -> Failure:
    address = lab.bound.getsockname()  # bound, not listening: nobody else can listen there
    return Failure({"sock": lab.tcp, "address": address}, errno.ECONNREFUSED, address)


def receives(argument: str, make: Callable[[], Any], seen_as: Callable[[Any, Any], Any],
             expected: Callable[[bytes], Any]) -> Specimen:
    def works(lab: Lab) -> Scene:
        given = make()
        return Scene({"sock": lab.letter, argument: given}, expected(LETTER),
                     lambda result: seen_as(result, given))

    def waits(lab: Lab) -> Scene:
        given = make()
        ours, theirs = lab.pair()
        return Scene({"sock": ours, argument: given}, expected(b"late"),
                     lambda result: seen_as(result, given), lambda: theirs.send(b"late"))

    return Specimen(works, waits,
                    lambda lab: Failure({"sock": lab.hello, argument: make()}, errno.ENOTSOCK))


def sends(argument: str, make: Callable[[], Any], size: int) -> Specimen:
    def works(lab: Lab) -> Scene:
        ours, theirs = lab.pair()
        return Scene({"sock": ours, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, theirs.recv(100)))

    def waits(lab: Lab) -> Scene:
        ours, theirs = lab.pair(full=True)
        taken = bytearray()
        return Scene({"sock": ours, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, bytes(taken + drain(theirs.fileno()))[-size:]),
                     lambda: taken.extend(drain(theirs.fileno())))

    def fails(lab: Lab) -> Failure:
        ours, theirs = lab.pair()
        theirs.close()
        return Failure({"sock": ours, argument: make()}, errno.EPIPE)

    return Specimen(works, waits, fails)


def shutdown_works(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours, "how": socket.SHUT_WR}, (None, b""),
                 lambda result: (result, theirs.recv(1)))


def shutdown_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp, "how": socket.SHUT_WR}, errno.ENOTCONN)


# ── processes ───────────────────────────────────────────────────────────────────────────────


def waitid_works(lab: Lab) -> Scene:
    return Scene({"idtype": os.P_PID, "id": lab.child(), "options": os.WEXITED},
                 (os.CLD_EXITED, 7), ended)


def waitid_waits(lab: Lab) -> Scene:
    pid, end = lab.waiting_child()
    return Scene({"idtype": os.P_PID, "id": pid, "options": os.WEXITED},
                 (os.CLD_EXITED, 7), ended, end)


def waitid_fails(lab: Lab) -> Failure:
    return Failure({"idtype": os.P_PID, "id": os.getpid(), "options": os.WEXITED}, errno.ECHILD)


# ── words in memory ─────────────────────────────────────────────────────────────────────────


def futex_wait_waits(lab: Lab) -> Scene:
    word = bytearray(4)
    return Scene({"word": word, "value": 0}, True, unblock=lambda: wake(word))


def no_bit(lab: Lab, **more: Any) -> Failure:
    return Failure({"word": lab.word, "mask": 0, **more}, errno.EINVAL)


# ── many results: the first is what counts here, test_iterators.py has the rest ─────────────


def accept_each_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.knocked}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of)


def accept_each_waits(lab: Lab) -> Scene:
    return Scene({"sock": lab.listening}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of,
                 lambda: lab.dial(lab.listening))


def recv_each_waits(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours}, b"late", unblock=lambda: theirs.send(b"late"))


def read_each_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"fd": source}, b"late", unblock=lambda: os.write(target, b"late"))


NO_OTHER_FAILURE = "nothing but a bad descriptor fails it"

SPECIMENS: dict[str, Specimen] = {
    "nop": Specimen(lambda lab: Scene({}), NEVER_WAITS, "there is nothing to refuse"),
    "open": Specimen(
        lambda lab: Scene({"path": lab.folder / "hello", "flags": os.O_RDONLY}, HELLO, content),
        "a FIFO is opened without waiting for its other end", open_missing),
    "close": Specimen(close_works, NEVER_WAITS, NO_OTHER_FAILURE),
    "read": reads("n", lambda: 6),
    "readinto": reads("buffer", lambda: bytearray(6)),
    "readv": reads("buffers", lambda: [bytearray(2), bytearray(4)]),
    "write": writes("data", lambda: bytearray(b"some bytes"), 10),
    "write_all": all_of(writes("data", lambda: bytearray(b"some bytes"), 10)),
    "writev": writes("buffers", lambda: [bytearray(b"some "), bytearray(b"bytes")], 10),
    "fsync": Specimen(lambda lab: Scene({"fd": lab.scratch}), NEVER_WAITS, fsync_fails),
    "stat": Specimen(stat_works, NEVER_WAITS, stat_missing),
    "splice": Specimen(splice_works, splice_waits, splice_fails),
    "tee": Specimen(tee_works, tee_waits, tee_fails),
    "poll": Specimen(poll_works, poll_waits, NO_OTHER_FAILURE),
    "socket": Specimen(
        lambda lab: Scene({}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of),
        NEVER_WAITS, lambda lab: Failure({"family": 12345}, errno.EAFNOSUPPORT)),
    "bind": Specimen(bind_works, NEVER_WAITS, bind_fails),
    "listen": Specimen(listen_works, NEVER_WAITS, listen_fails),
    "accept": Specimen(accept_works, accept_waits, accept_fails),
    "connect": Specimen(connect_works, connect_waits, connect_fails),
    "recv": receives("n", lambda: 100, lambda result, _: result, lambda data: data),
    "recv_into": receives("buffer", lambda: bytearray(100),
                          lambda result, given: (result, bytes(given[:result])),
                          lambda data: (len(data), data)),
    "send": sends("data", lambda: bytearray(b"some bytes"), 10),
    "sendall": all_of(sends("data", lambda: bytearray(b"some bytes"), 10)),
    "sendmsg": sends("buffers", lambda: [bytearray(b"some "), bytearray(b"bytes")], 10),
    "recvmsg": receives("n", lambda: 100, lambda result, _: letter_of(result),
                        lambda data: (data, [], 0)),
    "shutdown": Specimen(shutdown_works, NEVER_WAITS, shutdown_fails),
    "waitid": Specimen(waitid_works, waitid_waits, waitid_fails),
    "futex_wait": Specimen(lambda lab: Scene({"word": lab.word, "value": 1}, False),
                           futex_wait_waits, lambda lab: no_bit(lab, value=0)),
    "futex_wake": Specimen(lambda lab: Scene({"word": lab.word, "n": 1}, 0),
                           NEVER_WAITS, lambda lab: no_bit(lab, n=1)),
    "accept_each": Specimen(accept_each_works, accept_each_waits, accept_fails),
    "recv_each": Specimen(lambda lab: Scene({"sock": lab.letter}, LETTER), recv_each_waits,
                          lambda lab: Failure({"sock": lab.hello}, errno.ENOTSOCK)),
    "read_each": Specimen(lambda lab: Scene({"fd": lab.hello}, HELLO), read_each_waits,
                          lambda lab: Failure({"fd": lab.directory}, errno.EISDIR)),
    "poll_each": Specimen(poll_works, poll_waits, NO_OTHER_FAILURE),
}


def specimen(name: str) -> Specimen:
    """The specimen of an entry; a sentence that tells what to add when there is none."""
    assert name in SPECIMENS, (
        f"ops/table.py has an entry {name!r} and tests/ops/specimens.py no Specimen for it: add "
        f"one that tells how to build arguments with which {name} works, waits, and is refused "
        "(or, in a sentence, why it cannot wait or be refused)")
    return SPECIMENS[name]


def entries(*, which: Callable[[Entry], bool] = lambda entry: True) -> list[str]:
    """The names of the table's entries, for parametrize."""
    return [name for name, entry in ENTRIES.items() if which(entry)]


def can_wait(entry: Entry) -> bool:
    return entry.name not in SPECIMENS or not isinstance(SPECIMENS[entry.name].blocks, str)


def can_fail(entry: Entry) -> bool:
    return entry.name not in SPECIMENS or not isinstance(SPECIMENS[entry.name].fails, str)
