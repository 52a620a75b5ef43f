"""A busy gevent program: TASKS that compute and yield, a ticker, an echo.  ADDRESS TASKS"""

import sys
import time

import gevent
from gevent import socket
from gevent.server import StreamServer

from ticker import PERIOD_S, Record, work

address, tasks = sys.argv[1], int(sys.argv[2])
record = Record()


def spin() -> None:
    while not record.over:
        work()
        record.steps += 1
        gevent.sleep(0)


def tick() -> None:
    while not record.over:
        asked = time.monotonic()
        gevent.sleep(PERIOD_S)
        record.tick(asked, time.monotonic())


def serve(sock: socket.socket, _peer: object) -> None:
    record.opened()
    while data := sock.recv(65536):
        sock.sendall(data)
    record.closed()


spinning = [gevent.spawn(spin) for _ in range(tasks)]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(address)
listener.listen(4096)
server = StreamServer(listener, serve)
server.start()
tick()
server.stop()
gevent.joinall(spinning)
record.last_word()
