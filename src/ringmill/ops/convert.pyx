"""Arguments of ops: checked before anything is queued, so that a wrong one leaves nothing behind.

The errors are those of `os` and `socket`: OSError for a descriptor that is none, TypeError,
ValueError or OverflowError for what could never be right. Knows Python's types; no op by name.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.long cimport PyLong_CheckExact
from libc.stdint cimport int64_t, uint64_t
from posix.fcntl cimport F_GETFD, O_CREAT, fcntl

from ringmill.core.aux cimport epoll_event
from ringmill.core.errno cimport EBADF
from ringmill.core.hold cimport hold_aux, hold_view
from ringmill.core.op cimport R_INT, Names, Op
from ringmill.core.rest cimport IO_MAX
from ringmill.core.ring cimport io_uring_sqe
from ringmill.ops.constants cimport AT_FDCWD, O_TMPFILE

import io
import os

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object)
    object PyNumber_Index(object)

cdef enum:
    EVENTS_MAX = 0x7FFFFFFF // 12  # the kernel's own limit


cdef int fd_of(object fd) except -1:
    """An int, or what fileno() says; EBADF when it is negative, as for one that is closed."""
    cdef long number
    if not PyLong_CheckExact(fd):
        fd = fileno_of(fd)
    number = PyNumber_Index(fd)
    if number < 0 or number > 0x7FFFFFFF:
        raise OSError(EBADF, os.strerror(EBADF))
    return <int>number


cdef object fileno_of(object fd):
    """Called, not looked up first: that would make a bound method, for every op on a socket."""
    try:
        return fd.fileno()
    except AttributeError:
        if hasattr(fd, "fileno"):
            raise  # its own error
    if not isinstance(fd, int):
        raise TypeError("a file descriptor is an int or an object with a fileno() method, not "
                        f"{type(fd).__name__}")
    return fd


cdef int fd_to_close(object fd) except -1:
    """The descriptor of an int or a socket. A file object has data to write before it goes."""
    if isinstance(fd, io.IOBase):
        raise TypeError(f"close takes a descriptor or a socket; {fd!r} closes itself: .close()")
    return fd_of(fd)


cdef int let_go(object fd) noexcept:
    """The close is queued: a socket object must not close the number once more."""
    if not isinstance(fd, int):
        detach = getattr(fd, "detach", None)
        if detach is not None:
            detach()
    return 0


cdef int dir_fd_of(object dir_fd) except? -1:
    return AT_FDCWD if dir_fd is None else fd_of(dir_fd)


cdef bytes path_of(object path):
    cdef bytes name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    return name


cdef bytes link_source(object src, object dir_fd):
    """What linkat() is to link: a path, or the name under which /proc has an open file.

    AT_EMPTY_PATH would do without /proc, but before Linux 6.10 only with CAP_DAC_READ_SEARCH.
    """
    cdef int fd
    if not isinstance(src, int):
        return path_of(src)
    if dir_fd is not None:
        raise ValueError("src is a descriptor: src_dir_fd has nothing to say")
    fd = fd_of(src)
    if fcntl(fd, F_GETFD) < 0:  # /proc would say that there is no such file
        raise OSError(EBADF, os.strerror(EBADF), src)
    return b"/proc/self/fd/%d" % fd


cdef int name_also(Op op, object path) except -1:
    """An error of this op tells of `path`, too."""
    cdef Names both
    if op.error is None:
        op.error = path
        return 0
    both = Names.__new__(Names)
    both.first = op.error
    both.second = path
    op.error = both
    return 0


cdef void open_how(Op op, io_uring_sqe *sqe, unsigned resolve) noexcept:
    """From the arguments of openat() those of openat2(), which refuses a mode it has no use for."""
    cdef int flags = <int>sqe.open_flags
    op.aux.how.flags = sqe.open_flags
    op.aux.how.mode = sqe.len if flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE else 0
    op.aux.how.resolve = resolve
    sqe.addr2 = <uint64_t><size_t>&op.aux.how
    sqe.len = sizeof(op.aux.how)
    sqe.open_flags = 0


cdef uint64_t position_of(object position) except? 0:
    cdef int64_t at = PyNumber_Index(position)
    if at < 0:
        raise ValueError(f"a position or length is 0 or more bytes, not {position}")
    return <uint64_t>at


cdef uint64_t offset_of(object offset) except? 0:
    """Bytes from the beginning; None is -1 to the kernel: the file's own position."""
    cdef int64_t at
    if offset is None:
        return <uint64_t>-1
    at = PyNumber_Index(offset)
    if at < 0:
        raise ValueError(f"an offset is 0 or more bytes, or None; not {offset}")
    return <uint64_t>at


cdef unsigned unsigned_of(object n) except? 0:
    """An int as it is; a float is not cut but refused."""
    return PyNumber_Index(n)


cdef int int_of(object n) except? -1:
    return PyNumber_Index(n)


cdef unsigned io_size(Py_ssize_t size) noexcept:
    return <unsigned>(size if size < IO_MAX else IO_MAX)


cdef Py_ssize_t size_of(object n) except -1:
    cdef Py_ssize_t size = PyNumber_Index(n)
    if size < 0:
        raise ValueError(f"a size is 0 or more bytes, not {n}")
    return size if size < IO_MAX else IO_MAX


cdef unsigned fresh_bytes(Op op, object n) except? 0:
    """Make the bytes object that the kernel fills."""
    cdef Py_ssize_t size = size_of(n)
    op.value = PyBytes_FromStringAndSize(NULL, size)
    return <unsigned>size


cdef unsigned event_room(Op op, object n) except 0:
    """Make the bytes that epoll_wait fills; how many events there is room for."""
    cdef Py_ssize_t count = PyNumber_Index(n)
    if count < 1 or count > EVENTS_MAX:
        raise ValueError(f"maxevents is 1 to {EVENTS_MAX}, not {n}")
    op.value = PyBytes_FromStringAndSize(NULL, count * sizeof(epoll_event))
    return <unsigned>count


cdef int option_room(Op op, object size) except -1:
    """Where getsockopt puts the value: an int, or so many bytes."""
    if size is None:
        hold_aux(op)
        op.kind = R_INT
        op.view.buf = &op.aux.number
        op.view.len = sizeof(op.aux.number)
    else:
        op.view.len = fresh_bytes(op, size)
        op.view.buf = PyBytes_AS_STRING(op.value)
    return 0


cdef int option_value(Op op, object value, object size) except -1:
    """The value for setsockopt: an int, a buffer, or nothing but a size."""
    if (value is None) != (size is not None):
        raise TypeError("a value is an int or a buffer; without one (None), optlen is needed")
    if value is None:
        op.view.len = size_of(size)
    elif isinstance(value, int):
        hold_aux(op)
        op.aux.number = PyNumber_Index(value)
        op.view.buf = &op.aux.number
        op.view.len = sizeof(op.aux.number)
    else:
        hold_view(op, value, False)
    return 0


cdef int hold_word(Op op, object word) except -1:
    """Export a futex word; the kernel answers EINVAL when it is not aligned, so we look first."""
    hold_view(op, word, True)
    cdef size_t address = <size_t>op.view.buf
    if op.view.len < 4:
        raise ValueError(f"a futex word has 4 bytes, not {op.view.len}")
    if address % 4:
        raise ValueError(
            f"the address of a futex word is a multiple of 4; this one's is {address:#x}")
    return 0
