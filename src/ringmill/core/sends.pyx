"""Which ring a send goes to: on some kernels a message that has to wait is not sent whole.

Linux 6.18 tries a send at once; when there is no room it waits, and tries again with what the
first try has left of the message. A stream has used up nothing by then. A Unix datagram (netlink's,
too) has been copied already: the second try sends an empty one, and says 0. The soft kernel sends
the message itself; where the probe finds that Linux loses it, such sockets' sends go there.

Knows kinds of sockets; does not know who sends.
"""
from cpython.object cimport PyObject
from libc.string cimport memcpy

from ringmill.core.op cimport Op, op_push, op_push_on
from ringmill.core.ring cimport RM_SEND_WHOLE, io_uring_sqe

import _socket

cdef extern from "Python.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member
    ctypedef struct PyTypeObject
    bint PyObject_TypeCheck(object, PyTypeObject *type)

cdef extern from "structmember.h":
    enum:
        T_INT

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned socklen_t
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
    enum:
        AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SO_DOMAIN, SO_TYPE

cdef object Socket = _socket.socket
cdef object TYPE_OF_SOCKET = Socket.type
# Where a socket object keeps its type. Asked for by name it would be a property, and slow: this is
# on the way of every send. 0 where this Python keeps it otherwise; then the kernel is asked.
cdef Py_ssize_t type_offset = 0


cdef int find_type_offset() except -1:
    global type_offset
    cdef PyMemberDef *member
    if type(TYPE_OF_SOCKET).__name__ == "member_descriptor":
        member = (<PyMemberDescrObject *>TYPE_OF_SOCKET).d_member
        if member.type == T_INT:
            type_offset = member.offset
    return 0


find_type_offset()


cdef inline bint is_stream(object sock) noexcept:
    """A socket object that is known to be a stream's: most of them."""
    cdef int type = 0
    if type_offset and PyObject_TypeCheck(sock, <PyTypeObject *>Socket):
        memcpy(&type, <char *><PyObject *>sock + type_offset, sizeof(int))
    return type == SOCK_STREAM


cdef bint uses_up(int fd) noexcept:
    """Does a try that fails use up the message? Only what has a queue of whole messages, and
    looks at it last."""
    cdef int type = SOCK_STREAM
    cdef int domain = AF_INET
    cdef socklen_t size = sizeof(int)
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size)  # what is no socket the send tells of
    if type == SOCK_STREAM:
        return False
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size)
    return type != SOCK_DGRAM or (domain != AF_INET and domain != AF_INET6)


cdef io_uring_sqe *op_push_send(Op op, unsigned opcode, int fd) except NULL:
    """As op_push(), for SEND and SENDMSG."""
    if op.driver.ring.behaviours & RM_SEND_WHOLE or is_stream(op.target) or not uses_up(fd):
        return op_push(op, opcode, fd)
    if op.driver.collector is not None:
        op.driver.collector.beside = True  # the chain as a whole goes there
        return op_push(op, opcode, fd)
    return op_push_on(op, op.driver.open_beside(), opcode, fd)
