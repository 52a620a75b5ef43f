"""Letters: messages as a multishot receive leaves them in a provided buffer, until they are taken.

The kernel lays each into a buffer: a header, room for an address, room for control data, the
payload. It is copied out at once, as one bytes object with the payload first and the rest behind
it, so that it waits in line without holding a buffer, and is made a tuple by whoever takes it:
among CQEs no Python code may run. Until then the descriptors it brought are ours to close.

Knows that layout; does not know rings or who receives.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from ringmill.core.address cimport address_unpack
from ringmill.core.aux cimport msghdr, sockaddr_storage, socklen_t
from ringmill.core.results cimport ancillary_of, control_undo
from ringmill.core.ring cimport io_uring_recvmsg_out

cdef extern from "sys/socket.h" nogil:
    enum:
        MSG_CMSG_CLOEXEC

cdef extern from *:
    """
    /* As control data has to lie. */
    struct rm_control { _Alignas(8) char bytes[4096]; };
    """
    struct rm_control:
        char bytes[4096]

# What stands at the very end of a letter.
cdef struct rm_envelope:
    uint32_t payload_size, name_size, control_size, flags


cdef size_t letter_head(const msghdr *form) noexcept:
    """Where the payload begins in a buffer."""
    return sizeof(io_uring_recvmsg_out) + form.msg_namelen + form.msg_controllen


cdef bytes letter_of(const char *buffer, size_t size, const msghdr *form):
    """The message in the first `size` bytes of `buffer`; received by the rooms of `form`."""
    cdef const io_uring_recvmsg_out *out = <const io_uring_recvmsg_out *>buffer
    cdef const char *name = buffer + sizeof(io_uring_recvmsg_out)
    cdef rm_envelope envelope
    cdef bytes letter
    cdef char *at
    envelope.payload_size = <uint32_t>(size - letter_head(form))
    envelope.name_size = <uint32_t>min(<size_t>out.namelen, <size_t>form.msg_namelen)
    envelope.control_size = <uint32_t>min(<size_t>out.controllen, form.msg_controllen)
    envelope.flags = out.flags & ~<uint32_t>MSG_CMSG_CLOEXEC
    letter = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(
        <size_t>envelope.payload_size + envelope.name_size + envelope.control_size
        + sizeof(rm_envelope)))
    at = PyBytes_AS_STRING(letter)
    memcpy(at, buffer + letter_head(form), envelope.payload_size)
    at += envelope.payload_size
    memcpy(at, name, envelope.name_size)
    at += envelope.name_size
    memcpy(at, name + form.msg_namelen, envelope.control_size)
    at += envelope.control_size
    memcpy(at, &envelope, sizeof(rm_envelope))
    return letter


cdef void letter_refuse(char *buffer, const msghdr *form) noexcept:
    """The message in `buffer` reaches nobody: close the descriptors that it brought."""
    cdef msghdr message
    memset(&message, 0, sizeof(message))
    message.msg_control = buffer + sizeof(io_uring_recvmsg_out) + form.msg_namelen
    message.msg_controllen = min(
        <size_t>(<io_uring_recvmsg_out *>buffer).controllen, form.msg_controllen)
    control_undo(&message, True)


cdef void letter_unfold(bytes letter, rm_envelope *envelope, msghdr *message,
                        rm_control *control) noexcept:
    """Read what stands behind the payload; control data is copied to where it is aligned."""
    cdef const char *end = (PyBytes_AS_STRING(letter) + PyBytes_GET_SIZE(letter)
                            - sizeof(rm_envelope))
    memcpy(envelope, end, sizeof(rm_envelope))
    memset(message, 0, sizeof(msghdr))
    memcpy(control.bytes, end - envelope.control_size, envelope.control_size)
    message.msg_control = control.bytes
    message.msg_controllen = envelope.control_size


cdef object letter_open(bytes letter):
    """What socket.recvmsg() returns."""
    cdef rm_envelope envelope
    cdef rm_control control
    cdef msghdr message
    cdef sockaddr_storage address
    letter_unfold(letter, &envelope, &message, &control)
    memcpy(&address, PyBytes_AS_STRING(letter) + envelope.payload_size, envelope.name_size)
    return (letter[:envelope.payload_size], ancillary_of(&message), <int>envelope.flags,
            address_unpack(&address, <socklen_t>envelope.name_size))


cdef void letter_undo(bytes letter) noexcept:
    """Nobody takes this one: close the descriptors that it brought."""
    cdef rm_envelope envelope
    cdef rm_control control
    cdef msghdr message
    letter_unfold(letter, &envelope, &message, &control)
    control_undo(&message, True)
