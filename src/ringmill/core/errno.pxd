"""Errors by name; declarations only (libc.errno of Cython lacks some)."""

cdef extern from "errno.h" nogil:
    enum:
        EAGAIN, EBADF, EBADFD, EBUSY, ECANCELED, ECONNABORTED, EINTR, EINVAL, EIO, EMFILE,
        EMSGSIZE, ENAMETOOLONG, ENFILE, ENOBUFS, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP,
        EPERM, ETIME
