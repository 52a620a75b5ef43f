"""Echo with asyncio Streams, the way most asyncio programs are written.  ADDRESS LOOP"""

import asyncio
import sys

import loops

address, loop_name = sys.argv[1:]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    if "/" in address:
        server = await asyncio.start_unix_server(serve, address, backlog=4096)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", int(address), backlog=4096)
    await server.serve_forever()


loops.run(loop_name, main())
