"""Bytes from one descriptor to another: files, sockets, pipes; equal, counted, and none lost."""

from __future__ import annotations

import hashlib
import os
import socket
import threading

import pytest

import ringmill
from ringmill import aio
from ringmill.face import pipes, transfer
from ringmill.face.pipes import pipes_here
from support.faces import call

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 12345)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(DATA)
    with open(path, "rb", buffering=0) as opened:
        yield opened


@pytest.fixture
def scratch(tmp_path):
    with open(tmp_path / "target", "w+b", buffering=0) as opened:
        yield opened


class Reader(threading.Thread):
    """Takes all that comes, beside the test; slowly when asked."""

    def __init__(self, end, *, limit=None):
        super().__init__()
        self.end = end
        self.limit = limit
        self.parts = []
        self.start()

    def run(self):
        taken = 0
        while self.limit is None or taken < self.limit:
            part = (os.read(self.end, 1 << 18) if isinstance(self.end, int)
                    else self.end.recv(1 << 18))
            if not part:
                return
            self.parts.append(part)
            taken += len(part)

    def all(self):
        self.join()
        return b"".join(self.parts)


def sent(face, verb, ours, theirs, *arguments, **keywords):
    """What the call gave, and what came."""
    reader = Reader(theirs)
    try:
        result = call(face, verb, *arguments, **keywords)
    finally:
        ours.shutdown(socket.SHUT_WR)
        data = reader.all()
    return result, data


@pytest.fixture(params=["spliced", "copied"])
def way(request, monkeypatch):
    """Through pipes, and where none is to be had."""
    if request.param == "copied":
        monkeypatch.setattr(pipes.Pipes, "take", lambda self: None)
    return request.param


@pytest.mark.req("T3", "U22")
@pytest.mark.parametrize(("offset", "count"), [
    (0, None), (0, 0), (5, 10), (MIB, None), (7, 2 * MIB + 1), (0, 10 * MIB), (len(DATA) + 5, None),
])
@pytest.mark.usefixtures("machine")
def test_sendfile(face, way, file, tcp, offset, count):
    stop = None if count is None else offset + count
    result, data = sent(face, "sendfile", *tcp, tcp[0], file, offset, count)
    assert data == DATA[offset:stop]
    assert result == len(data)
    assert file.tell() == 0


@pytest.mark.req("T3", "U22")
@pytest.mark.usefixtures("machine")
def test_64_mib_over_tcp(face, tmp_path, tcp):
    with open(tmp_path / "large", "w+b") as large:
        for _ in range(64):
            large.write(os.urandom(MIB))
        large.seek(0)
        wanted = hashlib.sha256(large.read()).digest()
        result, data = sent(face, "sendfile", *tcp, tcp[0], large)
    assert result == 64 * MIB
    assert hashlib.sha256(data).digest() == wanted


@pytest.mark.usefixtures("machine")
def test_sendfile_by_splice_reads_nothing(face, file, tcp, monkeypatch):
    """The bytes do not pass through the program: no read is asked for at all."""
    async def refused(self, n):
        raise AssertionError("read")

    monkeypatch.setattr(transfer.Source, "read", refused)
    assert sent(face, "sendfile", *tcp, tcp[0], file) == (len(DATA), DATA)


@pytest.mark.usefixtures("machine")
def test_sendfile_on_a_socket_with_o_nonblock(face, way, file, tcp):
    tcp[0].setblocking(False)
    assert sent(face, "sendfile", *tcp, tcp[0], file) == (len(DATA), DATA)


@pytest.mark.usefixtures("machine")
def test_a_file_that_shrinks_while_it_is_sent(face, way, tcp, tmp_path):
    """What is left is sent; the count tells that it was less."""
    path = tmp_path / "shrinks"
    path.write_bytes(b"x" * 8 * MIB)
    cut = threading.Timer(0.01, os.truncate, [path, 4 * MIB])
    with open(path, "rb") as file:
        cut.start()
        result, data = sent(face, "sendfile", *tcp, tcp[0], file, 0, 8 * MIB)
    cut.join()
    assert result == len(data)
    assert data.count(b"x") == len(data)
    assert len(data) in range(4 * MIB, 8 * MIB + 1)


@pytest.mark.usefixtures("machine")
def test_a_file_that_grows_is_sent_to_its_end(face, tcp, tmp_path, monkeypatch):
    path = tmp_path / "grows"
    path.write_bytes(b"x" * MIB)
    splice = transfer.Source.splice

    async def growing(self, target, n):
        if self.offset == 0:
            with open(path, "ab") as end:
                end.write(b"y" * 3)
        return await splice(self, target, n)

    monkeypatch.setattr(transfer.Source, "splice", growing)
    with open(path, "rb") as file:
        assert sent(face, "sendfile", *tcp, tcp[0], file) == (MIB + 3, b"x" * MIB + b"yyy")


