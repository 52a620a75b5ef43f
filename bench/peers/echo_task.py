"""Echo with ringmill's own coroutines, one task per connection.  ADDRESS recv|each [spin=0]"""

import socket
import sys

import ringmill
from machine import machine_from
from ringmill import aio

address, how, *options = sys.argv[1:]


async def serve(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if how == "each":
        async for data in aio.recv_each(sock):
            await aio.sendall(sock, data)
    else:
        while data := await aio.recv(sock, 65536):
            await aio.sendall(sock, data)
    await aio.close(sock)


async def listen() -> socket.socket:
    if "/" not in address:
        return await aio.tcp_listen("127.0.0.1", int(address), backlog=4096)
    listener = await aio.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    await aio.bind(listener, address)
    await aio.listen(listener, 4096)
    return listener


async def main() -> None:
    async for sock in aio.accept_each(await listen()):
        ringmill.spawn(serve(sock))


machine_from(options).run(main())
