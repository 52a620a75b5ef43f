"""A busy trio program: TASKS that compute and yield, a ticker, an echo.  ADDRESS TASKS"""

import sys
import time

import trio

from ticker import PERIOD_S, Record, work

address, tasks = sys.argv[1], int(sys.argv[2])
record = Record()


async def spin() -> None:
    while not record.over:
        work()
        record.steps += 1
        await trio.sleep(0)


async def tick() -> None:
    while not record.over:
        asked = time.monotonic()
        await trio.sleep(PERIOD_S)
        record.tick(asked, time.monotonic())


async def serve(stream: trio.SocketStream) -> None:
    record.opened()
    while data := await stream.receive_some(65536):
        await stream.send_all(data)
    await stream.aclose()
    record.closed()


async def main() -> None:
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(address)
    listener.listen(4096)
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(spin)
        nursery.start_soon(trio.serve_listeners, serve, [trio.SocketListener(listener)])
        await tick()
        nursery.cancel_scope.cancel()
    record.last_word()


trio.run(main)
