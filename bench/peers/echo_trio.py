"""Echo with trio.  ADDRESS"""

import sys

import trio

address = sys.argv[1]


async def serve(stream: trio.SocketStream) -> None:
    async with stream:
        while data := await stream.receive_some(65536):
            await stream.send_all(data)


async def main() -> None:
    if "/" in address:
        listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await listener.bind(address)
        listener.listen(4096)
        await trio.serve_listeners(serve, [trio.SocketListener(listener)])
    else:
        await trio.serve_tcp(serve, int(address), host="127.0.0.1", backlog=4096)


trio.run(main)
