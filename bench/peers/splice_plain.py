"""What it costs to send a file with plain system calls.  sendfile|read PATH SECONDS"""

import os
import sys

import sink
from lap import lap, report

way, path, seconds = sys.argv[1:]
MIB = 1 << 20
COPY = 1 << 16  # what ringmill's copying takes at once


def by_sendfile(sock: int, fd: int, offset: int) -> None:
    end = offset + MIB
    while offset < end:
        offset += os.sendfile(sock, fd, offset, end - offset)


def main(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size // MIB * MIB  # whole ones only
    sock = sink.connected()
    number = sock.fileno()
    with lap:
        for index in range(count):
            offset = index * MIB % size
            if way == "sendfile":
                by_sendfile(number, fd, offset)
            else:
                for part in range(offset, offset + MIB, COPY):
                    sock.sendall(os.pread(fd, COPY, part))
    sink.end(sock)
    os.close(fd)


report(main, float(seconds))
