"""Results, by kind; declarations only."""
from ringmill.core.aux cimport rm_aux

# How `res` becomes a Python value: the cases of the one switch, in op_take().
cdef enum Result:
    R_NOTHING
    R_GONE      # nothing, and ENOENT is as good
    R_COUNT
    R_DATA
    R_FD
    R_ACCEPT    # from here on the aux block, if any, is kept until the result is taken
    R_SOCKET
    R_STAT
    R_MESSAGE
    R_MESSAGE_INTO
    R_FROM
    R_FROM_INTO
    R_FDS
    R_LETTER
    R_WAITID
    R_WOKEN
    R_EVENTS
    R_PIPE
    R_EPOLL
    R_INT
    R_VALUE

cdef object rare_value(int kind, int res, object value, object target, object keep, rm_aux *aux)
cdef void rare_close(int kind, int res, object value, rm_aux *aux) noexcept
