"""C results as Python values: stat, waitid, accepted sockets, messages.

Knows what the kernel wrote and what `os` and `socket` would return for it; knows no ops.
"""
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE, _PyBytes_Resize,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memcpy
from libc.stdint cimport int64_t
from posix.unistd cimport close as posix_close

from ringmill.core.address cimport address_unpack
from ringmill.core.aux cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, cmsghdr, epoll_event, msghdr, rm_aux,
    statx_timestamp,
)

import os
import socket as socket_module

cdef enum:
    COPY_MAX = 4096  # bytes; to copy more costs more than to cut

cdef int64_t NS_SECONDS = 9_000_000_000  # of which the nanoseconds fit in 64 bits

cdef object stat_result = os.stat_result
cdef object waitid_result = os.waitid_result
cdef object Socket = socket_module.socket


cdef extern from "Python.h":
    ctypedef struct PyTypeObject
    object PyStructSequence_New(PyTypeObject *type)
    void PyStructSequence_SetItem(PyObject *made, Py_ssize_t place, PyObject *value)  # steals

cdef extern from "poll.h" nogil:
    enum:
        POLLERR, POLLHUP, POLLNVAL

cdef extern from "sys/socket.h" nogil:
    """
    #ifndef SCM_PIDFD
    #define SCM_PIDFD 0x04 /* 6.5: a pidfd of the sender; asked for with SO_PASSPIDFD */
    #endif
    """
    enum:
        SOL_SOCKET, SCM_PIDFD, SCM_RIGHTS, MSG_CMSG_CLOEXEC

cdef extern from "sys/sysmacros.h" nogil:
    unsigned long makedev(unsigned major, unsigned minor)


cdef object data_taken(PyObject *data, Py_ssize_t size):
    """The first `size` bytes of what the kernel filled. Takes over `data`, the one reference.

    A little is copied out, so that it does not sit where much room was; much is cut to size in
    its place.
    """
    cdef Py_ssize_t room = PyBytes_GET_SIZE(<object>data)
    if COPY_MAX < size < room:
        _PyBytes_Resize(&data, size)
    result = <object>data
    Py_DECREF(result)
    if size <= COPY_MAX and size < room:
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(result), size)
    return result


cdef inline void put(object made, Py_ssize_t place, object value) noexcept:
    Py_INCREF(value)
    PyStructSequence_SetItem(<PyObject *>made, place, <PyObject *>value)


cdef inline object seconds(const statx_timestamp *t):
    return t.tv_sec + t.tv_nsec * 1e-9


cdef inline object nanoseconds(const statx_timestamp *t):
    if -NS_SECONDS < t.tv_sec < NS_SECONDS:
        return t.tv_sec * 1_000_000_000 + t.tv_nsec
    return <object>t.tv_sec * 1_000_000_000 + t.tv_nsec


cdef object stat_of(const rm_aux *aux):
    """A real os.stat_result, with everything statx(2) gives that it has room for."""
    cdef statx_timestamp a = aux.stx.stx_atime
    cdef statx_timestamp m = aux.stx.stx_mtime
    cdef statx_timestamp c = aux.stx.stx_ctime
    # Filled as it is made: of a tuple it would be copied.
    cdef object made = PyStructSequence_New(<PyTypeObject *>stat_result)
    put(made, 0, aux.stx.stx_mode)
    put(made, 1, aux.stx.stx_ino)
    put(made, 2, makedev(aux.stx.stx_dev_major, aux.stx.stx_dev_minor))
    put(made, 3, aux.stx.stx_nlink)
    put(made, 4, aux.stx.stx_uid)
    put(made, 5, aux.stx.stx_gid)
    put(made, 6, aux.stx.stx_size)
    put(made, 7, a.tv_sec)
    put(made, 8, m.tv_sec)
    put(made, 9, c.tv_sec)
    put(made, 10, seconds(&a))
    put(made, 11, seconds(&m))
    put(made, 12, seconds(&c))
    put(made, 13, nanoseconds(&a))
    put(made, 14, nanoseconds(&m))
    put(made, 15, nanoseconds(&c))
    put(made, 16, aux.stx.stx_blksize)
    put(made, 17, aux.stx.stx_blocks)
    put(made, 18, makedev(aux.stx.stx_rdev_major, aux.stx.stx_rdev_minor))
    return made