@pytest.mark.usefixtures("machine")
def test_a_peer_that_closes(face, way, file, tcp):
    ours, theirs = tcp
    theirs.close()
    progress = ringmill.Progress()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(4):
            call(face, "sendfile", ours, file, progress=progress)
    assert 0 <= progress.moved < 4 * len(DATA)


@pytest.mark.req("T3")
def test_cancelled_half_way_it_tells_how_much_went(machine, face, way, file):
    """Nothing is sent twice and nothing is left out when it goes on from there."""
    ours, theirs = socket.socketpair()
    progress = ringmill.Progress()
    with ours, theirs:
        async def main():
            sending = ringmill.spawn(aio.sendfile(ours, file, 100, 2 * MIB, progress=progress))
            begun = await aio.recv(theirs, 1000)
            sending.cancel()
            with pytest.raises(ringmill.Cancelled):
                await sending
            return begun

        begun = ringmill.run(main())
        assert 0 < progress.moved < 2 * MIB
        reader = Reader(theirs)
        rest = call(face, "sendfile", ours, file, 100 + progress.moved, 2 * MIB - progress.moved,
                    progress=progress)
        ours.close()
        assert begun + reader.all() == DATA[100:100 + 2 * MIB]
        assert rest < progress.moved == 2 * MIB


@pytest.mark.usefixtures("machine")
def test_what_sendfile_refuses(face, tcp, pipe, file):
    with pytest.raises(OSError, match="seek"):
        call(face, "sendfile", tcp[0], pipe[0])
    with pytest.raises(ValueError, match="offset"):
        call(face, "sendfile", tcp[0], file, -1)
    with pytest.raises(ValueError, match="count"):
        call(face, "sendfile", tcp[0], file, 0, -1)
    with pytest.raises(TypeError):
        call(face, "sendfile", tcp[0], "file")
    with pytest.raises(OSError, match="Bad file descriptor"):
        call(face, "sendfile", 999999, file)


# ── copy ──

@pytest.mark.req("T3", "U22")
@pytest.mark.parametrize("n", [None, 0, 1000, 2 * MIB + 1, 10 * MIB])
@pytest.mark.usefixtures("machine")
def test_copy_of_files(face, way, file, scratch, n):
    file.seek(10)
    scratch.write(b"before")
    wanted = DATA[10:][:n]
    assert call(face, "copy", file, scratch, n) == len(wanted)
    assert os.pread(scratch.fileno(), 10 * MIB, 0) == b"before" + wanted
    assert file.tell() == 10 + len(wanted)


@pytest.mark.usefixtures("machine")
def test_copy_to_a_file_that_is_appended_to(face, file, tmp_path):
    """Splice refuses such a file (EINVAL); the bytes get there all the same."""
    path = tmp_path / "appended"
    path.write_bytes(b"before")
    with open(path, "ab", buffering=0) as target:
        assert call(face, "copy", file, target) == len(DATA)
        assert call(face, "copy", file, target) == 0
    assert path.read_bytes() == b"before" + DATA


@pytest.mark.usefixtures("machine")
def test_copy_from_a_pipe_to_a_file_that_is_appended_to(face, tmp_path, pipe):
    path = tmp_path / "appended"
    os.write(pipe[1], b"bytes")
    with open(path, "ab", buffering=0) as target:
        assert call(face, "copy", pipe[0], target, 5) == 5
    assert path.read_bytes() == b"bytes"


@pytest.mark.usefixtures("machine")
def test_copy_from_devices(face, scratch):
    with open("/dev/zero", "rb", buffering=0) as zero:
        assert call(face, "copy", zero, scratch, MIB) == MIB
    assert os.pread(scratch.fileno(), 2 * MIB, 0) == bytes(MIB)


@pytest.mark.usefixtures("machine")
def test_copy_to_a_full_disk(face, way, file):
    progress = ringmill.Progress()
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        call(face, "copy", file, full, progress=progress)
    assert progress.moved == 0
    assert progress.left == DATA[:len(progress.left)] != b""


@pytest.mark.parametrize("source", ["pipe", "socket", "file"])
@pytest.mark.parametrize("target", ["pipe", "socket", "file"])
@pytest.mark.usefixtures("machine")
def test_copy_between_all_kinds(face, way, source, target, file, tcp, tmp_path):
    a, b = os.pipe(), os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as server, \
            socket.create_connection(server.getsockname()) as far:
        near, _ = server.accept()
        written = open(tmp_path / "written", "w+b", buffering=0)
        ends = {"pipe": a[0], "socket": near, "file": file}
        doors = {"pipe": b[1], "socket": tcp[0], "file": written}

        def feed():
            if source == "pipe":
                rest = memoryview(DATA)
                while rest:
                    rest = rest[os.write(a[1], rest):]
                os.close(a[1])
            elif source == "socket":
                far.sendall(DATA)
                far.shutdown(socket.SHUT_WR)

        feeder = threading.Thread(target=feed)
        feeder.start()
        reader = None if target == "file" else Reader({"pipe": b[0], "socket": tcp[1]}[target])
        assert call(face, "copy", ends[source], doors[target]) == len(DATA)
        feeder.join()
        os.close(b[1])
        tcp[0].shutdown(socket.SHUT_WR)
        came = os.pread(written.fileno(), 10 * MIB, 0) if reader is None else reader.all()
        assert came == DATA
        for fd in (a[0], b[0], *([] if source == "pipe" else [a[1]])):
            os.close(fd)
        near.close()
        written.close()


