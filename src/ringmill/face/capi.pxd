"""What coroutines and contexts need of CPython's C API; declarations only."""
from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    object PyContext_CopyCurrent()

cdef extern from *:
    """
    /* An error is set by a C call that Cython cannot see; this lets it propagate. */
    static inline int rm_reraise(void) { return -1; }
    """
    int reraise "rm_reraise"() except -1
