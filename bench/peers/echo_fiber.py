"""Echo with ringmill fibers: plain calls, one fiber per connection.  ADDRESS recv|each [spin=0]"""

import socket
import sys

import ringmill
from machine import machine_from

address, how, *options = sys.argv[1:]


def serve(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if how == "each":
        for data in ringmill.recv_each(sock):
            ringmill.sendall(sock, data)
    else:
        while data := ringmill.recv(sock, 65536):
            ringmill.sendall(sock, data)
    ringmill.close(sock)


def listen() -> socket.socket:
    if "/" not in address:
        return ringmill.tcp_listen("127.0.0.1", int(address), backlog=4096)
    listener = ringmill.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ringmill.bind(listener, address)
    ringmill.listen(listener, 4096)
    return listener


def main() -> None:
    for sock in ringmill.accept_each(listen()):
        ringmill.spawn(serve, sock)


machine_from(options).run(main)
