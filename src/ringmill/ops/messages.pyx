"""Messages as arguments: a msghdr and what hangs from it, checked and laid out before the push.

One block of the op holds it all: the header, the address, the vector of a message of one piece.
Knows struct msghdr and Python's forms of what goes into it; no op by name.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from ringmill.core.address cimport address_pack
from ringmill.core.aux cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, cmsghdr, msghdr,
    sockaddr_storage, socklen_t,
)
from ringmill.core.errno cimport EMSGSIZE
from ringmill.core.hold cimport hold_aux, hold_view
from ringmill.core.op cimport Op
from ringmill.core.ring cimport RM_SEND_TO, rm_has_op
from ringmill.core.views cimport Views
from ringmill.ops.convert cimport fd_of, size_of

import operator

cdef extern from "ring.h":
    enum:
        IORING_OP_SEND

cdef extern from "sys/socket.h" nogil:
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
    enum:
        SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, SO_TYPE

cdef enum:
    ANCILLARY_MAX = 1 << 20  # bytes of control data; the kernel's own limit is lower


# ── what is sent ────────────────────────────────────────────────────────────────────────────

cdef int parts_out(Op op, Views views) except -1:
    """A message of these buffers."""
    hold_aux(op)
    op.aux.net.msg.msg_iov = views.iov
    op.aux.net.msg.msg_iovlen = views.count
    return 0


cdef int peer_out(Op op, object address) except -1:
    """Whom to send to, for a socket that is not connected."""
    if address is None:
        return 0
    op.aux.net.msg.msg_namelen = address_pack(address, &op.aux.net.address)
    op.aux.net.msg.msg_name = &op.aux.net.address
    op.error = address
    return 0


cdef bint destination_out(Op op, object address) except? True:
    """Whom to send the op's buffer to; true: in a msghdr, where the kernel's SEND takes no address
    (before 6.1)."""
    cdef msghdr *message
    hold_aux(op)
    op.aux.net.address_len = address_pack(address, &op.aux.net.address)
    op.error = address
    if op.driver.ring.behaviours & RM_SEND_TO or not rm_has_op(&op.driver.ring, IORING_OP_SEND):
        return False  # without the opcode it goes to the ring beside, which can
    message = &op.aux.net.msg
    message.msg_name = &op.aux.net.address
    message.msg_namelen = op.aux.net.address_len
    message.msg_iov = &op.aux.net.one
    message.msg_iovlen = 1
    op.aux.net.one.iov_base = op.view.buf
    op.aux.net.one.iov_len = op.view.len
    return True


cdef int ancillary_out(Op op, object ancdata) except -1:
    """Lay (level, type, data) out as control messages, in memory that the op keeps."""
    cdef list items = list(ancdata)
    cdef Py_ssize_t size = 0
    cdef list pieces = []
    cdef bytes memory, data
    cdef msghdr *message = &op.aux.net.msg
    cdef cmsghdr *c
    for level, kind, content in items:
        data = bytes(memoryview(content).cast("B"))
        pieces.append((operator.index(level), operator.index(kind), data))
        size += CMSG_SPACE(len(data))
    if not pieces:
        return 0
    if size > ANCILLARY_MAX:
        raise OSError(EMSGSIZE, "ancillary data is too long")
    memory = b"\0" * size
    op.keep = memory
    message.msg_control = PyBytes_AS_STRING(memory)
    message.msg_controllen = size
    c = CMSG_FIRSTHDR(message)
    for level, kind, data in pieces:
        c.cmsg_level = level
        c.cmsg_type = kind
        c.cmsg_len = CMSG_LEN(len(data))
        memcpy(CMSG_DATA(c), <const char *>data, len(data))
        c = CMSG_NXTHDR(message, c)
    return 0


cdef int descriptors_out(Op op, object fds, int sock) except -1:
    """One control message with these descriptors; what they belong to lives until it is sent."""
    cdef list owners = list(fds)
    cdef Py_ssize_t n = len(owners), i
    cdef msghdr *message = &op.aux.net.msg
    cdef cmsghdr *c
    cdef bytes memory
    cdef int number
    if n == 0:
        return 0
    if CMSG_SPACE(n * sizeof(int)) > ANCILLARY_MAX:
        raise OSError(EMSGSIZE, "too many descriptors for one message")
    memory = b"\0" * CMSG_SPACE(n * sizeof(int))
    op.keep = (memory, owners)
    message.msg_control = PyBytes_AS_STRING(memory)
    message.msg_controllen = len(memory)
    c = CMSG_FIRSTHDR(message)
    c.cmsg_level = SOL_SOCKET
    c.cmsg_type = SCM_RIGHTS
    c.cmsg_len = CMSG_LEN(n * sizeof(int))
    for i in range(n):
        number = fd_of(owners[i])
        memcpy(<char *>CMSG_DATA(c) + i * sizeof(int), &number, sizeof(int))
    if is_empty(message) and is_stream(sock):
        raise ValueError("over a stream, descriptors travel with at least one byte of data")
    return 0


cdef bint is_empty(const msghdr *message) noexcept:
    cdef size_t i
    for i in range(message.msg_iovlen):
        if message.msg_iov[i].iov_len:
            return False
    return True


cdef bint is_stream(int sock) noexcept:
    cdef int type = 0
    cdef socklen_t size = sizeof(type)
    return getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &size) == 0 and type == SOCK_STREAM


# ── what is received ────────────────────────────────────────────────────────────────────────

cdef msghdr *message_in(Op op) except NULL:
    """A header with room for the sender's address."""
    cdef msghdr *message
    hold_aux(op)
    message = &op.aux.net.msg
    message.msg_name = &op.aux.net.address
    message.msg_namelen = sizeof(sockaddr_storage)
    message.msg_iov = &op.aux.net.one
    message.msg_iovlen = 1
    return message


