/* Ending an `await` without garbage: the reused StopIteration of one extension module.
 *
 * The interpreter asks an awaitable's tp_iternext; "here is the value" is a StopIteration. Making
 * one costs 60 ns on 3.12 and later, so one is kept and used again as long as nobody else holds
 * it. Knows CPython's calling convention; does not know ops.
 */
#ifndef RM_AWAIT_H
#define RM_AWAIT_H

#include <Python.h>

static PyObject *rm_spare_stop; /* this header is included by core/op.pyx only */

/* Somebody may have kept the spare (next(op) in a debugger) or hung a traceback on it. */
static inline int rm_spare_is_clean(void) {
    PyBaseExceptionObject *e = (PyBaseExceptionObject *)rm_spare_stop;
    return e && Py_REFCNT(e) == 1 && !e->traceback && !e->context && !e->cause && !e->dict
           && !e->notes;
}

/* Make the slot's NULL mean "done with `value`". Steals nothing. Returns -1 when out of memory. */
static inline int rm_return(PyObject *value) {
    if (value == Py_None) return 0; /* NULL without an error already means None */
#if PY_VERSION_HEX < 0x030C0000
    /* 3.11 takes an un-normalised error, unless the value could be mistaken for its arguments */
    if (!PyTuple_Check(value) && !PyExceptionInstance_Check(value)) {
        PyErr_Restore(Py_NewRef(PyExc_StopIteration), Py_NewRef(value), NULL);
        return 0;
    }
#endif
    if (!rm_spare_is_clean()) {
        PyObject *fresh = PyObject_CallNoArgs(PyExc_StopIteration);
        if (!fresh) return -1;
        Py_XSETREF(rm_spare_stop, fresh);
    }
    Py_XSETREF(((PyStopIterationObject *)rm_spare_stop)->value, Py_NewRef(value));
#if PY_VERSION_HEX < 0x030C0000
    PyErr_Restore(Py_NewRef(PyExc_StopIteration), Py_NewRef(rm_spare_stop), NULL);
#else
    PyErr_SetRaisedException(Py_NewRef(rm_spare_stop));
#endif
    return 0;
}

/* The spare would keep the last value alive; a machine calls this once per turn. */
static inline void rm_forget_value(void) {
    if (rm_spare_stop && Py_REFCNT(rm_spare_stop) == 1)
        Py_CLEAR(((PyStopIterationObject *)rm_spare_stop)->value);
}

#endif
