"""A busy ringmill program of fibers: TASKS, a ticker, an echo.  ADDRESS POLICY TASKS"""

import socket
import sys
import time

import ringmill
from machine import machine_from
from ticker import PERIOD_S, Record, work

address, policy, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = Record()


def spin() -> None:
    while not record.over:
        work()
        record.steps += 1
        ringmill.yield_now()


def tick() -> None:
    while not record.over:
        asked = time.monotonic()
        ringmill.sleep(PERIOD_S)
        record.tick(asked, time.monotonic())


def serve(sock: socket.socket) -> None:
    record.opened()
    while data := ringmill.recv(sock, 65536):
        ringmill.sendall(sock, data)
    ringmill.close(sock)
    record.closed()


def accept(listener: socket.socket) -> None:
    for sock in ringmill.accept_each(listener):
        ringmill.spawn(serve, sock)


def main() -> None:
    spinning = [ringmill.spawn(spin) for _ in range(tasks)]
    listener = ringmill.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ringmill.bind(listener, address)
    ringmill.listen(listener, 4096)
    accepting = ringmill.spawn(accept, listener)
    tick()
    accepting.cancel()
    for fiber in spinning:
        fiber.join()
    record.last_word()


machine_from([policy]).run(main)
