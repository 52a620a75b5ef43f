"""What os and socket do is what ringmill does: positions, offsets, flags, addresses, messages.

The scenes here are those that the one Specimen per op leaves out; each on both kernels and in both
faces, and where the standard library can do the same, compared with it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import socket
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.specimens import Scene
from ops.trying import Attempt
from support import faces, machines

KERNELS = machines.EVERY_KERNEL


@pytest.mark.usefixtures("machine")
def test_positions_and_offsets(lab: Lab, face: str) -> None:
    """None is the file's own position, which moves; an offset leaves it alone."""
    fd = lab.opened(lab.folder / "positions", os.O_RDWR | os.O_CREAT)
    assert faces.call(face, "write", fd, b"0123456789") == 10
    assert faces.call(face, "write", fd, b"AB", offset=4) == 2
    assert os.lseek(fd, 0, os.SEEK_CUR) == 10
    assert faces.call(face, "read", fd, 3, offset=3) == b"3AB"
    assert faces.call(face, "read", fd, 3) == b""
    os.lseek(fd, 0, os.SEEK_SET)
    buffers = [bytearray(1), bytearray(2)]
    assert faces.call(face, "readv", fd, buffers) == 3
    assert buffers == [b"0", b"12"]
    assert os.lseek(fd, 0, os.SEEK_CUR) == 3
    assert faces.call(face, "readinto", fd, buffers[1]) == 2
    assert buffers[1] == b"3A"
    assert faces.call(face, "writev", fd, [b"x", b"", b"yz"], offset=0) == 3
    assert os.pread(fd, 100, 0) == b"xyz3AB6789"


FAR = (1 << 32) + 12345


@pytest.mark.usefixtures("machine")
def test_beyond_four_gigabytes(lab: Lab, face: str) -> None:
    """Offsets have 64 bits, in every op that takes one; the file is sparse."""
    fd = lab.opened(lab.folder / "sparse", os.O_RDWR | os.O_CREAT)
    assert faces.call(face, "write", fd, b"far", offset=FAR) == 3
    assert faces.call(face, "writev", fd, [b" ", b"away"], offset=FAR + 3) == 5
    assert faces.call(face, "stat", fd).st_size == FAR + 8
    assert faces.call(face, "read", fd, 100, offset=FAR) == b"far away"
    buffer = bytearray(4)
    assert faces.call(face, "readinto", fd, buffer, offset=FAR + 4) == 4
    assert buffer == b"away"
    assert faces.call(face, "readv", fd, [buffer], offset=FAR) == 4
    assert buffer == b"far "
    source, target = lab.pipe()
    assert faces.call(face, "splice", fd, target, 3, offset_source=FAR) == 3
    assert os.read(source, 100) == b"far"
    os.write(target, b"FAR")
    assert faces.call(face, "splice", source, fd, 3, offset_target=FAR) == 3
    assert os.pread(fd, 100, FAR) == b"FAR away"
    assert os.pread(fd, 8, FAR - (1 << 32)) == bytes(8)  # not folded back into 32 bits


@pytest.mark.req("T2")
@pytest.mark.usefixtures("machine")
def test_nothing_is_asked_for(lab: Lab, face: str) -> None:
    """Zero bytes, empty buffers, no buffers: an empty answer, as os and socket give."""
    ours, theirs = lab.pair(holding=b"x")
    assert faces.call(face, "read", lab.hello, 0) == b""
    assert faces.call(face, "readinto", lab.hello, bytearray()) == 0
    assert faces.call(face, "readv", lab.hello, []) == 0
    assert faces.call(face, "readv", lab.hello, [bytearray(), bytearray()]) == 0
    assert faces.call(face, "write", lab.scratch, b"") == 0
    assert faces.call(face, "writev", lab.scratch, []) == 0
    assert faces.call(face, "writev", lab.scratch, [b"", b""]) == 0
    assert faces.call(face, "send", ours, b"") == 0
    assert faces.call(face, "sendmsg", ours, []) == 0
    assert faces.call(face, "sendmsg", ours, [b""]) == 0
    assert faces.call(face, "recv", ours, 0) == b""
    assert faces.call(face, "recv_into", ours, bytearray()) == 0
    assert faces.call(face, "splice", lab.pipe_out, lab.scratch, 0) == 0
    assert faces.call(face, "tee", lab.pipe_out, lab.pipe2_in, 0) == 0
    assert faces.call(face, "recv", ours, 9) == b"x"
    assert os.fstat(lab.scratch).st_size == 0


