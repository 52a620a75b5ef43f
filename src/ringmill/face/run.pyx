"""Running a program to its end, and ending what it left behind.

Knows machines and strands; the public class is in machine.py.
"""
from ringmill.core.machine cimport Machine
from ringmill.core.driver cimport here, here_or_none
from ringmill.core.strand cimport Strand
from ringmill.face.fiber cimport Fiber, Fibers, fiber_here, wait
from ringmill.face.spawn cimport spawn_strand

from ringmill.errors import WouldBlock, WrongThread


def equip(machine):
    """Give a new machine this floor's state."""
    (<Machine>machine).face = Fibers()


def machine_of_thread():
    return here()


def has_machine():
    return here_or_none() is not None


def run_to_end(machine, main, arguments):
    cdef Machine self = machine
    cdef Strand strand
    if here_or_none() is not self:
        raise WrongThread("a machine runs programs in the thread that made it")
    cdef Fiber caller = fiber_here(self)
    if self.strands and not self.dead and caller is not (<Fibers>self.face).base:
        raise WouldBlock("run() is for the outermost level; here, spawn() and join()")
    strand = spawn_strand(self, main, arguments, {})
    previous = self.main
    self.main = strand
    try:
        return wait(strand.join_op())
    finally:
        strand.request_cancel()  # when we were interrupted ourselves
        self.main = previous
        end_strands(self)


def end_strands(machine):
    """Cancel every strand and wait until all have ended."""
    cdef Machine self = machine
    cdef Strand strand
    if self.dead:
        return
    fiber_here(self)  # refuses where one must not wait
    while self.strands:
        strands = list(self.strands)
        for strand in strands:
            strand.request_cancel()
        for strand in strands:
            if not strand.ended:
                wait_quietly(strand)


cdef int wait_quietly(Strand strand) except -1:
    """Its own error is told when the strand is collected; Ctrl-C goes on."""
    cdef bint taken = strand.taken
    try:
        wait(strand.join_op())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        strand.taken = taken
    return 0
