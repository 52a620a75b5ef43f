"""What it costs to send a file with ringmill.  sendfile|read|zero_copy PATH SECONDS"""

import os
import sys

import ringmill
import sink
from lap import lap, report

way, path, seconds = sys.argv[1:]
MIB = 1 << 20
COPY = 1 << 16


def main(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size // MIB * MIB  # whole ones only
    sock = sink.connected()
    with lap:
        for index in range(count):
            offset = index * MIB % size
            if way == "sendfile":
                ringmill.sendfile(sock, fd, offset, MIB)
            else:
                for part in range(offset, offset + MIB, COPY):
                    data = ringmill.read(fd, COPY, offset=part)
                    ringmill.sendall(sock, data, zero_copy=way == "zero_copy")
    sink.end(sock)
    os.close(fd)


def run(count: int) -> None:
    ringmill.run(lambda: main(count))


report(run, float(seconds))
