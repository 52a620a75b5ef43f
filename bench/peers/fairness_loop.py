"""A busy asyncio program: TASKS that compute and yield, a ticker, an echo.  ADDRESS LOOP TASKS"""

import asyncio
import sys
import time

import loops
from ticker import PERIOD_S, Record, work

address, loop_name, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = Record()


async def spin() -> None:
    while not record.over:
        work()
        record.steps += 1
        await asyncio.sleep(0)


async def tick() -> None:
    while not record.over:
        asked = time.monotonic()
        await asyncio.sleep(PERIOD_S)
        record.tick(asked, time.monotonic())


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    record.opened()
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
    record.closed()


async def main() -> None:
    spinning = [asyncio.ensure_future(spin()) for _ in range(tasks)]
    async with await asyncio.start_unix_server(serve, address, backlog=4096):
        await tick()
    await asyncio.gather(*spinning)
    record.last_word()


loops.run(loop_name, main())