cdef int fresh_message(Op op, object n) except -1:
    """Receive into a bytes object, made here."""
    cdef Py_ssize_t size = size_of(n)
    op.value = PyBytes_FromStringAndSize(NULL, size)
    message_in(op)
    op.aux.net.one.iov_base = PyBytes_AS_STRING(op.value)
    op.aux.net.one.iov_len = size
    return 0


cdef int message_into(Op op, object buffer) except -1:
    """Receive into the program's buffer."""
    hold_view(op, buffer, True)
    message_in(op)
    op.aux.net.one.iov_base = op.view.buf
    op.aux.net.one.iov_len = op.view.len
    return 0


cdef int parts_in(Op op, Views views) except -1:
    """Receive into the program's buffers, one after the other."""
    message_in(op)
    op.aux.net.msg.msg_iov = views.iov
    op.aux.net.msg.msg_iovlen = views.count
    return 0


cdef int ancillary_in(Op op, object size) except -1:
    """Room for `size` bytes of control data, kept by the op."""
    cdef Py_ssize_t room = size_of(size)
    if room > ANCILLARY_MAX:
        raise ValueError(f"ancbufsize is at most {ANCILLARY_MAX} bytes, not {size}")
    return control_in(op, room)


cdef int descriptors_in(Op op, object most) except -1:
    """Room for so many descriptors, and no more: the kernel closes the others and says so."""
    cdef Py_ssize_t n = size_of(most)
    if n > ANCILLARY_MAX // <Py_ssize_t>sizeof(int):
        raise ValueError(f"at most {ANCILLARY_MAX // <Py_ssize_t>sizeof(int)} descriptors, not {n}")
    return control_in(op, CMSG_LEN(n * sizeof(int)) if n else 0)


cdef int control_in(Op op, Py_ssize_t room) except -1:
    cdef bytes memory
    if room == 0:
        return 0
    memory = PyBytes_FromStringAndSize(NULL, room)
    op.keep = memory
    op.aux.net.msg.msg_control = PyBytes_AS_STRING(memory)
    op.aux.net.msg.msg_controllen = room
    return 0