@pytest.mark.usefixtures("machine")
def test_ends_of_data(lab: Lab, face: str) -> None:
    source, target = lab.pipe()
    os.close(target)
    ours, theirs = lab.pair()
    theirs.close()
    assert faces.call(face, "read", source, 10) == b""
    assert faces.call(face, "readinto", source, bytearray(10)) == 0
    assert faces.call(face, "recv", ours, 10) == b""
    assert faces.call(face, "recv_into", ours, bytearray(10)) == 0
    assert faces.call(face, "recvmsg", ours, 10)[0] == b""
    assert faces.call(face, "splice", source, lab.scratch, 10) == 0
    assert faces.call(face, "tee", source, lab.pipe2_in, 10) == 0
    assert faces.call(face, "read", lab.hello, 10, offset=1000) == b""


@pytest.mark.parametrize("how", [(), (os.O_RDWR,), (os.O_NOFOLLOW,)])
@pytest.mark.usefixtures("machine")
def test_open_as_os_does(lab: Lab, face: str, how: tuple[int, ...]) -> None:
    link = lab.folder / "link"
    link.symlink_to("hello")
    flags = os.O_RDONLY | (how[0] if how else 0)
    for path in (lab.folder / "hello", link, lab.folder / "hello" / "below", lab.folder / "new",
                 lab.folder):
        outcome = []
        for opener in (os.open, lambda *a: faces.call(face, "open", *a)):
            try:
                fd = opener(path, flags)
            except OSError as error:
                # os tells a PathLike as a string, we as it was given.
                outcome.append((type(error), error.errno, os.fspath(error.filename)))
            else:
                outcome.append(os.readlink(f"/proc/self/fd/{fd}"))
                os.close(fd)
        assert outcome[0] == outcome[1], path


