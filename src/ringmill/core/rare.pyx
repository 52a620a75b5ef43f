"""The results that are made from more than a number: which function of results makes which.

Knows kinds of results and what the kernel wrote for each; does not know ops.
"""
from posix.unistd cimport close as posix_close

from ringmill.core.aux cimport rm_aux
from ringmill.core.letters cimport letter_open, letter_undo
from ringmill.core.results cimport (
    accepted, control_undo, descriptors_of, epoll_events, events_asked, message_of, sender_of,
    socket_from, stat_of, waitid_of,
)


cdef object rare_value(int kind, int res, object value, object target, object keep, rm_aux *aux):
    """value: the data that came, or what the op was given; target, keep: as in Op."""
    if kind == R_ACCEPT:
        return accepted(res, target, aux)
    if kind == R_SOCKET:
        return socket_from(res, keep)
    if kind == R_STAT:
        return stat_of(aux)
    if kind == R_LETTER:
        return letter_open(<bytes>value)
    if R_MESSAGE <= kind <= R_FDS:
        return rare_message(kind, res, value, aux)
    if kind == R_WOKEN:
        return True
    if kind == R_EVENTS:
        return events_asked(res, keep)
    if kind == R_PIPE:
        return aux.pipe[0], aux.pipe[1]
    if kind == R_EPOLL:
        return epoll_events(<bytes>value, res)
    if kind == R_INT:
        return aux.number
    return waitid_of(aux)


cdef object rare_message(int kind, int res, object data, rm_aux *aux):
    """What a message brought, in the form of the call that received it."""
    if kind == R_FROM_INTO:
        return res, sender_of(aux)
    if kind == R_MESSAGE_INTO:
        return message_of(res, aux)
    if kind == R_FROM:
        return data, sender_of(aux)
    return message_of(data, aux) if kind == R_MESSAGE else descriptors_of(data, aux)


cdef void rare_close(int kind, int res, object value, rm_aux *aux) noexcept:
    """Close the descriptors that a result brought."""
    if kind == R_FD or kind == R_ACCEPT or kind == R_SOCKET:
        posix_close(res)
    elif kind == R_LETTER and value is not None:
        letter_undo(<bytes>value)
    elif R_MESSAGE <= kind <= R_FDS and aux != NULL:
        control_undo(&aux.net.msg, True)
    elif kind == R_PIPE and aux != NULL:
        posix_close(aux.pipe[0])
        posix_close(aux.pipe[1])
