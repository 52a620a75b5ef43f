"""One kind of op, COUNT times, for an instruction counter.  FACE KERNEL WHAT COUNT"""

import os
import socket
import sys

import ringmill
from ringmill import aio

face, kernel, what, count = sys.argv[1:]
try:
    machine = ringmill.Machine(kernel=kernel, spin=False)
except OSError as reason:
    print(reason)
    sys.exit(77)
reader, writer = os.pipe()
left, right = socket.socketpair()
buffer, data = bytearray(100), bytes(100)


def two(n: int) -> int:
    """Ops that go in pairs are counted one by one."""
    return n // 2


def fiber(n: int) -> None:
    if what == "nop":
        for _ in range(n):
            ringmill.nop()
    elif what == "yield":
        for _ in range(n):
            ringmill.yield_now()
    elif what == "write+read":
        for _ in range(two(n)):
            ringmill.write(writer, data)
            ringmill.readinto(reader, buffer)
    elif what == "send+recv":
        for _ in range(two(n)):
            ringmill.send(left, data)
            ringmill.recv_into(right, buffer)
    else:
        for _ in range(n):
            with ringmill.timeout(10):
                ringmill.nop()


async def task(n: int) -> None:
    if what == "nop":
        for _ in range(n):
            await aio.nop()
    elif what == "yield":
        for _ in range(n):
            await aio.yield_now()
    elif what == "write+read":
        for _ in range(two(n)):
            await aio.write(writer, data)
            await aio.readinto(reader, buffer)
    elif what == "send+recv":
        for _ in range(two(n)):
            await aio.send(left, data)
            await aio.recv_into(right, buffer)
    else:
        for _ in range(n):
            with ringmill.timeout(10):
                await aio.nop()


if face == "fiber":
    machine.run(fiber, int(count))
else:
    machine.run(task(int(count)))
left.close()
right.close()
