"""Echo of datagrams with ringmill's own coroutines, on one socket.  PORT recvfrom|each

recvfrom: one datagram after the other, received and sent back. each: what has come is received as
it comes, and what goes back is queued, so that a turn takes and gives many.
"""

import socket
import sys

import ringmill
from ringmill import aio

port, how = sys.argv[1:]


async def main() -> None:
    sock = await aio.socket(socket.AF_INET, socket.SOCK_DGRAM)
    await aio.bind(sock, ("127.0.0.1", int(port)))
    if how == "each":
        async for data, _, _, address in aio.recvmsg_each(sock):
            aio.sendto(sock, data, address).detach()
    while True:
        data, address = await aio.recvfrom(sock, 65536)
        await aio.sendto(sock, data, address)


ringmill.run(main())
