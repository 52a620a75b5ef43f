"""Ending a machine's sleep from outside: a pipe that threads and signals write to.

A pipe, not an eventfd: Python's signal handler writes one byte (signal.set_wakeup_fd), and so do
we. Many wake-ups count as one; none is lost, since the pipe is read before the posts are.

Knows pipes, signals and posted calls; does not know when a machine sleeps.
"""
cimport cython
from posix.unistd cimport close as posix_close, read as posix_read, write as posix_write

from ringmill.core.driver cimport Driver, Waiter, ready_push
from ringmill.core.strand cimport report

import collections
import os
import signal
import threading

cdef enum:
    DRAIN = 512  # bytes of wake-ups read at once


@cython.final
cdef class Call(Waiter):
    """A call that another thread asked for."""
    cdef Driver driver
    cdef object function, arguments, context

    cdef int run(self) except -1:
        try:
            self.context.run(self.function, *self.arguments)
        except (KeyboardInterrupt, SystemExit) as error:
            self.driver.strike(error)
        except BaseException as error:
            report(f"call_threadsafe({self.function!r})", error)
        return 0


@cython.final
cdef class Wake:
    def __cinit__(self):
        self.read_fd = self.write_fd = -1
        self.posts = collections.deque()

    cdef int open(self) except -1:
        self.read_fd, self.write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.take_signals()
        return 0

    def take_signals(self):
        """Let a signal end our sleep even when it comes just before it: EINTR would be missed."""
        if threading.current_thread() is not threading.main_thread():
            return
        previous = signal.set_wakeup_fd(self.write_fd, warn_on_full_buffer=False)
        if previous == -1:
            self.owns_signals = True
        else:  # somebody else's loop wants them
            signal.set_wakeup_fd(previous, warn_on_full_buffer=False)

    cdef void release_signals(self) noexcept:
        if self.owns_signals:
            self.owns_signals = False
            if threading is None:
                return  # the interpreter ends and has emptied this module; nobody signals any more
            if threading.current_thread() is threading.main_thread():
                now = signal.set_wakeup_fd(-1)
                if now != self.write_fd:  # somebody else has taken them since
                    signal.set_wakeup_fd(now, warn_on_full_buffer=False)

    cdef void close(self) noexcept:
        self.release_signals()
        if self.read_fd >= 0:
            posix_close(self.read_fd)
            posix_close(self.write_fd)
            self.read_fd = self.write_fd = -1

    cdef void send(self) noexcept:
        if not self.sent and self.write_fd >= 0:
            self.sent = True
            posix_write(self.write_fd, b"\0", 1)

    cdef void drain(self) noexcept:
        cdef char taken[DRAIN]
        self.sent = False
        while posix_read(self.read_fd, taken, DRAIN) == DRAIN:
            pass

    cdef int run_posts(self, Driver driver) except -1:
        """Put the calls of other threads on the runqueue, in their order."""
        cdef Call call
        while self.posts:
            call = Call.__new__(Call)
            call.driver = driver
            call.function, call.arguments, call.context = self.posts.popleft()
            ready_push(driver, call)
        return 0
