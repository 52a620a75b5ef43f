"""The awaitable face: the same verbs as `ringmill`, each giving an Op (or coroutine) to await.

An op begins at once, when it is called; awaiting it waits for its end. Ops can be awaited in a
task of ringmill (`ringmill.run(main())`), waited for in a fiber (`ringmill.wait(op)`), cancelled
(`op.cancel()`) and let go of (`op.detach()`).
"""

from __future__ import annotations

from ringmill.face.composite import read_exactly, tcp_connect, tcp_listen
from ringmill.face.every import every
from ringmill.face.memory import lease_op as lease
from ringmill.face.names import makedirs, readlink
from ringmill.face.sending import sendmany
from ringmill.face.spawn import (
    join_op as join, park_op as park, sleep_op as sleep, yield_now_op as yield_now,
)
from ringmill.face.threads import in_thread_op as in_thread
from ringmill.face.transfer import broadcast, copy, sendfile
from ringmill.files.binary import AsyncBinaryFile as BinaryFile, AsyncRawFile as RawFile
from ringmill.files.copying import copy_file
from ringmill.files.opening import open_file
from ringmill.files.temporary import (
    temporary_directory_op as temporary_directory, temporary_file,
)
from ringmill.files.text import AsyncTextFile as TextFile
from ringmill.files.walking import scandir, walk
from ringmill.files.whole import read_file, write_file
from ringmill.face.writes import alloc_write_op as alloc_write
from ringmill.ops import aio as _ops
from ringmill.ops.aio import *  # noqa: F403
from ringmill.ops.slot import Slot
from ringmill.ops.raw import raw
from ringmill.processes.pipes import (
    AsyncPipeReader as PipeReader, AsyncPipeWriter as PipeWriter,
)
from ringmill.processes.process import AsyncProcess as Process, open_process_op as open_process
from ringmill.ops.writes import commit, drain, start_write
from ringmill.processes.run import run_process
from ringmill.watching.watch import async_watch as watch

__all__ = [
    "Slot",
    "BinaryFile", "PipeReader", "PipeWriter", "Process", "RawFile", "TextFile", "alloc_write",
    "broadcast", "commit", "copy", "copy_file", "drain", "every", "in_thread", "join", "lease",
    "makedirs", "open_file", "open_process", "park", "raw", "read_exactly", "read_file",
    "readlink", "run_process", "scandir", "sendfile", "sendmany", "sleep", "start_write",
    "tcp_connect", "tcp_listen", "temporary_directory", "temporary_file", "walk", "watch",
    "write_file", "yield_now",
]
__all__ += _ops.__all__
