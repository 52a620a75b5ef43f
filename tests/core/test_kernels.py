"""Which kernel a machine runs on, and why: by wish, by environment, by what the system refuses.

A system without io_uring must run everything on the soft kernel, and say nothing about it.
"""

from __future__ import annotations

import errno

import pytest

import ringmill
from support import programs


def test_the_kernel_that_was_asked_for(kernel):
    with ringmill.Machine(kernel=kernel) as machine:
        assert machine.kernel.name == kernel
        assert f"Machine(kernel='{kernel}') asks for it" in machine.kernel.why
        assert kernel in repr(machine.kernel)


def test_the_environment_asks(kernel):
    out = programs.clean("""
        import ringmill
        print(ringmill.machine().kernel.name, ringmill.machine().kernel.why)
    """, kernel=kernel)
    assert out.startswith(f"{kernel} RINGMILL_KERNEL={kernel} asks for it")


def test_the_program_has_the_last_word():
    out = programs.clean("""
        import ringmill
        print(ringmill.Machine(kernel="soft").kernel.name)
    """, kernel="linux")
    assert out == "soft\n"


def test_an_unknown_kernel_is_named_with_what_there_is():
    ended = programs.run("import ringmill; ringmill.nop()", kernel="linx")
    assert ended.code == 1
    assert "ValueError" in ended.err and "linx" in ended.err and "linux and soft" in ended.err


# A day in the life of a program: files, pipes, sockets, multishot, timers, tasks, threads.
EVERYTHING = """
    import os, select, socket, sys, tempfile, threading
    import ringmill
    from ringmill import aio

    def files():
        with tempfile.TemporaryDirectory() as folder:
            fd = ringmill.open(os.path.join(folder, "a"), os.O_RDWR | os.O_CREAT)
            ringmill.write_all(fd, b"hello" * 1000)
            ringmill.fsync(fd)
            assert ringmill.stat(fd).st_size == 5000
            assert ringmill.read(fd, 9000, offset=4995) == b"hello"
            ringmill.close(fd)

    def sockets():
        listener = ringmill.tcp_listen("127.0.0.1", 0)
        def serve():
            for sock in ringmill.accept_each(listener):
                for data in ringmill.recv_each(sock):
                    ringmill.sendall(sock, data.upper())
                ringmill.close(sock)
                return
        with ringmill.scope() as s:
            s.spawn(serve)
            sock = ringmill.tcp_connect("127.0.0.1", listener.getsockname()[1])
            ringmill.sendall(sock, b"abc")
            assert ringmill.read_exactly(sock, 3) == b"ABC"
            sock.shutdown(socket.SHUT_WR)
            assert ringmill.recv(sock, 10) == b""
        ringmill.close(sock)
        ringmill.close(listener)

    def times():
        try:
            with ringmill.timeout(0.01):
                reader, writer = os.pipe()
                ringmill.read(reader, 1)
        except TimeoutError:
            os.close(reader), os.close(writer)
        else:
            raise AssertionError("no TimeoutError")
        ringmill.sleep(0.001)

    async def tasks():
        reader, writer = os.pipe()
        op = aio.read(reader, 10)
        assert await aio.poll(writer, select.POLLOUT)
        await aio.write(writer, b"hi")
        assert await op == b"hi"
        op = aio.read(reader, 10)
        op.cancel()
        try:
            await op
        except ringmill.Cancelled:
            pass
        os.close(reader), os.close(writer)
        assert await aio.in_thread(len, "four") == 4

    def main():
        files(), sockets(), times()
        ringmill.spawn(tasks()).join()

    machine = ringmill.machine()
    machine.run(main)
    files()
    posted = []
    thread = threading.Thread(target=lambda: machine.call_threadsafe(posted.append, 1))
    thread.start()
    while not posted:
        ringmill.sleep(0.01)
    thread.join()
    print(machine.kernel.name, machine.kernel.why)
"""

WORDS = {
    "EPERM": "Operation not permitted", "ENOSYS": "Function not implemented",
    "ENOMEM": "Cannot allocate memory",
}


def test_everything_works_here(kernel):
    assert programs.clean(EVERYTHING, kernel=kernel).startswith(f"{kernel} ")


@pytest.mark.parametrize("refusal", sorted(WORDS))
def test_without_io_uring_everything_works_and_nothing_is_said(refusal):
    out = programs.clean(EVERYTHING, refuse=refusal)
    name, why = out.strip().split(" ", 1)
    assert name == "soft"
    assert "io_uring_setup" in why and WORDS[refusal] in why


def test_the_doctor_of_a_system_without_io_uring():
    out = programs.clean("""
        import ringmill
        found = ringmill.probe()
        print(found["kernel"], found["opcodes"]["read"], sorted(set(found["opcodes"].values())))
    """, refuse="EPERM")
    assert out == "soft emulated ['emulated', 'missing']\n"


@pytest.mark.parametrize("refusal", sorted(WORDS))
def test_linux_by_wish_where_it_is_refused(refusal):
    out = programs.clean("""
        import os, ringmill
        try:
            ringmill.Machine(kernel="linux")
        except OSError as error:
            print(error.errno, error)
        print(sorted(os.listdir("/proc/self/fd"))[:4])
        ringmill.nop()
        print(ringmill.machine().kernel.name)
    """, refuse=refusal)
    said, _, chosen = out.splitlines()
    assert said.startswith(f"{getattr(errno, refusal)} ") and WORDS[refusal] in said
    assert chosen == "soft"


def test_without_locked_memory(kernel):
    """Pitfall 16: limits differ by machine; a ring or buffers that may not be locked fall back."""
    out = programs.clean(EVERYTHING, refuse="MEMLOCK")
    assert out.split()[0] in ("linux", "soft")
    if kernel == "soft":
        assert programs.clean(EVERYTHING, refuse="MEMLOCK", kernel="soft").startswith("soft ")


def test_few_descriptors_are_an_error_not_a_crash(kernel):
    """A ring that cannot be made leaves no descriptor behind, and the next try works."""
    programs.clean("""
        import os, resource, sys
        import ringmill
        ringmill.machine().close()
        before = sorted(os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for extra in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) - 1 + extra, hard))
            try:
                ringmill.Machine(kernel=sys.argv[1]).close()
            except OSError as error:
                assert error.errno == 24, error
            else:
                break
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert sorted(os.listdir("/proc/self/fd")) == before
        else:
            raise AssertionError("eight descriptors are not enough for a machine")
        assert extra > 0, "the limit did not bite"
    """, kernel)


def test_what_is_masked_is_done_by_the_soft_kernel_beside(kernel):
    """Per-opcode fallback: the real kernel stays, single ops go to the other one."""
    if kernel == "soft":
        pytest.skip("there is nothing beside the soft kernel")
    out = programs.clean(EVERYTHING + """
    stats = machine.stats()
    print(stats["beside_submitted"] > 0)
    """, kernel="linux", RINGMILL_DISABLE="read,recv,accept,send,buffer_rings,poll_add")
    assert out.splitlines()[-1] == "True"


@pytest.mark.parametrize("version", ["5.10", "6.1", "6.12"])
def test_an_older_kernel(kernel, version):
    if kernel == "soft":
        pytest.skip("the soft kernel is the same everywhere")
    programs.clean(EVERYTHING, kernel="linux", RINGMILL_DISABLE=f"@{version}")


def test_a_misspelt_mask_is_an_error():
    ended = programs.run("import ringmill; ringmill.nop()", RINGMILL_DISABLE="recvv")
    assert ended.code == 1 and "recvv" in ended.err and "ValueError" in ended.err
