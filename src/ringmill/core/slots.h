/* Our own functions in a type's await slots: Cython's generator protocol costs 200 ns.
 *
 * Knows CPython's type objects; does not know which type it is.
 */
#ifndef RM_SLOTS_H
#define RM_SLOTS_H

#include <Python.h>

/* 3.11 awaits through am_send, later versions through tp_iternext: fill both. */
static inline void rm_set_await(PyObject *type, void *next, void *send) {
    PyTypeObject *t = (PyTypeObject *)type;
    t->tp_iternext = (iternextfunc)next;
    if (t->tp_as_async) t->tp_as_async->am_send = (sendfunc)send;
    PyType_Modified(t);
}

/* Objects of this type are made by our own functions only: take __new__ away from Python. */
static inline int rm_no_new(PyObject *type) {
    PyTypeObject *t = (PyTypeObject *)type;
    t->tp_new = NULL;
    t->tp_vectorcall = NULL; /* Cython's own shortcut for Type() */
    if (PyDict_DelItemString(t->tp_dict, "__new__")) PyErr_Clear();
    PyType_Modified(t);
    return 0;
}

#endif
