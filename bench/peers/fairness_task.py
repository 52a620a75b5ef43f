"""A busy ringmill program of native tasks: TASKS, a ticker, an echo.  ADDRESS POLICY TASKS"""

import socket
import sys
import time

import ringmill
from machine import machine_from
from ringmill import aio
from ticker import PERIOD_S, Record, work

address, policy, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = Record()


async def spin() -> None:
    while not record.over:
        work()
        record.steps += 1
        await aio.yield_now()


async def tick() -> None:
    while not record.over:
        asked = time.monotonic()
        await aio.sleep(PERIOD_S)
        record.tick(asked, time.monotonic())


async def serve(sock: socket.socket) -> None:
    record.opened()
    while data := await aio.recv(sock, 65536):
        await aio.sendall(sock, data)
    await aio.close(sock)
    record.closed()


async def accept(listener: socket.socket) -> None:
    async for sock in aio.accept_each(listener):
        ringmill.spawn(serve(sock))


async def main() -> None:
    spinning = [ringmill.spawn(spin()) for _ in range(tasks)]
    listener = await aio.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    await aio.bind(listener, address)
    await aio.listen(listener, 4096)
    accepting = ringmill.spawn(accept(listener))
    await tick()
    accepting.cancel()
    for task in spinning:
        await task
    record.last_word()


machine_from([policy]).run(main())
