"""Echo of datagrams with plain calls in a fiber, on one socket.  PORT recvfrom|each"""

import socket
import sys

import ringmill
from ringmill import aio

port, how = sys.argv[1:]


def main() -> None:
    sock = ringmill.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ringmill.bind(sock, ("127.0.0.1", int(port)))
    if how == "each":
        for data, _, _, address in ringmill.recvmsg_each(sock):
            aio.sendto(sock, data, address).detach()
    while True:
        data, address = ringmill.recvfrom(sock, 65536)
        ringmill.sendto(sock, data, address)


ringmill.run(main)
