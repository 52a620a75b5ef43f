"""Tasks: coroutines that await ops, run by the machine itself, without asyncio.

A step runs on whatever stack is at hand and never waits: the coroutine yields the op it waits
for (or None, to let others run), and the op's completion puts the task on the runqueue.

Knows strands and coroutines; does not know what an op does.
"""
cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from ringmill.core.machine cimport Machine, machine_ended
from ringmill.core.driver cimport check_thread, ready_push
from ringmill.core.op cimport K_DONE, Op, op_attach, op_request_cancel, warn_unawaited
from ringmill.core.strand cimport Strand
from ringmill.face.capi cimport (
    PYGEN_ERROR, PYGEN_RETURN, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, PyIter_Send,
    PySendResult, reraise,
)
from ringmill.face.fiber cimport track_asyncgens, wait

cdef extern from "slots.h":
    void rm_set_await(PyObject *type, void *next, void *send)
    int rm_no_new(object type)


cdef Task task_new(Machine machine, object coroutine):
    cdef Task task = Task.__new__(Task)
    track_asyncgens(machine)
    task.driver = machine
    task.coroutine = coroutine
    task.context = PyContext_CopyCurrent()
    task.name = getattr(coroutine, "__qualname__", "task")
    machine.strands[task] = None
    ready_push(machine, task)
    return task


@cython.final
cdef class Task(Strand):
    """A coroutine that runs beside others. `await` it, or `join()` it from a fiber."""

    cdef int run(self) except -1:
        """One step: from where it waits to where it waits next."""
        cdef PyObject *out = NULL
        cdef PySendResult sent
        cdef object error
        if self.must_raise and (error := task_error(self)) is not None:
            return task_throw(self, error)
        self.waiting = None
        PyContext_Enter(self.context)
        sent = PyIter_Send(<PyObject *>self.coroutine, <PyObject *>None, &out)
        PyContext_Exit(self.context)  # raises nothing: the context is the one we entered
        if sent == PYGEN_ERROR:
            return task_failed(self)
        answer = <object>out
        Py_DECREF(answer)
        if sent == PYGEN_RETURN:
            return task_end(self, answer, None)
        if self.ended:
            return 0
        if answer is None:
            return ready_push(self.driver, self)
        return task_wait(self, answer)

    def join(self):
        """Wait, in a fiber, for its end; return what it returned, raise what it raised."""
        check_thread(self.driver)
        return wait(self.join_op())


cdef int task_wait(Task self, object awaited) except -1:
    """The coroutine waits for `awaited`."""
    cdef Op op
    try:
        if not isinstance(awaited, Op):
            raise RuntimeError(f"{awaited!r} was awaited; outside asyncio only ops can be")
        op = <Op>awaited
        check_thread(op.driver)
        if op.kernel == K_DONE:  # an awaitable of the program's own may yield one: it looks again
            return ready_push(self.driver, self)
        op_attach(op, self)
    except BaseException as error:
        self.pending = error  # thrown in at the next step
        self.must_raise = True
        return ready_push(self.driver, self)
    self.waiting = op
    if self.must_raise:
        op_request_cancel(op)
    return 0


cdef object task_error(Task self):
    """What a cancel that was asked for raises here, or None: what it waited for came first."""
    try:
        if self.waiting is not None:
            self.woken()
        else:
            self.raise_pending()
    except BaseException as error:
        return error
    return None


cdef int task_throw(Task self, object error) except -1:
    """A step that begins with an error, raised where the coroutine waits."""
    cdef object answer
    PyContext_Enter(self.context)
    try:
        answer = self.coroutine.throw(error)
    except StopIteration as stop:
        return task_end(self, stop.value, None)
    except BaseException as caught:
        return task_end(self, None, caught)
    finally:
        PyContext_Exit(self.context)
    if self.ended:
        return 0
    return ready_push(self.driver, self) if answer is None else task_wait(self, answer)


cdef int task_failed(Task self) except -1:
    """The step ended with an error, which is set."""
    try:
        reraise()
    except BaseException as error:
        return task_end(self, None, error)


cdef int task_end(Task self, object value, object error) except -1:
    cdef Machine machine = <Machine>self.driver
    self.coroutine = None
    return machine_ended(machine, self, value, error)


@cython.final
@cython.freelist(64)
cdef class Pause:
    """Awaited once: lets others run."""

    def __dealloc__(self):
        if not self.paused:
            warn_unawaited()

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.paused:
            raise StopIteration
        self.paused = True
        return None


cdef PyObject *pause_iternext(PyObject *self) except? NULL:
    cdef Pause pause = <Pause>self
    if pause.paused:
        return NULL  # without an error: done, with None
    pause.paused = True
    Py_INCREF(None)
    return <PyObject *>None


cdef int pause_send(PyObject *self, PyObject *sent, PyObject **out) except? -1:
    cdef Pause pause = <Pause>self
    Py_INCREF(None)
    out[0] = <PyObject *>None
    if pause.paused:
        return 0  # PYGEN_RETURN
    pause.paused = True
    return 1  # PYGEN_NEXT


cdef Pause pause_new():
    return Pause.__new__(Pause)


rm_set_await(<PyObject *>Pause, <void *>pause_iternext, <void *>pause_send)
rm_no_new(Task)