cdef object waitid_of(const rm_aux *aux):
    """os.waitid_result, or None when WNOHANG found no child in that state."""
    if aux.info.si_pid == 0:
        return None
    return waitid_result((aux.info.si_pid, aux.info.si_uid, aux.info.si_signo,
                          aux.info.si_status, aux.info.si_code))


cdef object socket_from(int fd, object like):
    """A socket object on `fd`; `like` is a socket, (family, type, proto), or an int (ask `fd`)."""
    if isinstance(like, tuple):
        return Socket(like[0], like[1], like[2], fd)
    if isinstance(like, Socket):
        return Socket(like.family, like.type, like.proto, fd)
    return Socket(fileno=fd)


cdef object accepted(int fd, object listener, const rm_aux *aux):
    """What socket.accept() returns: the connection and who it is from."""
    return (socket_from(fd, listener),
            address_unpack(&aux.net.address, aux.net.address_len))


cdef object message_of(object data, rm_aux *aux):
    """What socket.recvmsg() returns: data (or how much), ancillary data, flags, address."""
    cdef msghdr *message = &aux.net.msg
    return (data, ancillary_of(message), message.msg_flags & ~MSG_CMSG_CLOEXEC, sender_of(aux))


cdef object sender_of(const rm_aux *aux):
    """Who sent a message; None over a connection, and when the sender has no address."""
    return address_unpack(&aux.net.address, aux.net.msg.msg_namelen)


cdef object descriptors_of(object data, rm_aux *aux):
    """What socket.recv_fds() returns: data, descriptors, flags, address."""
    cdef msghdr *message = &aux.net.msg
    cdef list fds = []
    cdef size_t i
    cdef cmsghdr *c = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    sender = sender_of(aux)
    while c != NULL:
        if c.cmsg_level == SOL_SOCKET and c.cmsg_type == SCM_RIGHTS:
            for i in range(descriptors_in(c)):
                fds.append((<int *>CMSG_DATA(c))[i])
        c = CMSG_NXTHDR(message, c)
    result = (data, fds, message.msg_flags & ~MSG_CMSG_CLOEXEC, sender)
    control_undo(message, False)  # nothing fails from here on: the rest is nobody's
    return result


cdef list epoll_events(bytes data, int count):
    """What select.epoll.poll() returns: the descriptors, as they were registered, and events."""
    cdef const epoll_event *events = <const epoll_event *>PyBytes_AS_STRING(data)
    cdef list found = []
    cdef int i
    for i in range(count):
        found.append((events[i].data.fd, events[i].events))
    return found


cdef int events_asked(int res, unsigned mask) noexcept:
    """Of poll's events those that were asked for, as poll(2) tells them.

    io_uring always waits for POLLRDHUP, too; when nothing else holds it has to be told.
    """
    cdef int asked = res & <int>(mask | POLLERR | POLLHUP | POLLNVAL)
    return asked if asked else res


cdef size_t descriptors_in(const cmsghdr *c) noexcept:
    """How many descriptors a control message brings."""
    if c.cmsg_level != SOL_SOCKET or c.cmsg_len < CMSG_LEN(sizeof(int)):
        return 0
    if c.cmsg_type != SCM_RIGHTS and c.cmsg_type != SCM_PIDFD:
        return 0
    return (c.cmsg_len - CMSG_LEN(0)) // sizeof(int)


cdef void control_undo(msghdr *message, bint rights) noexcept:
    """Close the descriptors that came with a message nobody took; `rights`: passed ones, too."""
    cdef cmsghdr *c = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    cdef size_t i
    cdef int fd
    while c != NULL:
        if rights or c.cmsg_type != SCM_RIGHTS:
            for i in range(descriptors_in(c)):
                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int))
                if fd >= 0:
                    posix_close(fd)
        c = CMSG_NXTHDR(message, c)


cdef list ancillary_of(msghdr *message):
    cdef list found = []
    cdef cmsghdr *c = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    while c != NULL:
        if c.cmsg_len >= CMSG_LEN(0):
            found.append((c.cmsg_level, c.cmsg_type,
                          (<char *>CMSG_DATA(c))[:c.cmsg_len - CMSG_LEN(0)]))
        c = CMSG_NXTHDR(message, c)
    return found
