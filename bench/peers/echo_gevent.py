"""Echo with gevent: a greenlet per connection, calls that look synchronous.  ADDRESS"""

import sys

from gevent import socket
from gevent.server import StreamServer

address = sys.argv[1]


def serve(sock: socket.socket, _peer: object) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := sock.recv(65536):
        sock.sendall(data)


if "/" in address:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(4096)
    StreamServer(listener, serve).serve_forever()
else:
    StreamServer(("127.0.0.1", int(address)), serve, backlog=4096).serve_forever()
