"""Errors by name; declarations only (libc.errno of Cython lacks some)."""

cdef extern from "errno.h" nogil:
    enum:
        EAGAIN, EBADF, EBADFD, EBUSY, ECANCELED, ECONNABORTED, ECONNREFUSED, EHOSTDOWN,
        EHOSTUNREACH, EINTR, EINVAL, EIO, EMFILE, EMSGSIZE, ENAMETOOLONG, ENETUNREACH,
        ENFILE, ENOBUFS, ENODEV, ENOENT, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPERM, ETIME
