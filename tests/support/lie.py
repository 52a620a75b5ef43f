"""A second ring that puts completions into another one: what a kernel that lies would do.

IORING_OP_MSG_RING gives any user_data and result to a ring of this process. Linux only (5.18), by
raw system calls; knows nothing of ringmill. Used to show that a completion which belongs to no
living op reaches nobody.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

SETUP, ENTER = 425, 426
MSG_RING = 40
FLAGS_PASS = 1 << 1  # IORING_MSG_RING_FLAGS_PASS
OFF_SQES = 0x10000000
GETEVENTS = 1


class Liar:
    """Sends completions to the ring with the descriptor `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.libc = ctypes.CDLL(None, use_errno=True)
        params = bytearray(120)
        self.fd = self._call(SETUP, 8, (ctypes.c_char * 120).from_buffer(params))
        (self.sq_entries, self.cq_entries) = struct.unpack_from("II", params, 0)
        # offsets of head, tail, ring_mask, ring_entries, flags, dropped, array
        sq = struct.unpack_from("7I", params, 40)
        self.tail_at, self.array_at = sq[1], sq[6]
        (self.cq_head_at, self.cq_tail_at) = struct.unpack_from("II", params, 80)
        (cqes_at,) = struct.unpack_from("I", params, 80 + 5 * 4)
        size = max(self.array_at + 4 * self.sq_entries, cqes_at + 16 * self.cq_entries)
        self.queues = mmap.mmap(self.fd, size, mmap.MAP_SHARED,
                                mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self.sqes = mmap.mmap(self.fd, 64 * self.sq_entries, mmap.MAP_SHARED,
                              mmap.PROT_READ | mmap.PROT_WRITE, offset=OFF_SQES)

    def tell(self, user_data: int, result: int, flags: int = 0) -> None:
        """One completion for the target; with `flags` (IORING_CQE_F_*) from 6.3 on."""
        (tail,) = struct.unpack_from("I", self.queues, self.tail_at)
        index = tail % self.sq_entries
        # opcode, flags, ioprio, fd, off (user_data there), addr, len (res there), msg_ring_flags,
        # user_data, buf_index, personality, file_index (flags there, if they are passed)
        struct.pack_into("<BBHiQQIIQHHI16x", self.sqes, 64 * index,
                         MSG_RING, 0, 0, self.target, user_data, 0, result & 0xFFFFFFFF,
                         FLAGS_PASS if flags else 0, 0, 0, 0, flags)
        struct.pack_into("I", self.queues, self.array_at + 4 * index, index)
        struct.pack_into("I", self.queues, self.tail_at, tail + 1)
        self._call(ENTER, self.fd, 1, 0, GETEVENTS, None, 0)
        # Our own completions are not looked at: take them all as read.
        (cq_tail,) = struct.unpack_from("I", self.queues, self.cq_tail_at)
        struct.pack_into("I", self.queues, self.cq_head_at, cq_tail)

    def close(self) -> None:
        self.queues.close()
        self.sqes.close()
        os.close(self.fd)

    def _call(self, *arguments: object) -> int:
        result = self.libc.syscall(*arguments)
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return int(result)


def ring_fds() -> list[int]:
    """Every io_uring of this process."""
    return [int(name) for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}")
            and os.readlink(f"/proc/self/fd/{name}") == "anon_inode:[io_uring]"]