@pytest.mark.usefixtures("machine")
def test_open_makes_files_as_os_does(lab: Lab, face: str) -> None:
    previous = os.umask(0o027)
    try:
        for mode in (0o777, 0o666, 0o400):
            path = lab.folder / f"made {mode:o}"
            os.close(faces.call(face, "open", path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            assert path.stat().st_mode & 0o777 == mode & ~0o027
            with pytest.raises(FileExistsError) as caught:
                faces.call(face, "open", path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            assert caught.value.filename == path
        path = lab.folder / "by default"
        os.close(faces.call(face, "open", path, os.O_CREAT | os.O_WRONLY))
        assert path.stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(previous)


@pytest.mark.usefixtures("machine")
def test_open_does_not_wait_for_a_fifo(lab: Lab, face: str) -> None:
    """io_uring tries with O_NONBLOCK first, so this is what both kernels do; the flag is gone."""
    with pytest.raises(OSError) as caught:
        faces.call(face, "open", lab.fifo, os.O_WRONLY)
    assert (caught.value.errno, caught.value.filename) == (errno.ENXIO, lab.fifo)
    reader = lab.kept(faces.call(face, "open", lab.fifo, os.O_RDONLY))
    writer = lab.kept(faces.call(face, "open", lab.fifo, os.O_WRONLY))
    assert os.get_blocking(reader) and os.get_blocking(writer)
    asked = lab.kept(faces.call(face, "open", lab.fifo, os.O_RDONLY | os.O_NONBLOCK))
    assert not os.get_blocking(asked)
    os.write(writer, b"through")
    assert faces.call(face, "read", reader, 100) == b"through"


@pytest.mark.usefixtures("machine")
def test_stat_as_os_does(lab: Lab, face: str) -> None:
    link = lab.folder / "link"
    link.symlink_to("hello")
    os.utime(lab.folder / "hello", ns=(1_234_567_890_123_456_789, 987_654_321_987_654_321))

    def same(ours: os.stat_result, theirs: os.stat_result) -> None:
        assert tuple(ours) == tuple(theirs)
        for name in dir(theirs):
            if name.startswith("st_"):
                assert getattr(ours, name) == getattr(theirs, name), name
        assert type(ours) is os.stat_result

    for path in (lab.folder / "hello", lab.folder, "/dev/null", "/proc/self/status",
                 lab.hello, lab.directory, lab.pipe_out):
        same(faces.call(face, "stat", path), os.stat(path))
    same(faces.call(face, "stat", link), os.stat(link))
    same(faces.call(face, "stat", link, follow_symlinks=False), os.lstat(link))
    same(faces.call(face, "stat", "link", dir_fd=lab.directory, follow_symlinks=False),
         os.lstat(link))
    same(faces.call(face, "stat", lab.listening.fileno()), os.stat(lab.listening.fileno()))


@pytest.mark.req("U27")
@pytest.mark.parametrize("datasync", [False, True])
@pytest.mark.usefixtures("machine")
def test_fsync(lab: Lab, face: str, datasync: bool) -> None:
    os.write(lab.scratch, b"to stay")
    assert faces.call(face, "fsync", lab.scratch, datasync=datasync) is None
    assert faces.call(face, "fsync", lab.hello, datasync=datasync) is None
    for fd in (lab.pipe_in, lab.letter):
        with pytest.raises(OSError) as caught:
            faces.call(face, "fsync", fd, datasync=datasync)
        assert caught.value.errno == errno.EINVAL


@pytest.mark.req("U22")
@pytest.mark.usefixtures("machine")
def test_splice_a_file_to_a_socket(lab: Lab, face: str) -> None:
    """Megabytes of a file through a pipe into a socket, and from a pipe into a file: equal."""
    data = os.urandom(3 << 20)
    (lab.folder / "big").write_bytes(data)
    big = lab.opened(lab.folder / "big")
    copy = lab.opened(lab.folder / "copy", os.O_RDWR | os.O_CREAT)
    ours, theirs = lab.pair()
    there, here = lab.pipe(), lab.pipe()
    verbs = ringmill.aio

    async def send() -> None:
        at = 0
        while moved := await verbs.splice(big, there[1], 1 << 16, offset_source=at):
            at += moved
            while moved:
                moved -= await verbs.splice(there[0], ours, moved)
        ours.shutdown(socket.SHUT_WR)

    async def receive() -> None:
        at = 0
        while moved := await verbs.splice(theirs, here[1], 1 << 16):
            while moved:
                written = await verbs.splice(here[0], copy, moved, offset_target=at)
                moved -= written
                at += written

    def send_call() -> None:
        at = 0
        while moved := ringmill.splice(big, there[1], 1 << 16, offset_source=at):
            at += moved
            while moved:
                moved -= ringmill.splice(there[0], ours, moved)
        ours.shutdown(socket.SHUT_WR)

    def receive_call() -> None:
        at = 0
        while moved := ringmill.splice(theirs, here[1], 1 << 16):
            while moved:
                written = ringmill.splice(here[0], copy, moved, offset_target=at)
                moved -= written
                at += written

    def main() -> None:
        with ringmill.scope() as scope:
            if face == "fiber":
                scope.spawn(send_call)
                scope.spawn(receive_call)
            else:
                scope.spawn(send())
                scope.spawn(receive())

    ringmill.run(main)
    copied = os.pread(copy, len(data) + 1, 0)
    assert hashlib.sha256(copied).digest() == hashlib.sha256(data).digest()


@pytest.mark.req("U22")
@pytest.mark.usefixtures("machine")
def test_splice_moves_the_position_or_leaves_it(lab: Lab, face: str) -> None:
    source, target = lab.pipe()
    assert faces.call(face, "splice", lab.hello, target, 5) == 5
    assert os.lseek(lab.hello, 0, os.SEEK_CUR) == 5
    assert faces.call(face, "splice", lab.hello, target, 5, offset_source=0) == 5
    assert os.lseek(lab.hello, 0, os.SEEK_CUR) == 5
    assert os.read(source, 100) == HELLO[:5] * 2
    with pytest.raises(OSError) as caught:  # ESPIPE: a pipe has no offsets
        faces.call(face, "splice", source, lab.scratch, 5, offset_source=0)
    assert caught.value.errno == errno.ESPIPE


@pytest.mark.req("U23")
@pytest.mark.usefixtures("machine")
def test_tee_to_two(lab: Lab, face: str) -> None:
    """Two consumers get the same, and the source still has it."""
    data = os.urandom(8000)
    source, _ = lab.pipe(holding=data)
    first, second = lab.pipe(), lab.pipe()
    for _, target in (first, second):
        assert faces.call(face, "tee", source, target, len(data)) == len(data)
    assert os.read(first[0], 10_000) == os.read(second[0], 10_000) == data
    assert os.read(source, 10_000) == data


@pytest.mark.parametrize("name", ["sendall", "write_all"])
@pytest.mark.usefixtures("machine")
def test_all_of_megabytes(lab: Lab, face: str, name: str) -> None:
    """More than any socket or pipe has room for, while the other end takes it piece by piece."""
    data = os.urandom(5 << 20)
    ours, theirs = lab.pair()
    source, target = lab.pipe()
    given, taken = (ours, theirs) if name == "sendall" else (target, source)
    attempt = Attempt(face, name, Scene({"sock" if name == "sendall" else "fd": given,
                                         "data": data}))
    pieces = []
    while sum(map(len, pieces)) < len(data):
        pieces.append(ringmill.read(taken, 1 << 18))
        assert pieces[-1], "the end came early"
    assert attempt.ended() == ("value", None)
    assert hashlib.sha256(b"".join(pieces)).digest() == hashlib.sha256(data).digest()


@pytest.mark.usefixtures("machine")
def test_write_all_from_an_offset(lab: Lab, face: str) -> None:
    data = os.urandom(1 << 20)
    assert faces.call(face, "write_all", lab.scratch, data, offset=7) is None
    assert os.pread(lab.scratch, len(data) + 100, 0) == bytes(7) + data
    assert os.lseek(lab.scratch, 0, os.SEEK_CUR) == 0
    assert faces.call(face, "write_all", lab.scratch, b"") is None


@pytest.mark.usefixtures("machine")
def test_messages(lab: Lab, face: str) -> None:
    """sendmsg and recvmsg carry addresses, descriptors and flags as the socket module's do."""
    ours, theirs = lab.pair()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, lab.hello.to_bytes(4, "little"))]
    assert faces.call(face, "sendmsg", ours, [b"with ", b"a file"], rights) == 11
    data, ancillary, flags, address = faces.call(
        face, "recvmsg", theirs, 100, socket.CMSG_SPACE(4))
    assert (data, flags) == (b"with a file", 0)
    ((level, kind, content),) = ancillary
    assert (level, kind, len(content)) == (socket.SOL_SOCKET, socket.SCM_RIGHTS, 4)
    fd = int.from_bytes(content, "little")
    assert os.pread(fd, 100, 0) == HELLO
    assert os.get_inheritable(fd) is False
    os.close(fd)
    # Too little room: what does not fit is dropped, and said to be.
    faces.call(face, "sendmsg", ours, [b"x"], rights)
    data, ancillary, flags, address = faces.call(face, "recvmsg", theirs, 100, 0)
    assert (data, ancillary, bool(flags & socket.MSG_CTRUNC)) == (b"x", [], True)


@pytest.mark.usefixtures("machine")
def test_datagrams(lab: Lab, face: str) -> None:
    ours, theirs = (lab.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2))
    for sock in (ours, theirs):
        sock.bind(("127.0.0.1", 0))
    assert faces.call(face, "sendmsg", ours, [b"12345"], address=theirs.getsockname()) == 5
    data, _, flags, address = faces.call(face, "recvmsg", theirs, 3)
    assert (data, bool(flags & socket.MSG_TRUNC), address) == (b"123", True, ours.getsockname())
    assert faces.call(face, "sendmsg", ours, [], address=theirs.getsockname()) == 0
    assert faces.call(face, "recv", theirs, 10) == b""
    assert faces.call(face, "connect", ours, theirs.getsockname()) is None
    assert faces.call(face, "send", ours, b"again") == 5
    assert faces.call(face, "recv", theirs, 10, flags=socket.MSG_PEEK) == b"again"
    assert faces.call(face, "recv", theirs, 10) == b"again"
    with pytest.raises(OSError) as caught:
        faces.call(face, "send", ours, bytes(1 << 17))
    assert caught.value.errno == errno.EMSGSIZE


