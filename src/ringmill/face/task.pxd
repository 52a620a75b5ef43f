"""Native tasks; declarations only."""
from ringmill.core.machine cimport Machine
from ringmill.core.strand cimport Strand

cdef class Task(Strand):
    cdef object coroutine

cdef Task task_new(Machine machine, object coroutine)

cdef class Pause:
    cdef bint paused

cdef Pause pause_new()
