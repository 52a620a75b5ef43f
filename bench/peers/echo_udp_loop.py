"""Echo of datagrams with an event loop's datagram transport.  PORT LOOP"""

import asyncio
import sys
from typing import Any

import loops

port, loop_name = sys.argv[1:]


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data, address)


async def main() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", int(port)))
    await asyncio.Event().wait()


loops.run(loop_name, main())
