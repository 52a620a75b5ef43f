"""Calls that only block: run in a thread, waited for like any op (names are resolved so).

Knows local ops and call_threadsafe; does not know what is called.
"""
from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.driver cimport Handler
from ringmill.core.op cimport Op, op_complete_value, op_local
from ringmill.face.fiber cimport wait

import os
from concurrent.futures import ThreadPoolExecutor

cdef enum:
    THREADS_MAX = 32  # more resolvers at once help nobody

cdef object pool = None


cdef class Thread(Handler):
    """The op's side of a call in a thread; forgets the op when it is cancelled."""
    cdef Op op

    cdef void cancelled(self, object op) noexcept:
        self.op = None

    def finish(self, value, error):
        cdef Op op = self.op
        self.op = None
        if op is not None:
            op.handler = None
            op_complete_value(op, value, error)


def in_thread_op(function, *arguments, **keywords):
    """`function(*arguments, **keywords)` in a thread; awaited, its result.

    A cancel lets go of the call; it cannot stop it.
    """
    global pool
    cdef Machine machine = machine_here()
    cdef Op op = op_local(machine)
    cdef Thread thread = Thread.__new__(Thread)
    thread.op = op
    op.handler = thread
    if pool is None:
        pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="ringmill")
    pool.submit(_call, machine, thread, function, arguments, keywords)
    return op


def _call(machine, thread, function, arguments, keywords):
    value = error = None
    try:
        value = function(*arguments, **keywords)
    except BaseException as caught:
        error = caught
    try:
        machine.call_threadsafe(thread.finish, value, error)
    except Exception:
        pass  # the machine was closed meanwhile: nobody waits any more


def _forget_pool():
    """A forked child has none of the parent's threads."""
    global pool
    pool = None


os.register_at_fork(after_in_child=_forget_pool)


def in_thread(function, *arguments, **keywords):
    """`function(*arguments, **keywords)` in a thread, while others run; its result."""
    return wait(in_thread_op(function, *arguments, **keywords))