@pytest.mark.req("T3")
def test_what_a_cancelled_copy_had_on_the_way_is_not_lost(machine, face, way):
    """Out of the source, not yet at the target: told, and first in line when it goes on."""
    far, near = socket.socketpair()
    ours, theirs = socket.socketpair()
    progress = ringmill.Progress()
    feeder = threading.Thread(target=far.sendall, args=[DATA])
    with far, near, ours, theirs:
        async def main():
            feeder.start()
            copying = ringmill.spawn(aio.copy(near, ours, len(DATA), progress=progress))
            await aio.poll(theirs, 1)
            for _ in range(5):
                await aio.sleep(0.001)
            copying.cancel()
            with pytest.raises(ringmill.Cancelled):
                await copying

        ringmill.run(main())
        assert 0 < progress.moved < len(DATA)
        reader = Reader(theirs, limit=len(DATA))
        moved = progress.moved
        assert call(face, "copy", near, ours, len(DATA) - moved, progress=progress) == (
            len(DATA) - moved)
        feeder.join()
        assert reader.all() == DATA
    assert progress.left == b""


# ── broadcast ──

@pytest.mark.req("T3", "U23")
@pytest.mark.parametrize("source", ["pipe", "file"])
@pytest.mark.usefixtures("machine")
def test_broadcast_to_pipe_socket_and_file(face, way, source, file, pipe, tcp, scratch):
    feeder = threading.Thread(target=feed_pipe, args=[pipe[1]])
    outlet, inlet = os.pipe()
    readers = [Reader(outlet), Reader(tcp[1])]
    if source == "pipe":
        feeder.start()
    n = len(DATA) if source == "pipe" else None
    try:
        assert call(face, "broadcast", pipe[0] if source == "pipe" else file,
                    [tcp[0], scratch, inlet], n) == len(DATA)
    finally:
        tcp[0].shutdown(socket.SHUT_WR)
        os.close(inlet)
        came = [reader.all() for reader in readers]
        os.close(outlet)
    if source == "pipe":
        feeder.join()
    came.append(os.pread(scratch.fileno(), 10 * MIB, 0))
    assert [hashlib.sha256(each).digest() for each in came] == [hashlib.sha256(DATA).digest()] * 3


def feed_pipe(target):
    rest = memoryview(DATA)
    while rest:
        rest = rest[os.write(target, rest):]


@pytest.mark.req("U23")
@pytest.mark.usefixtures("machine")
def test_tee_leaves_the_source_readable(face, pipe, other_pipe):
    os.write(pipe[1], b"twice")
    assert call(face, "tee", pipe[0], other_pipe[1], 100) == 5
    assert os.read(other_pipe[0], 100) == os.read(pipe[0], 100) == b"twice"


@pytest.mark.usefixtures("machine")
def test_broadcast_with_consumers_that_take_turns(face, pipe, other_pipe):
    """Neither's reader takes more before the other's has got the same."""
    ours, theirs = socket.socketpair()
    came = [bytearray(), bytearray()]

    def take_turns():
        while len(came[1]) < len(DATA):
            came[1] += os.read(other_pipe[0], 5000)
            while len(came[0]) < len(came[1]):
                came[0] += theirs.recv(5000)

    with ours, theirs:
        feeder = threading.Thread(target=feed_pipe, args=[pipe[1]])
        taker = threading.Thread(target=take_turns)
        feeder.start()
        taker.start()
        assert call(face, "broadcast", pipe[0], [ours, other_pipe[1]], len(DATA)) == len(DATA)
        feeder.join()
        taker.join()
    assert came[0] == came[1] == DATA


@pytest.mark.usefixtures("machine")
def test_broadcast_tells_which_target_failed(face, way, file, scratch):
    with open("/dev/full", "wb", buffering=0) as full:
        with pytest.raises(OSError, match="No space") as caught:
            call(face, "broadcast", file, [scratch, full])
    assert caught.value.__notes__ == ["this was target 1 of a broadcast"]
    with pytest.raises(ValueError, match="target"):
        call(face, "broadcast", file, [])


def test_broadcast_cancelled_closes_what_it_used(machine, face, way, file):
    """Two targets that take no more: both splices are ended before their pipes are closed."""
    pairs = [socket.socketpair() for _ in range(2)]

    async def main():
        task = ringmill.spawn(aio.broadcast(file, [pair[0] for pair in pairs]))
        await aio.poll(pairs[1][1], 1)
        await aio.sleep(0.005)
        task.cancel()
        with pytest.raises(ringmill.Cancelled):
            await task

    ringmill.run(main())
    assert pipes_here().lent == set()
    for pair in pairs:
        for end in pair:
            end.close()
