"""Fixtures for every test: kernels, machines, faces, and the law that nothing is left behind.

Every test that takes `machine` runs once per kernel, every test that takes `face` once per face.
A kernel this host refuses is skipped with the kernel's own words.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from ringmill.core.masks import KERNELS
from support import faces, leaks, machines

pytest_plugins = ["pytester", "support.req_report"]

# No deadlines: a test never asserts how long something took. In CI the same examples every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell that starts a job in the background has it ignore Ctrl-C, and its children as well; what
# the suite asks of programs that are interrupted must not depend on who started it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def refusal(kernel: str) -> str | None:
    """Why `kernel` cannot run here, in ringmill's own words; None when it can."""
    import ringmill

    asked = os.environ.get("RINGMILL_KERNEL")
    if asked and asked != kernel and (kernel, asked) != ("sim", "soft"):
        return f"RINGMILL_KERNEL={asked} was asked for"
    if kernel == "sim":
        return None  # it runs wherever the soft kernel does
    try:
        ringmill.Machine(kernel=kernel).close()
    except (OSError, ringmill.errors.RingmillError) as error:
        return str(error)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module whose laws hold for the lying kernel, too, says KERNELS = EVERY_KERNEL."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "kernel" in metafunc.fixturenames and not any("kernel" in mark.args[0] for mark in marks):
        kernels = getattr(metafunc.module, "KERNELS", KERNELS)
        metafunc.parametrize("kernel", kernels, indirect=True)


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> str:
    """Each kernel by name."""
    if (reason := refusal(request.param)) is not None:
        if request.param == "soft" and "RINGMILL_KERNEL" not in reason:
            pytest.fail(f"the soft kernel must run everywhere: {reason}")
        pytest.skip(f"kernel {request.param}: {reason}")
    return request.param


@pytest.fixture(params=faces.FACES)
def face(request: pytest.FixtureRequest) -> str:
    """Each face by name, for support.faces.call(face, verb, ...)."""
    return request.param


@pytest.fixture
def machine(kernel: str, request: pytest.FixtureRequest) -> Iterator[object]:
    """A fresh machine of this thread; when the test is over, nothing may be alive in it."""
    machine = machines.make(kernel, request.node.nodeid)
    try:
        yield machine
        left = leaks.settled(lambda: leaks.unrest(machine.stats()))
    finally:
        machine.close()
    assert not left, f"the test left the machine with {', '.join(left)}"


def _open_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe: reader, writer."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


pipe = pytest.fixture(_open_pipe, name="pipe")
other_pipe = pytest.fixture(_open_pipe, name="other_pipe")


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connected pair over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server, \
            socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            yield ours, theirs


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No test leaves a descriptor open or an op alive, with or without a machine of its own; and
    none closes what is not its own."""
    before = leaks.open_fds()
    yield
    alive = []
    if (ringmill := sys.modules.get("ringmill")) is not None:
        machine = ringmill.machine()  # made just for this when there was none: a ring costs little
        alive = leaks.settled(lambda: leaks.unrest(machine.stats()))
        machine.close()
    left = leaks.settled(lambda: leaks.new_fds(before))
    lost = leaks.lost_fds(before)
    assert not lost, f"the test closed what it had not opened: {', '.join(lost)}"
    assert not alive, f"the test left this thread's machine with {', '.join(alive)}"
    assert not left, f"the test left open: {', '.join(left)}"
