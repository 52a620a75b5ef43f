"""Beginning fibers and tasks; declarations only."""
from ringmill.core.machine cimport Machine
from ringmill.core.strand cimport Strand

cdef Strand spawn_strand(Machine machine, object function, tuple arguments, dict keywords)