@pytest.mark.parametrize("family", ["IPv4", "IPv6", "Unix", "abstract"])
@pytest.mark.usefixtures("machine")
def test_addresses_of_every_family(lab: Lab, face: str, family: str) -> None:
    kind, address = {
        "IPv4": (socket.AF_INET, ("127.0.0.1", 0)),
        "IPv6": (socket.AF_INET6, ("::1", 0)),
        "Unix": (socket.AF_UNIX, str(lab.folder / "door")),
        "abstract": (socket.AF_UNIX, b"\0ringmill" + os.urandom(8)),
    }[family]
    if family == "IPv6" and not socket.has_ipv6:
        pytest.skip("this system has no IPv6")
    listener = lab.enter_context(faces.call(face, "socket", kind))
    faces.call(face, "bind", listener, address)
    faces.call(face, "listen", listener, 5)
    client = lab.enter_context(faces.call(face, "socket", kind))
    faces.call(face, "connect", client, listener.getsockname())
    server, peer = faces.call(face, "accept", listener)
    lab.enter_context(server)
    assert peer == client.getsockname() or (peer in ("", None) and kind == socket.AF_UNIX)
    assert server.family == kind
    client.send(b"hello")
    assert faces.call(face, "recv", server, 10) == b"hello"


@pytest.mark.usefixtures("machine")
def test_polls(lab: Lab, face: str) -> None:
    source, target = lab.pipe()
    os.write(target, b"x")
    assert faces.call(face, "poll", source, select.POLLIN) == select.POLLIN
    assert faces.call(face, "poll", target, select.POLLOUT) == select.POLLOUT
    os.read(source, 1)
    os.close(target)
    assert faces.call(face, "poll", source, select.POLLIN) == select.POLLHUP
    ours, theirs = lab.pair()
    theirs.shutdown(socket.SHUT_WR)
    wanted = select.POLLIN | select.POLLRDHUP
    assert faces.call(face, "poll", ours, wanted) == wanted
    assert faces.call(face, "poll", lab.hello, select.POLLIN) == select.POLLIN  # a file is ready


