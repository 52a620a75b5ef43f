"""What older kernels lack, in ringmill's own names: the words behind RINGMILL_DISABLE=@6.1.

Measured, not read: each entry was tried on a kernel of that version (Debian's, where there is one:
its 5.10 carries the io_uring of 5.15, hence EXT_ARG and multishot poll) and compared with 6.18.
Left out is what ringmill never asks a kernel for. Data only; masks.py gives the names a meaning.

One difference has no name, for no mask could stand for it: on 6.16 and 6.17 an ASYNC_CANCEL with
FD | USERDATA answers ENOENT. ringmill never combines the two (see ring/probe.c).
"""

# Each is what came after that release, and up to the next one named here: what it, and all before
# it, lack. (5.15 is what Debian's 5.10 has.)
_AFTER_6_12 = "recv_zc epoll_wait readv_fixed writev_fixed pipe"  # pipe: 6.16
_AFTER_6_1 = (
    "no_mmap registered_fd_only no_sqarray "
    "read_multishot waitid futex_wait futex_wake futex_waitv fixed_fd_install ftruncate "
    "bind listen bundle"
)
_AFTER_5_15 = (
    "submit_all coop_taskrun taskrun_flag single_issuer defer_taskrun "
    "mkdirat symlinkat linkat msg_ring fsetxattr setxattr fgetxattr getxattr socket uring_cmd "
    "send_zc sendmsg_zc "
    "accept_multishot recv_multishot buffer_rings cqe_skip cancel_fd registered_ring "
    "send_to direct_files"
)

MISSING: dict[str, frozenset[str]] = {
    "5.10": frozenset(f"{_AFTER_5_15} {_AFTER_6_1} {_AFTER_6_12}".split()),
    "6.1": frozenset(f"{_AFTER_6_1} {_AFTER_6_12}".split()),
    "6.12": frozenset(_AFTER_6_12.split()),
    "6.16": frozenset(),
    "6.17": frozenset(),
}
