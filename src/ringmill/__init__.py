"""ringmill: I/O for Python on io_uring.

Calls that look synchronous, for fibers and plain scripts: `data = ringmill.recv(sock, 4096)`.
The same as awaitable ops: `await ringmill.aio.recv(sock, 4096)`.
"""

from __future__ import annotations

from ringmill import aio

# machines, and running programs on them
from ringmill.face.machine import Machine, machine, run
from ringmill.core.balance import Adaptive, Fixed, Relative
from ringmill.core.probe import probe

# fibers and tasks, and blocks that bound them
from ringmill.face.fiber import Fiber
from ringmill.face.task import Task
from ringmill.face.spawn import current, drive, park, sleep, spawn, unpark, wait, yield_now
from ringmill.face.scope import scope
from ringmill.face.timeout import timeout
from ringmill.face.every import Tick, every
from ringmill.face.threads import in_thread
from ringmill.face.chain import Chain

# memory within budgets
from ringmill.core.figures import Memory
from ringmill.core.lease import Lease
from ringmill.face.memory import SlotCall as Slot, lease

# ops: one system call each, named as in `os` and `socket`; ops/table/ has them all
from ringmill.core.op import Op
from ringmill.face import call as _call
from ringmill.face import composite as _composite
from ringmill.face import sending as _sending
from ringmill.face import transfer as _transfer
from ringmill.face import names as _names
from ringmill.face.call import *  # noqa: F403
from ringmill.face.raw import raw
from ringmill.ops.flags import Resolve
from ringmill.face.writes import alloc_write, commit, drain, start_write

# files
from ringmill.files import copying as _copying, whole as _whole
from ringmill.files.entry import Entry
from ringmill.files.temporary import temporary_directory, temporary_file_call as temporary_file
from ringmill.files.walking import Entries, scandir_call as scandir, walk_call as walk
from ringmill.files.call import BinaryFile, RawFile, TextFile, open_file

# between threads, processes and signals
from ringmill.cluster import Cluster
from ringmill.sync.event import SharedEvent
from ringmill.sync.signals import signals

# other programs
from ringmill.processes.pipes import PipeReader, PipeWriter
from ringmill.processes.process import Process, open_process
from ringmill.processes.run import run_process as _run_process

# what happens to files
from ringmill.watching.events import Change, WatchEvent
from ringmill.watching.watch import watch

# what can go wrong
from ringmill.errors import (
    Cancelled, ClosedError, IncompleteRead, NotAllSent, RingmillError, WorkerError, WouldBlock,
    WouldExceedBudget, WrongThread,
)

__version__ = "0.1.0"

# built from several ops
read_exactly = _composite.call_face(_composite.read_exactly)
tcp_listen = _composite.call_face(_composite.tcp_listen)
tcp_connect = _composite.call_face(_composite.tcp_connect)
makedirs = _composite.call_face(_names.makedirs)
readlink = _composite.call_face(_names.readlink)
sendmany = _composite.call_face(_sending.sendmany)
run_process = _composite.call_face(_run_process)

# from one descriptor to another, without a copy on the way where the kernel can
Progress = _transfer.Progress
sendfile = _composite.call_face(_transfer.sendfile)
copy = _composite.call_face(_transfer.copy)
broadcast = _composite.call_face(_transfer.broadcast)

# files as a whole
read_file = _composite.call_face(_whole.read_file)
write_file = _composite.call_face(_whole.write_file)
copy_file = _composite.call_face(_copying.copy_file)

__all__ = [
    "Adaptive", "BinaryFile", "Cancelled", "Chain", "Change", "ClosedError", "Cluster", "Entries",
    "Entry", "Fiber", "Fixed", "IncompleteRead", "Lease", "Machine", "Memory", "NotAllSent", "Op",
    "PipeReader", "PipeWriter", "Process", "Progress", "RawFile", "Relative", "Resolve",
    "RingmillError", "SharedEvent", "Slot", "Task", "TextFile", "Tick", "WatchEvent", "WorkerError",
    "WouldBlock", "WouldExceedBudget", "WrongThread", "aio", "alloc_write", "broadcast", "commit",
    "copy", "copy_file", "current", "drain", "drive", "every", "in_thread", "lease", "machine",
    "makedirs", "open_file", "open_process", "park", "probe", "raw", "read_exactly", "read_file",
    "readlink", "run", "run_process", "scandir", "scope", "sendfile", "sendmany", "signals",
    "sleep", "spawn", "start_write", "tcp_connect", "tcp_listen", "temporary_directory",
    "temporary_file", "timeout", "unpark", "wait", "walk", "watch", "write_file", "yield_now",
]
__all__ += _call.__all__
