"""Specimens of the ops on files and pipes."""

from __future__ import annotations

import errno
import mmap
import os
import select
from collections.abc import Callable
from typing import Any

from ops.lab import HELLO, Lab, drain
from ops.specimens.scene import (
    NEVER_WAITS,
    NO_OTHER_FAILURE,
    Failure,
    Scene,
    Specimen,
    all_of,
    content,
    same_stat,
)


def open_missing(lab: Lab) -> Failure:
    path = lab.folder / "missing"
    return Failure({"path": path, "flags": os.O_RDONLY}, errno.ENOENT, path)


def close_works(lab: Lab) -> Scene:
    fd = lab.kept(os.dup(lab.hello))

    def seen(result: None) -> tuple[Any, bool]:
        try:
            return result, os.path.samestat(os.fstat(fd), os.fstat(lab.hello))
        except OSError:
            return result, False

    return Scene({"fd": fd}, (None, False), seen)


def reads(argument: str, make: Callable[[], Any]) -> Specimen:
    """Of the three forms: bytes are made, a buffer or several are filled."""
    def told(given: Any) -> Callable[[Any], Any]:
        def seen(result: Any) -> Any:
            if isinstance(result, bytes):
                return result
            filled = b"".join(given) if isinstance(given, list) else bytes(given)
            return result, filled[:result]

        return seen

    def expected(data: bytes) -> Any:
        return data if argument == "n" else (len(data), data)

    def works(lab: Lab) -> Scene:
        given = make()
        return Scene({"fd": lab.hello, argument: given, "offset": 0}, expected(HELLO[:6]),
                     told(given))

    def waits(lab: Lab) -> Scene:
        given = make()
        source, target = lab.pipe()
        return Scene({"fd": source, argument: given}, expected(b"late"), told(given),
                     lambda: os.write(target, b"late"))

    return Specimen(works, waits, lambda lab: Failure(
        {"fd": lab.directory, argument: make()}, errno.EISDIR))


def writes(argument: str, make: Callable[[], Any], size: int) -> Specimen:
    def works(lab: Lab) -> Scene:
        return Scene({"fd": lab.scratch, argument: make(), "offset": 0},
                     (size, b"some bytes"),
                     lambda result: (result, os.pread(lab.scratch, 100, 0)))

    def waits(lab: Lab) -> Scene:
        source, target = lab.pipe(full=True)
        taken = bytearray()  # it may be written between two of the reads that make room
        return Scene({"fd": target, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, bytes(taken + drain(source))[-size:]),
                     lambda: taken.extend(drain(source)))

    def fails(lab: Lab) -> Failure:
        source, target = lab.pipe()
        os.close(source)
        return Failure({"fd": target, argument: make()}, errno.EPIPE)

    return Specimen(works, waits, fails)


def fsync_fails(lab: Lab) -> Failure:
    return Failure({"fd": lab.pipe_in}, errno.EINVAL)


def ftruncate_works(lab: Lab) -> Scene:
    return Scene({"fd": lab.scratch, "length": 5}, (None, 5),
                 lambda result: (result, os.fstat(lab.scratch).st_size))


def fallocate_works(lab: Lab) -> Scene:
    def seen(result: None) -> tuple[None, int, bool]:
        found = os.fstat(lab.scratch)
        return result, found.st_size, found.st_blocks * 512 >= 100

    return Scene({"fd": lab.scratch, "offset": 0, "length": 100}, (None, 100, True), seen)


def fallocate_fails(lab: Lab) -> Failure:
    return Failure({"fd": lab.scratch, "offset": 0, "length": 0}, errno.EINVAL)


def sync_file_range_fails(lab: Lab) -> Failure:
    return Failure({"fd": lab.pipe_in}, errno.ESPIPE)


def fadvise_works(lab: Lab) -> Scene:
    return Scene({"fd": lab.hello, "offset": 0, "length": None,
                  "advice": os.POSIX_FADV_SEQUENTIAL})


def fadvise_fails(lab: Lab) -> Failure:
    return Failure({"fd": lab.pipe_in, "offset": 0, "length": None,
                    "advice": os.POSIX_FADV_SEQUENTIAL}, errno.ESPIPE)


def madvise_works(lab: Lab) -> Scene:
    return Scene({"memory": lab.mapped, "advice": mmap.MADV_DONTNEED}, (None, False),
                 lambda result: (result, any(lab.mapped[:])))


