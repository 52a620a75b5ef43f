"""The state behind an iteration: ops with many results, that go on until told otherwise.

One SQE, many CQEs. The kernel ends such an op when it likes (overflow, no buffers, a signal):
it is armed again; the iteration ends only at the end of the data, an error, or close(). Results
that nobody takes are undone: file descriptors closed, buffers given back. Whoever takes too
slowly does not fill the memory: beyond a bound the op is paused until results are taken.

Knows CQEs and how one becomes a value; does not know who iterates.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.unistd cimport close as posix_close

from ringmill.core.aux cimport msghdr, sockaddr_storage
from ringmill.core.buffers cimport Starver
from ringmill.core.complete cimport op_complete
from ringmill.core.errno cimport (
    EAGAIN, EBADFD, ECANCELED, ECONNABORTED, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EINTR,
    EMFILE, EMSGSIZE, ENETUNREACH, ENFILE, ENOBUFS, ENOPROTOOPT, EOPNOTSUPP, EPERM,
)
from ringmill.core.letters cimport (
    CONTROL_MAX, letter_head, letter_of, letter_refuse, letter_undo,
)
from ringmill.core.op cimport (
    P_TAKEN, R_ACCEPT, R_COUNT, R_DATA, R_LETTER, R_SOCKET, Op, op_complete_value, op_detached,
    op_local, op_push_on, op_request_cancel, op_take_data,
)
from ringmill.core.results cimport events_asked
from ringmill.core.ring cimport IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE
from ringmill.core.ring cimport io_uring_sqe

import bisect
import operator
import os

cdef extern from "ring.h":
    enum:
        IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_READ_MULTISHOT

cdef extern from "sys/stat.h":
    struct struct_stat "stat":
        unsigned st_mode
    int fstat(int fd, struct_stat *out)
    bint S_ISREG(unsigned mode)

cdef extern from "sys/socket.h":
    ctypedef unsigned socklen_t
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
    enum:
        AF_NETLINK, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOL_SOCKET, SO_DOMAIN, SO_TYPE

cdef enum:
    SHOTS_PAUSE = 64   # results in line beyond which the op is paused
    BULK_SIZE = 65536  # bytes of a receive in bulk; larger ones leave the processor's cache
    BULK_WEIGHT = 8    # a full piece gives 2, a small one takes 1: bulk begins here, ends at 0
    BULK_AHEAD = 4     # pieces in bulk that may stand in line


@cython.no_gc_clear  # __dealloc__ needs its line
cdef class Shots(Starver):
    """The state behind an iteration; the kernel's op refers to it, the user's Each does too.

    A result is `bytes` (data, or a letter), or an int: poll's events, or the descriptor of a
    connection. The socket object around it is made by whoever takes it, and so is the tuple of a
    letter: in here, among CQEs, no Python code may run.
    """

    def __dealloc__(self):
        shots_forget_all(self)  # its Each was dropped in a thread that could not close it

    cdef int arm(self) except -1:
        """Give the op to the kernel (again)."""
        cdef Op op
        cdef io_uring_sqe *sqe
        if self.driver.dead:
            self.ended = True
            return 0
        op = op_detached(self.driver, self.kind)
        op.handler = self
        if self.bulk:
            op.value = PyBytes_FromStringAndSize(NULL, BULK_SIZE)
        self.pausing = False
        self.starved = False
        sqe = op_push_on(op, self.ring, self.template.opcode, self.template.fd)
        self.template.user_data = sqe.user_data
        memcpy(sqe, &self.template, sizeof(io_uring_sqe))
        if self.bulk:
            bulk_fill(op, sqe)
        self.op = op
        self.failure = None
        return 0

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef bint last = not flags & IORING_CQE_F_MORE
        cdef bint go_on = last
        if last:
            self.op = None
            (<Op>op).handler = None
        if flags & IORING_CQE_F_BUFFER and self.group is not None:
            self.group.lent += 1
        if self.closed:
            shots_drop(self, res, flags)
        elif res >= 0 and shots_brings(self, res):
            if self.group is not None:
                bulk_weigh(self, res)
            go_on = shots_take(self, <Op>op, res, flags) and last
        elif res >= 0:
            shots_drop(self, res, flags)
            shots_end(self, 0)
        else:
            shots_drop(self, res, flags)  # an error may come with a buffer
            if last:
                go_on = shots_failed(self, -res)
        if last:
            (<Op>op).program = P_TAKEN  # what it brought is ours, or undone
            op_complete(<Op>op, res, flags)  # its slot first: the next op may need it
            if go_on and not self.closed and not self.ended:
                shots_go_on(self)
        return False

    cdef void fed(self) noexcept:
        """A buffer has come back to the group."""
        self.starved = False
        if not self.closed and not self.ended and self.op is None:
            shots_arm(self)

    cdef Op next_op(self):
        """A local op that completes with the next result."""
        cdef Op op
        if self.asking != NULL:
            raise RuntimeError("somebody else is already waiting for the next result")
        op = op_local(self.driver)
        op.handler = self
        if self.returned:
            shots_answer(self, op, self.returned.pop(0)[1])
            shots_resume(self)
        elif self.line:
            shots_answer(self, op, self.line.popleft())
            shots_resume(self)
        elif self.error or self.ended or self.failure is not None:
            shots_answer_end(self, op)
        else:
            self.asking = <PyObject *>op
            if self.op is None and not self.starved:
                shots_arm(self)
        return op

    cdef void undo(self, object op) noexcept:
        """The next result was handed to an op that nobody took it from: it is the next again."""
        cdef Op answered = <Op>op
        if answered.res < 0 or answered.error is not None:
            return
        result = answered.res if answered.kind == R_SOCKET else answered.value
        if self.closed or self.driver.dead:
            shots_forget(self, result)
        else:  # several may be dropped, in any order
            bisect.insort(self.returned, (answered.flags, result))

    cdef void cancelled(self, object op) noexcept:
        if self.asking == <PyObject *>op:
            self.asking = NULL

    cdef int close(self) except -1:
        """End it: what is queued is undone, and what the kernel still sends."""
        if self.closed:
            return 0
        if self.op is not None and not self.driver.dead:
            op_request_cancel(self.op)  # before anything that could fail
        self.closed = True
        self.ended = True
        shots_forget_all(self)
        if self.starved:
            self.group.forget(self)
        shots_tell(self)
        self.source = None
        return 0


# ── results come ────────────────────────────────────────────────────────────────────────────

cdef bint shots_brings(Shots self, int res) noexcept:
    """Is this a result? Else it is the end of the data."""
    if self.datagrams or self.kind == R_ACCEPT or self.kind == R_COUNT:
        return True
    return <size_t>res > (letter_head(&self.form) if self.kind == R_LETTER else 0)


cdef object shots_result(Shots self, Op op, int res, uint32_t flags):
    """One CQE as a result. Data is copied out now, not when it is taken: what nobody takes must
    not pin buffers that others wait for."""
    if self.template.opcode == IORING_OP_POLL_ADD:
        return events_asked(res, self.template.poll32_events)
    if self.kind == R_LETTER:
        return shots_letter(self, flags >> IORING_CQE_BUFFER_SHIFT, res)
    if self.kind != R_DATA:
        return res
    if flags & IORING_CQE_F_BUFFER:
        return self.group.take(flags >> IORING_CQE_BUFFER_SHIFT, res)
    return op_take_data(op, res)


cdef bytes shots_letter(Shots self, unsigned bid, int res):
    """The message in that buffer, which goes back; what it brought is closed when this fails."""
    try:
        return letter_of(self.group.at(bid), res, &self.form)
    except MemoryError:
        letter_refuse(self.group.at(bid), &self.form)
        raise
    finally:
        self.group.give(bid)


cdef bint shots_take(Shots self, Op op, int res, uint32_t flags) except -1:
    """Take a result in. False when there was no memory for it: then nothing may follow it."""
    cdef object result = None
    try:
        result = shots_result(self, op, res, flags)
        shots_add(self, result)
    except Exception as error:
        if result is None and self.kind == R_ACCEPT:
            posix_close(res)
        elif result is not None and not is_last(self, result):
            shots_forget(self, result)
        self.failure = error
        self.ended = True
        if self.op is not None:
            op_request_cancel(self.op)
        shots_tell(self)
        return False
    return True


cdef bint is_last(Shots self, object result) noexcept:
    """Does it stand in line already?"""
    cdef Py_ssize_t size = len(self.line)
    return size > 0 and self.line[size - 1] is result


cdef int shots_add(Shots self, object result) except -1:
    cdef Op op = shots_asking(self)
    if op is not None:
        return shots_answer(self, op, result)
    self.line.append(result)
    # The rest of the line is for what the kernel has already made.
    if standing(self) >= SHOTS_PAUSE and self.op is not None and not self.pausing:
        self.pausing = True
        op_request_cancel(self.op)
    return 0


cdef Op shots_asking(Shots self):
    """Whoever waits for the next result, or None; it is answered now, and asks no longer."""
    cdef Op op = None
    if self.asking != NULL:
        op = <Op>self.asking
        self.asking = NULL
    return op


cdef int shots_answer(Shots self, Op op, object result) except -1:
    """Complete `op` with a result. Numbered, so that those given back keep their order."""
    op.flags = self.given
    self.given += 1
    if self.kind == R_ACCEPT:
        op.kind = R_SOCKET
        op.res = result
        op_complete_value(op, None, None)
        op.keep = self.source  # the socket is made like it
    else:
        if self.kind == R_LETTER:
            op.kind = R_LETTER
        op_complete_value(op, result, None)
        op.keep = None  # done: it needs the iterator no longer
    return 0


cdef void shots_drop(Shots self, int res, uint32_t flags) noexcept:
    """Undo a CQE that is no result, or comes too late."""
    if self.kind == R_ACCEPT:
        if res >= 0:
            posix_close(res)
    elif flags & IORING_CQE_F_BUFFER and self.group is not None:
        if self.kind == R_LETTER and res > 0:
            letter_refuse(self.group.at(flags >> IORING_CQE_BUFFER_SHIFT), &self.form)
        self.group.give(flags >> IORING_CQE_BUFFER_SHIFT)


cdef void shots_forget(Shots self, object result) noexcept:
    """Nobody will take this result."""
    if self.kind == R_ACCEPT:
        posix_close(<int>result)
    elif self.kind == R_LETTER:
        letter_undo(<bytes>result)


cdef void shots_forget_all(Shots self) noexcept:
    while self.returned:
        shots_forget(self, self.returned.pop()[1])
    while self.line:
        shots_forget(self, self.line.popleft())


# ── going on, and ends ──────────────────────────────────────────────────────────────────────

cdef inline Py_ssize_t standing(Shots self):
    """Results that stand in line."""
    return len(self.line) + len(self.returned)


cdef int shots_resume(Shots self) except -1:
    """A result was taken: there may be room for more."""
    if self.op is None and not (self.ended or self.error):
        shots_go_on(self)
    return 0


cdef int shots_go_on(Shots self) except -1:
    """The kernel has ended the op, we have not: arm it again, unless results stand in line."""
    if self.starved or standing(self) >= (BULK_AHEAD if self.bulk else SHOTS_PAUSE // 2):
        return 0
    if self.single and self.asking == NULL:
        return 0  # one read per result asked for: a regular file must not be read ahead for ever
    return shots_arm(self)


cdef int shots_arm(Shots self) except -1:
    """Arm; where that fails (no slot, no memory) whoever asks next is told, once."""
    try:
        self.arm()
    except Exception as error:
        self.failure = error
        shots_tell(self)
    return 0


cdef bint shots_failed(Shots self, int error) except -1:
    """The op ended with an error: does the iteration go on?"""
    if error == ECANCELED and self.pausing:
        return True
    if error == EINTR or error == EAGAIN or error == ECONNABORTED:
        return True
    if error == ENOBUFS and self.group is not None and not self.overruns:
        self.starved = not self.group.starve(self)
        return not self.starved
    if (error == EBADFD or error == EPERM) and self.kind == R_DATA and not self.single:
        shots_read_singly(self)  # multishot read wants a file that can be polled
        return True
    shots_end(self, error)
    return False


cdef int shots_end(Shots self, int error) except -1:
    self.error = error
    # Out of descriptors is a state of the process, not the end of a listener; and what a datagram
    # socket tells of is one datagram that did not arrive somewhere.
    self.ended = error != EMFILE and error != ENFILE and not (
        self.kind == R_LETTER and self.datagrams and is_passing(error))
    return shots_tell(self)


cdef bint is_passing(int error) noexcept:
    """An answer to something sent earlier (ICMP), or a queue that had run over (netlink)."""
    return (error == ECONNREFUSED or error == EHOSTUNREACH or error == ENETUNREACH
            or error == EHOSTDOWN or error == EMSGSIZE or error == ENOPROTOOPT
            or error == EOPNOTSUPP or error == ENOBUFS)


cdef int shots_tell(Shots self) except -1:
    """Whoever asks for a result is told that there is none, and why."""
    cdef Op op = shots_asking(self)
    return shots_answer_end(self, op) if op is not None else 0


cdef int shots_answer_end(Shots self, Op op) except -1:
    """Complete `op` with the error that stands, once, or with the end."""
    cdef object error = self.failure
    if error is not None:
        self.failure = None
    elif self.error:
        error = OSError(self.error, os.strerror(self.error))
        self.error = 0
    else:
        error = StopAsyncIteration()
    op.handler = None
    op_complete_value(op, None, error)
    op.keep = None
    return 0


# ── bulk: where piece after piece fills its buffer ──────────────────────────────────────────

cdef int bulk_weigh(Shots self, int res) except -1:
    """A piece of `res` bytes has come: begin or end bulk when enough of them ask for it.

    The group's buffers are small and go round in more memory than the processor's cache holds;
    that is right for a thousand connections that say little. One that says much is served better
    by receives of its own, one at a time, straight into the bytes that the program gets.
    """
    cdef int size = <int>self.group.size
    if self.messages:
        return 0
    if res >= size:
        self.weight = min(self.weight + 2, BULK_WEIGHT)
    elif res < size // 2 and self.weight:
        self.weight -= 1
    if self.weight != (0 if self.bulk else BULK_WEIGHT):
        return 0
    self.bulk = not self.bulk
    if self.op is not None and not self.pausing:
        self.pausing = True  # its end arms the other kind
        op_request_cancel(self.op)
    return 0


cdef int shots_of_socket(Shots self) except -1:
    """Messages are kept whole: they are received in bulk from the beginning, and to the end."""
    cdef int type = SOCK_STREAM
    cdef socklen_t size = sizeof(type)
    getsockopt(self.template.fd, SOL_SOCKET, SO_TYPE, &type, &size)  # the receive tells of errors
    self.messages = self.bulk = type != SOCK_STREAM
    self.datagrams = type == SOCK_DGRAM or type == SOCK_RAW
    return 0


cdef int shots_of_messages(Shots self, object ancbufsize) except -1:
    """Receive into buffers that have room for any datagram, its sender and its control data."""
    cdef int domain = 0
    cdef socklen_t size = sizeof(domain)
    cdef Py_ssize_t room = operator.index(ancbufsize)
    if not 0 <= room <= CONTROL_MAX:
        raise ValueError(f"ancbufsize is 0 to {CONTROL_MAX} bytes, not {room}")
    memset(&self.form, 0, sizeof(msghdr))
    self.form.msg_namelen = sizeof(sockaddr_storage)
    self.form.msg_controllen = room
    self.template.addr = <uint64_t><size_t>&self.form
    self.template.len = 1
    shots_of_socket(self)
    self.messages = True
    self.bulk = False
    getsockopt(self.template.fd, SOL_SOCKET, SO_DOMAIN, &domain, &size)
    self.overruns = domain == AF_NETLINK
    return 0


cdef int shots_of_file(Shots self) except -1:
    """Files of /proc and /sys can be polled, but a multishot read does not move on in them."""
    cdef struct_stat file
    if fstat(self.template.fd, &file) == 0 and S_ISREG(file.st_mode):
        shots_read_singly(self)
    return 0


cdef void shots_read_singly(Shots self) noexcept:
    """Read piece by piece, each when it is asked for, from where the file stands."""
    self.single = True
    self.template.opcode = IORING_OP_READ
    self.template.off = <uint64_t>-1
    self.template.len = self.group.size


cdef void bulk_fill(Op op, io_uring_sqe *sqe) noexcept:
    """Make the SQE one receive (or read) into the op's own bytes."""
    if sqe.opcode == IORING_OP_READ_MULTISHOT:
        sqe.opcode = op.opcode = IORING_OP_READ
    sqe.flags = 0
    sqe.ioprio = 0  # no multishot
    sqe.buf_group = 0
    sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = BULK_SIZE
