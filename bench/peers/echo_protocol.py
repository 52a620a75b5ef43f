"""Echo with an asyncio Protocol, the fastest way an event loop offers.  ADDRESS LOOP"""

import asyncio
import socket
import sys

import loops

address, loop_name = sys.argv[1:]


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    if "/" in address:
        await loop.create_unix_server(Echo, address, backlog=4096)
    else:
        await loop.create_server(
            Echo, "127.0.0.1", int(address), backlog=4096, family=socket.AF_INET
        )
    await asyncio.Event().wait()  # for ever; rloop's serve_forever() stops serving


loops.run(loop_name, main())