def stat_works(lab: Lab) -> Scene:
    path = lab.folder / "hello"
    return Scene({"path": path}, same_stat(os.stat(path)), same_stat)


def stat_missing(lab: Lab) -> Failure:
    path = lab.folder / "missing"
    return Failure({"path": path}, errno.ENOENT, path)


def splice_works(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"source": lab.hello, "target": target, "n": 6, "offset_source": 0},
                 (6, HELLO[:6]), lambda result: (result, drain(source)))


def splice_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"source": source, "target": lab.scratch, "n": 6, "offset_target": 0},
                 (4, b"late"), lambda result: (result, os.pread(lab.scratch, 100, 0)),
                 lambda: os.write(target, b"late"))


def splice_fails(lab: Lab) -> Failure:
    return Failure({"source": lab.hello, "target": lab.scratch, "n": 6}, errno.EINVAL)


def tee_works(lab: Lab) -> Scene:
    source, _ = lab.pipe(holding=b"twice")
    copy, target = lab.pipe()
    return Scene({"source": source, "target": target, "n": 5}, (5, b"twice", b"twice"),
                 lambda result: (result, drain(source), drain(copy)))


def tee_waits(lab: Lab) -> Scene:
    source, feed = lab.pipe()
    copy, target = lab.pipe()
    return Scene({"source": source, "target": target, "n": 5}, (4, b"late", b"late"),
                 lambda result: (result, drain(source), drain(copy)),
                 lambda: os.write(feed, b"late"))


def tee_fails(lab: Lab) -> Failure:
    return Failure({"source": lab.hello, "target": lab.pipe_in, "n": 5}, errno.EINVAL)


def poll_works(lab: Lab) -> Scene:
    return Scene({"fd": lab.pipe_in, "mask": select.POLLOUT}, select.POLLOUT)


def poll_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"fd": source, "mask": select.POLLIN}, select.POLLIN, lambda mask: mask,
                 lambda: os.write(target, b"late"))


def pipe_works(lab: Lab) -> Scene:
    def seen(ends: tuple[int, int]) -> bytes:
        reader, writer = ends
        try:
            os.write(writer, b"through")
            return os.read(reader, 100)
        finally:
            os.close(reader)
            os.close(writer)

    return Scene({}, b"through", seen)


SPECIMENS: dict[str, Specimen] = {
    "nop": Specimen(lambda lab: Scene({}), NEVER_WAITS, "there is nothing to refuse"),
    "open": Specimen(
        lambda lab: Scene({"path": lab.folder / "hello", "flags": os.O_RDONLY}, HELLO, content),
        "a FIFO is opened without waiting for its other end", open_missing),
    "close": Specimen(close_works, NEVER_WAITS, NO_OTHER_FAILURE),
    "read": reads("n", lambda: 6),
    "readinto": reads("buffer", lambda: bytearray(6)),
    "readv": reads("buffers", lambda: [bytearray(2), bytearray(4)]),
    "write": writes("data", lambda: bytearray(b"some bytes"), 10),
    "write_all": all_of(writes("data", lambda: bytearray(b"some bytes"), 10)),
    "writev": writes("buffers", lambda: [bytearray(b"some "), bytearray(b"bytes")], 10),
    "fsync": Specimen(lambda lab: Scene({"fd": lab.scratch}), NEVER_WAITS, fsync_fails),
    "ftruncate": Specimen(ftruncate_works, NEVER_WAITS,
                          lambda lab: Failure({"fd": lab.hello, "length": 5}, errno.EINVAL)),
    "fallocate": Specimen(fallocate_works, NEVER_WAITS, fallocate_fails),
    "sync_file_range": Specimen(lambda lab: Scene({"fd": lab.scratch}), NEVER_WAITS,
                                sync_file_range_fails),
    "fadvise": Specimen(fadvise_works, NEVER_WAITS, fadvise_fails),
    "madvise": Specimen(madvise_works, NEVER_WAITS,
                        lambda lab: Failure({"memory": lab.mapped, "advice": 999}, errno.EINVAL)),
    "stat": Specimen(stat_works, NEVER_WAITS, stat_missing),
    "splice": Specimen(splice_works, splice_waits, splice_fails),
    "tee": Specimen(tee_works, tee_waits, tee_fails),
    "pipe": Specimen(pipe_works, NEVER_WAITS,
                     lambda lab: Failure({"flags": os.O_APPEND}, errno.EINVAL)),
    "poll": Specimen(poll_works, poll_waits, NO_OTHER_FAILURE),
}
