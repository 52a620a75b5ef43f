"""raw: any opcode by the fields of its SQE, what it holds, and what it refuses."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import struct
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.trying import submitted, until
from ringmill.ops.sqe import FIELDS, REFUSED, SIZES
from support import faces

pytestmark = pytest.mark.usefixtures("machine")

AT_FDCWD = -100
EPOLL_CTL_ADD = 1


def failing(face: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        faces.call(face, "raw", *args, **kw)
    return caught.value


# ── it reaches the kernel ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("opcode", ["MKDIRAT", "mkdirat", "IORING_OP_MKDIRAT", 37])
def test_by_name_or_number(lab: Lab, face: str, opcode: int | str) -> None:
    path = lab.folder / "made"
    assert faces.call(face, "raw", opcode, fd=AT_FDCWD, addr=path, len=0o755) == 0
    assert path.is_dir()
    error = failing(face, opcode, fd=AT_FDCWD, addr=str(path), len=0o755)
    assert (type(error), error.filename) == (FileExistsError, None)
    assert faces.call(face, "raw", "UNLINKAT", fd=lab.directory, addr=b"made",
                      unlink_flags=0x200) == 0
    assert not path.exists()


def test_each_place_of_the_sqe(lab: Lab, face: str) -> None:
    """fd, off, addr, len, the op's flags, addr2, splice_fd_in, file_index, addr3, ioprio."""
    buffer = bytearray(5)
    assert faces.call(face, "raw", "READ", fd=lab.hello, addr=buffer, len=5, off=7) == 5
    assert buffer == HELLO[7:12]
    assert faces.call(face, "raw", "READ", fd=lab.hello, addr=buffer, len=5, off=-1) == 5
    assert buffer == HELLO[:5]
    assert faces.call(face, "raw", "FSYNC", fd=lab.scratch, fsync_flags=1) == 0
    new = lab.folder / "new"
    assert faces.call(face, "raw", "RENAMEAT", fd=AT_FDCWD, addr=lab.folder / "hello",
                      len=AT_FDCWD, addr2=new, rename_flags=1) == 0
    assert new.read_bytes() == HELLO
    source, target = lab.pipe()
    assert faces.call(face, "raw", "SPLICE", fd=target, splice_fd_in=lab.hello, splice_off_in=0,
                      off=-1, len=5) == 5
    assert os.read(source, 100) == HELLO[:5]
    os.setxattr(new, lab.attribute, b"blue")
    assert faces.call(face, "raw", "GETXATTR", addr=lab.attribute, addr2=buffer, addr3=new,
                      len=5) == 4
    assert buffer[:4] == b"blue"
    ours, theirs = lab.pair(holding=b"x")
    assert faces.call(face, "raw", "RECV", fd=ours, addr=buffer, len=5, ioprio=1) == 1
    info = bytearray(128)
    assert faces.call(face, "raw", "WAITID", fd=lab.child(), len=os.P_PID, addr2=info,
                      file_index=os.WEXITED) == 0
    assert struct.unpack_from("i", info)[0] != 0


def test_a_socket_command(lab: Lab, face: str) -> None:
    value = bytearray(4)
    ours, _ = lab.pair()
    try:
        assert faces.call(face, "raw", "URING_CMD", fd=ours, cmd_op=2, level=socket.SOL_SOCKET,
                          optname=socket.SO_TYPE, optval=value, optlen=4) == 4
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP  # before Linux 6.7
    else:
        assert struct.unpack("i", value)[0] == socket.SOCK_STREAM


def test_what_the_table_has_not(lab: Lab, face: str, kernel: str) -> None:
    """EPOLL_CTL, of the real kernel alone; soft says that it cannot."""
    epoll = lab.epoll()
    event = struct.pack("=IQ", select.EPOLLOUT, lab.pipe_in)
    try:
        assert faces.call(face, "raw", "EPOLL_CTL", fd=epoll, len=EPOLL_CTL_ADD, addr=event,
                          off=lab.pipe_in) == 0
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP
        assert "epoll_ctl" in str(error)
        assert kernel == "soft" or "RINGMILL_DISABLE" in os.environ
    else:
        assert epoll.poll(0) == [(lab.pipe_in, select.EPOLLOUT)]


def test_errors_and_results(lab: Lab, face: str) -> None:
    assert failing(face, "READ", fd=lab.closed(), addr=bytearray(1), len=1).errno == errno.EBADF
    assert faces.call(face, "raw", "POLL_ADD", fd=lab.pipe_in,
                      poll32_events=select.POLLOUT) == select.POLLOUT
    assert faces.call(face, "raw", "NOP") == 0
    assert faces.call(face, "raw", "NOP", flags=16) == 0
    fd = lab.kept(faces.call(face, "raw", "OPENAT", fd=AT_FDCWD, addr=lab.folder / "hello",
                             open_flags=os.O_RDONLY | os.O_CLOEXEC))
    assert os.read(fd, 100) == HELLO
    if ringmill.machine().kernel.name == "linux":
        assert failing(face, "TIMEOUT", addr=struct.pack("qq", 0, 1000), len=1).errno == errno.ETIME


