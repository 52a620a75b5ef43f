"""RINGMILL_DISABLE and RINGMILL_KERNEL: what a person wants hidden, and which kernel to ask.

    RINGMILL_DISABLE=send_zc,defer_taskrun      hide single opcodes, behaviours, setup flags
    RINGMILL_DISABLE=@6.1                       hide everything that Linux 6.1 lacks
    RINGMILL_KERNEL=soft                        do not even try io_uring

Knows names and bits (those of ring.h, uapi.h and <linux/io_uring.h>; a test compares them). Does
not open rings. A mask is a promise: a masked opcode is never given to that ring, not even to find
out what the kernel can do.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import NamedTuple

from ringmill.core.older_kernels import MISSING

DISABLE = "RINGMILL_DISABLE"
KERNEL = "RINGMILL_KERNEL"

KERNELS = ("linux", "soft")  # best first

NEAR_MAX = 3  # names offered for one that is unknown: more would be a list, not a hint

# By number: the opcode is the index.
OPCODES = (
    "nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
    "sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept",
    "async_cancel", "link_timeout", "connect", "fallocate", "openat", "close", "files_update",
    "statx", "read", "write", "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl",
    "splice", "provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat",
    "mkdirat", "symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr",
    "getxattr", "socket", "uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid",
    "futex_wait", "futex_wake", "futex_waitv", "fixed_fd_install", "ftruncate", "bind", "listen",
    "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed", "pipe",
)

# By bit, as `enum rm_behaviour`.
BEHAVIOURS = (
    "accept_multishot", "recv_multishot", "read_multishot", "poll_multishot", "buffer_rings",
    "cqe_skip", "cancel_fd", "taskrun_flag", "defer_taskrun", "registered_ring", "send_zc",
    "bundle", "fixed_buffers", "send_to", "send_whole", "direct_files",
)

# IORING_SETUP_*, by bit: those that the ladder of ring/linux.c climbs, and those that older
# kernels are known to lack.
SETUP_FLAGS = {
    "sqpoll": 1, "cqsize": 3, "clamp": 4, "submit_all": 7, "coop_taskrun": 8, "taskrun_flag": 9,
    "single_issuer": 12, "defer_taskrun": 13, "no_mmap": 14, "registered_fd_only": 15,
    "no_sqarray": 16,
}


class Masks(NamedTuple):
    """Three bit masks, as `struct rm_config` wants them."""

    ops: int = 0
    behaviours: int = 0
    setup: int = 0

    def __or__(self, other: Masks) -> Masks:
        return Masks(*(mine | theirs for mine, theirs in zip(self, other, strict=True)))


class Choice(NamedTuple):
    """The kernels to try, in this order, and who said so."""

    order: tuple[str, ...]
    why: str


# One name may stand for several things: `send_zc` is an opcode and a behaviour, `defer_taskrun` a
# behaviour and a setup flag. Hiding it hides all of them.
def _meanings() -> dict[str, Masks]:
    meanings: dict[str, Masks] = {}
    for number, name in enumerate(OPCODES):
        meanings[name] = Masks(ops=1 << number)
    for bit, name in enumerate(BEHAVIOURS):
        meanings[name] = meanings.get(name, Masks()) | Masks(behaviours=1 << bit)
    for name, bit in SETUP_FLAGS.items():
        meanings[name] = meanings.get(name, Masks()) | Masks(setup=1 << bit)
    return meanings


MEANINGS = _meanings()
SHORT = {"fixed": "fixed_buffers"}  # what people say


def parse(text: str) -> Masks:
    """The masks of a comma-separated list of names; ValueError names the one that is unknown.

    >>> parse("recv, @6.16").ops == 1 << OPCODES.index("recv")
    True
    """
    masks = Masks()
    for word in text.split(","):
        name = word.strip().lower().replace("-", "_")
        if name:
            masks |= _lookup(name)
    return masks


def from_environment(environ: Mapping[str, str] = os.environ) -> Masks:
    """The masks of RINGMILL_DISABLE; none when it is unset or empty."""
    return parse(environ.get(DISABLE, ""))


def choose(wish: str | None = None, environ: Mapping[str, str] = os.environ) -> Choice:
    """Which kernels to try: the program's wish, else RINGMILL_KERNEL, else the best first.

    >>> choose("soft").order
    ('soft',)
    """
    if wish is not None:
        return Choice((_kernel(wish, "kernel="),), f"Machine(kernel={wish!r}) asks for it")
    if name := environ.get(KERNEL, "").strip():
        return Choice((_kernel(name, f"{KERNEL}="),), f"{KERNEL}={name} asks for it")
    return Choice(KERNELS, "it is the first that this system grants")


def _kernel(name: str, where: str) -> str:
    known = name.strip().lower()
    if known not in KERNELS:
        raise ValueError(f"{where}{name}: there is no such kernel{_near(known, KERNELS)} "
                         f"There are {' and '.join(KERNELS)}.")
    return known


def _lookup(name: str) -> Masks:
    name = SHORT.get(name, name)
    if not name.startswith("@"):
        if name not in MEANINGS:
            raise ValueError(f"{DISABLE}: {name!r} is no opcode, behaviour or setup flag"
                             f"{_near(name, tuple(MEANINGS))}")
        return MEANINGS[name]
    version = name.removeprefix("@")
    if version not in MISSING:
        raise ValueError(f"{DISABLE}: what Linux {version!r} lacks is not known. Known are "
                         f"{', '.join('@' + known for known in MISSING)}.")
    masks = Masks()
    for missing in sorted(MISSING[version]):
        masks |= MEANINGS[missing]
    return masks


def _near(name: str, known: tuple[str, ...]) -> str:
    """'; did you mean recv or recvmsg?', or '.' when nothing is near."""
    # Half a word is the commonest mistake, and no spelling mistake: `poll`, `open`, `multishot`.
    near = [other for other in known if name in other]
    near += [other for other in difflib.get_close_matches(name, known) if other not in near]
    return f"; did you mean {' or '.join(near[:NEAR_MAX])}?" if near else "."
