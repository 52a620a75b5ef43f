"""Fibers; declarations only."""
from ringmill.core.each cimport Each
from ringmill.core.machine cimport Machine
from ringmill.core.driver cimport Waiter
from ringmill.core.op cimport Op
from ringmill.core.strand cimport Strand

cdef class Fiber(Strand):
    cdef object greenlet           # None before it begins and after it ends
    cdef object function, arguments, keywords

cdef class Fibers:
    cdef list pool                 # ended greenlets, ready for the next fiber
    cdef Fiber base                # the thread's own greenlet: the plain script
    cdef Fiber parked              # suspended by us, outermost: begins greenlets for the others
    cdef Fiber to_begin            # asked of it
    cdef object fatal              # the machine cannot go on: raised in the base
    cdef object asyncgens          # asynchronous generators that coroutines have begun
    cdef bint tracks               # … are told to it: a coroutine has run
    cdef dict kept                 # what others keep on the machine, by type: run.kept()

cdef object wait(Op op)
cdef EachCall each_call(Each each)
cdef int fiber_block(Op op) except -1
cdef int raise_would_block() except -1
cdef Fiber check_may_wait(Machine machine)
cdef int track_asyncgens(Machine machine) except -1
cdef Strand strand_here(Machine machine)
cdef Fiber fiber_here(Machine machine)
cdef int fiber_yield(Machine machine, Fiber me) except -1
cdef Fiber fiber_new(Machine machine, object function, tuple arguments, dict keywords)
cdef object drive(object coroutine)

cdef class EachCall:
    cdef Each each
