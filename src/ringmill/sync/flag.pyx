"""A flag in memory that processes share; the object that owns the mapping. See flag.h.

Knows memfds and mappings; does not know how one waits (event.py).
"""
cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close as posix_close

import fcntl
import os

cdef extern from "flag.h" nogil:
    enum:
        RM_FLAG_MAGIC, RM_FLAG_SIZE
    struct rm_flag:
        uint32_t word
        uint32_t magic
    rm_flag *rm_flag_map(int fd)
    void rm_flag_unmap(rm_flag *flag)
    bint rm_flag_is_set(const rm_flag *flag)
    bint rm_flag_set(rm_flag *flag)
    void rm_flag_clear(rm_flag *flag)
    uint32_t rm_flag_enter(rm_flag *flag)
    bint rm_flag_passed(const rm_flag *flag, uint32_t seen)
    int rm_flag_wake(rm_flag *flag)

# Nobody can take the memory away from under those who have it mapped.
cdef int SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@cython.final
cdef class Flag:
    """One flag in 64 bytes of a memfd. As a buffer it is its futex word."""
    cdef rm_flag *flag
    cdef int fd

    def __cinit__(self, fd=None):
        self.fd = -1
        if fd is None:
            self.fd = os.memfd_create("ringmill-flag", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.fd, RM_FLAG_SIZE)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        else:
            self.fd = os.dup(fd)
            check_sealed(self.fd)
        self.flag = rm_flag_map(self.fd)
        if self.flag == NULL:
            raise OSError(errno, os.strerror(errno))
        if fd is None:
            self.flag.magic = RM_FLAG_MAGIC
        elif self.flag.magic != RM_FLAG_MAGIC:
            raise ValueError("this is not the memory of a SharedEvent")

    def __dealloc__(self):
        if self.flag != NULL:
            rm_flag_unmap(self.flag)
        if self.fd >= 0:
            posix_close(self.fd)

    def set(self):
        """Set it, and wake who waits. How many those were; 0 without asking the kernel."""
        cdef int woken
        if not rm_flag_set(self.flag):
            return 0
        woken = rm_flag_wake(self.flag)
        if woken < 0:
            raise OSError(-woken, os.strerror(-woken), "futex")
        return woken

    def clear(self):
        rm_flag_clear(self.flag)

    def is_set(self):
        return rm_flag_is_set(self.flag)

    def enter(self):
        """What to wait for the end of, with futex_wait; 0: it is set, do not wait."""
        return rm_flag_enter(self.flag)

    def passed(self, uint32_t seen):
        """Whether it has been set since enter() said `seen`."""
        return rm_flag_passed(self.flag, seen)

    def fileno(self):
        return self.fd

    @property
    def address(self):
        """Where the word lies."""
        return <size_t>&self.flag.word

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, &self.flag.word, sizeof(uint32_t), False, flags)

    def __releasebuffer__(self, Py_buffer *buffer):
        pass  # the view's reference to us is what keeps the mapping


cdef int check_sealed(int fd) except -1:
    """Refuse what is no memfd of ours: another process could cut it, and reading would kill us."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & SEALS != SEALS or os.fstat(fd).st_size != RM_FLAG_SIZE:
        raise ValueError("this is not the memory of a SharedEvent")
    return 0
