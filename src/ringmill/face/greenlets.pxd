"""Greenlets by greenlet's C API, as `object`: greenlet looks for references that the collector
can see. Whoever cimports this calls PyGreenlet_Import() once.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from "greenlet.h":
    ctypedef struct PyGreenlet:
        pass
    void PyGreenlet_Import()
    void *_PyGreenlet_API
    PyGreenlet *PyGreenlet_GetCurrent() except NULL
    PyGreenlet *PyGreenlet_New(PyObject *run, PyGreenlet *parent) except NULL
    PyObject *PyGreenlet_Switch(PyGreenlet *greenlet, PyObject *args, PyObject *kwargs) except NULL
    int PyGreenlet_SetParent(PyGreenlet *greenlet, PyGreenlet *parent) except -1


cdef inline object greenlet_here():
    cdef PyObject *greenlet = <PyObject *>PyGreenlet_GetCurrent()
    cdef object result = <object>greenlet
    Py_DECREF(result)  # GetCurrent's own reference
    return result


cdef inline object greenlet_new(object run, object parent):
    cdef PyObject *greenlet = <PyObject *>PyGreenlet_New(
        <PyObject *>run, <PyGreenlet *>parent)
    cdef object result = <object>greenlet
    Py_DECREF(result)
    return result


cdef inline int greenlet_switch(object greenlet) except -1:
    """Returns when somebody switches back. `greenlet` is held meanwhile: it may end."""
    cdef PyObject *result = PyGreenlet_Switch(<PyGreenlet *>greenlet, NULL, NULL)
    Py_DECREF(<object>result)
    return 0


cdef inline object greenlet_root(object greenlet):
    """The thread's own: the plain script's."""
    while greenlet.parent is not None:
        greenlet = greenlet.parent
    return greenlet