# ── what it holds ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["completed", "cancelled", "cancelled before submit"])
def test_buffers_are_held_until_the_end(lab: Lab, machine: Any, end: str) -> None:
    source, target = lab.pipe()
    buffer = bytearray(10)
    op = ringmill.aio.raw("READ", fd=source, addr=buffer, len=10, off=-1)
    if end != "cancelled before submit":
        submitted(op)
    with pytest.raises(BufferError):
        buffer.append(0)
    assert machine.stats()["views_held"] == 1
    os.write(target, b"late") if end == "completed" else op.cancel()
    until(lambda: op.done, "the end")
    buffer.append(0)
    assert machine.stats()["views_held"] == 0
    if end == "completed":
        assert (op.result(), buffer[:4]) == (4, b"late")
    else:
        with pytest.raises(ringmill.Cancelled):
            op.result()


def test_nobody_else_has_the_buffers(lab: Lab, machine: Any) -> None:
    source, target = lab.pipe()
    op = ringmill.aio.raw("READ", fd=source, addr=bytearray(4096), len=4096, off=-1)
    op.detach()
    submitted(op)
    del op
    gc.collect()
    junk = [bytearray(4096) for _ in range(100)]
    os.write(target, b"x" * 4096)
    until(lambda: machine.stats()["ops_live"] == 0, "the end")
    assert not any(map(any, junk))


def test_a_descriptor_nobody_takes_is_closed(lab: Lab) -> None:
    """The fixture finds what is left open."""
    for _ in range(5):
        op = ringmill.aio.raw("OPENAT", fd=AT_FDCWD, addr=lab.folder / "hello", open_flags=0)
        op.detach()
        until(lambda op=op: op.done, "the end")
        del op


def test_zero_copy_holds_until_the_notification(lab: Lab, face: str, machine: Any) -> None:
    """Two completions: the number of bytes, and later that the memory is free."""
    listener = lab.listener()
    sock = lab.dial(listener)
    peer = lab.enter_context(listener.accept()[0])
    try:
        assert faces.call(face, "raw", "SEND_ZC", fd=sock, addr=bytearray(b"x" * 5000),
                          len=5000) == 5000
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP
        pytest.skip("no SEND_ZC in this kernel")
    assert peer.recv(5000, socket.MSG_WAITALL) == b"x" * 5000
    assert machine.stats()["views_held"] == 0
    assert machine.stats()["stale"] == 0
    assert failing(face, "SEND_ZC", fd=lab.pipe_in, addr=b"x", len=1).errno == errno.ENOTSOCK


# ── what it refuses ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("opcode", "fields", "error"), [
    *[(name, {}, ValueError) for name in REFUSED],
    ("nop", {"flags": 1 << 2}, ValueError),  # IO_LINK
    ("nop", {"flags": 1 << 1}, ValueError),  # IO_DRAIN
    ("nop", {"flags": 1 << 3}, ValueError),  # IO_HARDLINK
    ("nop", {"flags": 1 << 6}, ValueError),  # CQE_SKIP_SUCCESS
    ("recv", {"flags": 1 << 5}, ValueError),  # BUFFER_SELECT
    ("read", {"flags": 1 << 0}, ValueError),  # FIXED_FILE
    ("nop", {"user_data": 1}, ValueError),
    ("poll_add", {"len": 1}, ValueError),
    ("accept", {"ioprio": 1}, ValueError),
    ("recv", {"ioprio": 2}, ValueError),
    ("recvmsg", {"ioprio": 2}, ValueError),
    ("timeout", {"timeout_flags": 1 << 6}, ValueError),
    ("uring_cmd", {"uring_cmd_flags": 2}, ValueError),
    ("openat", {"file_index": 1}, ValueError),
    ("close", {"file_index": 1}, ValueError),
    ("socket", {"splice_fd_in": -1}, ValueError),
    ("no_such_op", {}, ValueError),
    (63, {}, ValueError),
    (-1, {}, ValueError),
    (1 << 70, {}, ValueError),
    (1.5, {}, TypeError),
    (None, {}, TypeError),
    ("nop", {"no_such_field": 1}, TypeError),
    ("nop", {"off": 1, "addr2": 1}, TypeError),
    ("nop", {"addr": 1, "level": 1}, TypeError),
    ("nop", {"len": 1 << 32}, OverflowError),
    ("nop", {"len": -(1 << 31) - 1}, OverflowError),
    ("nop", {"ioprio": 1 << 16}, OverflowError),
    ("nop", {"addr": 1 << 64}, OverflowError),
    ("nop", {"len": 1.5}, TypeError),
    ("nop", {"len": b"x"}, TypeError),
    ("nop", {"addr": 1.5}, TypeError),
    ("nop", {"addr": None}, TypeError),
    ("nop", {"addr": "a\0b"}, ValueError),
    ("nop", {"addr": memoryview(bytes(4))[::2]}, BufferError),
    ("nop", {"cmd": bytes(17)}, ValueError),
    ("nop", {"cmd": 5}, TypeError),
    ("nop", {"flags": 1.5}, TypeError),
    ("nop", {"fd": "x"}, TypeError),
    ("nop", {"fd": 1 << 31}, OverflowError),
])
def test_refused(machine: Any, face: str, opcode: Any, fields: dict[str, Any],
                 error: type[BaseException]) -> None:
    verb = ringmill.raw if face == "fiber" else ringmill.aio.raw
    with pytest.raises(error) as caught:
        verb(opcode, **fields)
    assert type(caught.value) is error
    assert machine.stats()["submitted"] == 0
    assert machine.stats()["ops_live"] == 0
    assert machine.stats()["views_held"] == 0


def test_fields_are_within_the_sqe() -> None:
    for name, (at, form) in FIELDS.items():
        assert 2 <= at <= 64 - SIZES[form], name
        assert not at <= 32 < at + SIZES[form], f"{name} is user_data"
        assert form == "16s" or at % SIZES[form] == 0, name
