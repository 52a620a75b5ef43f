"""Running a program to its end, and ending what it left behind.

Knows machines and strands; the public class is in machine.py.
"""
from ringmill.core.lines cimport behind_busy, behind_settled
from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.driver cimport here, here_or_none
from ringmill.core.strand cimport Strand
from ringmill.core.turn cimport machine_look
from ringmill.face.fiber cimport Fibers, fiber_here, wait
from ringmill.face.spawn cimport spawn_strand

from ringmill.errors import ClosedError, WouldBlock, WrongThread
from ringmill.face.asyncgens import AsyncGens, close
from ringmill.face.spawn import spawn
from ringmill.face.timeout import timeout

cdef double WRITES_WAIT_S = 10.0  # at close, for a slow disk; not for a reader that is not there


def equip(machine):
    """Give a new machine this floor's state."""
    cdef Fibers fibers = Fibers()
    fibers.asyncgens = AsyncGens(machine, spawn)
    (<Machine>machine).face = fibers


def machine_of_thread():
    return here()


def has_machine():
    return here_or_none() is not None


def kept(kind):
    """This machine's own `kind()`, made at first use; its let_go() is called when the machine has
    ended, in a forked child too."""
    cdef Fibers fibers = <Fibers>machine_here().face
    if fibers is None:
        raise ClosedError("the machine is closed")
    found = fibers.kept.get(kind)
    if found is None:
        found = fibers.kept[kind] = kind()
    return found


def settle_writes(machine):
    """Let what start_write has begun be written; what is not by then is cancelled, and told."""
    cdef Machine self = machine
    if behind_busy(self):
        try:
            with timeout(WRITES_WAIT_S):
                wait(behind_settled(self))
        except TimeoutError:
            pass  # a pipe that nobody reads


def check_outermost(machine):
    """Refuse what only the thread's own level may ask for: running to the end, and closing."""
    cdef Machine self = machine
    if self.dead:
        raise ClosedError("the machine is closed")
    if here_or_none() is not self:
        raise WrongThread("a machine belongs to the thread that made it")
    if fiber_here(self) in self.strands:
        raise WouldBlock("run() and close() are for the outermost level; here, spawn and join")


def run_to_end(machine, main, arguments):
    cdef Machine self = machine
    cdef Strand strand, me
    check_outermost(self)
    me = fiber_here(self)
    strand = spawn_strand(self, main, arguments, {})
    previous, before = self.main, self.outer
    self.main, self.outer = strand, me
    try:
        return wait(strand.join_op())
    finally:
        strand.request_cancel()  # when we were interrupted ourselves
        self.main, self.outer = previous, before
        self.struck = None
        end_strands(self)
        if me.pending is not None:  # Ctrl-C came between the last wait and here
            me.raise_pending()


def end_strands(machine):
    """Cancel every strand and wait until all have ended; then close what generators they left."""
    cdef Machine self = machine
    cdef Strand strand
    if self.dead:
        return
    while True:
        while self.strands:
            strands = list(self.strands)
            for strand in strands:
                strand.request_cancel()
            wait_for_all(strands)
        closing = [spawn_strand(self, close(each), (), {}) for each in generators_left(self)]
        if not closing:
            break
        wait_for_all(closing)
    machine_look(self)  # what they cancelled on their way out is on its way, too


cdef list generators_left(Machine self):
    """Asynchronous generators that have begun and not ended."""
    cdef Fibers fibers = <Fibers>self.face
    return fibers.asyncgens.take()


cdef int wait_for_all(list strands) except -1:
    cdef Strand strand
    for strand in strands:
        if not strand.ended:
            wait_quietly(strand)
    return 0


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