@pytest.mark.usefixtures("machine")
def test_children(lab: Lab, face: str) -> None:
    pid, end = lab.waiting_child()
    nobody = faces.call(face, "waitid", os.P_PID, pid, os.WEXITED | os.WNOHANG)
    assert nobody is None
    end()
    found = faces.call(face, "waitid", os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    theirs = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert tuple(found) == tuple(theirs)
    assert type(found) is os.waitid_result
    assert faces.call(face, "waitid", os.P_ALL, 0, os.WEXITED).si_pid == pid
    with pytest.raises(ChildProcessError):
        faces.call(face, "waitid", os.P_PID, pid, os.WEXITED)


@pytest.mark.usefixtures("machine")
def test_close_takes_the_socket_object_too(lab: Lab, face: str) -> None:
    sock = socket.socket()
    fd = sock.fileno()
    assert faces.call(face, "close", sock) is None
    assert sock.fileno() == -1
    sock.close()  # has nothing left to close
    assert not os.path.exists(f"/proc/self/fd/{fd}")


@pytest.mark.usefixtures("machine")
def test_descriptors_by_fileno(lab: Lab, face: str) -> None:
    """Anything with a fileno() is a descriptor: files, sockets, numbers that are no plain int."""
    with open(lab.folder / "hello", "rb") as file:
        assert faces.call(face, "read", file, 5) == b"Hello"
        assert faces.call(face, "stat", file.fileno()).st_size == len(HELLO)

    class Number(int):
        pass

    assert faces.call(face, "read", Number(lab.hello), 5, offset=0) == b"Hello"
    assert faces.call(face, "send", lab.left, b"x") == 1
    assert faces.call(face, "send", lab.left.fileno(), b"x") == 1


def test_flags_that_only_some_ops_have(lab: Lab, machine: Any) -> None:
    listener = lab.knocked
    sock, _ = ringmill.accept(listener, flags=socket.SOCK_NONBLOCK)
    with sock:
        assert not os.get_blocking(sock.fileno())
        assert not os.get_inheritable(sock.fileno())
    made = ringmill.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with made:
        assert not os.get_blocking(made.fileno())
        assert made.type == socket.SOCK_DGRAM
    with pytest.raises(BlockingIOError):
        ringmill.recv(lab.left, 10, flags=socket.MSG_DONTWAIT)


@pytest.mark.usefixtures("machine")
def test_o_nonblock_is_the_users(lab: Lab, face: str) -> None:
    """The flag of a user's descriptor is never changed: other processes share it."""
    ours, theirs = lab.pair()
    source, target = lab.pipe()
    for name, given, unblock in (("recv", ours, lambda: theirs.send(b"x")),
                                 ("read", source, lambda: os.write(target, b"x"))):
        attempt = Attempt(face, name, Scene({"sock" if name == "recv" else "fd": given, "n": 1},
                                            b"x"))
        attempt.waiting()
        assert os.get_blocking(given if isinstance(given, int) else given.fileno())
        unblock()
        assert attempt.ended() == ("value", b"x")
    assert os.get_blocking(ours.fileno()) and os.get_blocking(source)
