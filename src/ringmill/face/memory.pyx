"""What programs say about memory: lease, in both faces; slots, in the call face.

Functions whose name ends in `_op` are the awaitable face; ringmill/aio.py gives them their
public names. Knows leases and fibers; does not know what the memory is for.
"""
from ringmill.core.driver cimport Driver, here
from ringmill.core.lease cimport budget_here, lease_now, lease_op as core_lease_op
from ringmill.core.op cimport Op
from ringmill.face.fiber cimport wait
from ringmill.ops.slot cimport Slot


def lease(n, *, on_full=None):
    """`n` bytes of the machine's arena, as a Lease; a writable buffer that gives itself back.

    In a `with` block it is a memoryview. Ops on it use registered buffers where the kernel has
    them. It takes whole pages (4096 bytes). Where the arena, or the memory of the scope around, is
    spent, the caller waits in line; on_full="raise" raises WouldExceedBudget instead.

    >>> with lease(65536) as buffer:
    ...     n = readinto(hello, buffer, offset=0)
    ...     bytes(buffer[:n])
    b'Hello, ring!\\r\\n'
    """
    cdef Driver driver = here()
    granted = lease_now(driver, budget_here(driver), n, on_full)
    return wait(<Op>granted) if isinstance(granted, Op) else granted


def lease_op(n, *, on_full=None):
    """`n` bytes of the machine's arena, as a Lease; a writable buffer that gives itself back.

    As `ringmill.lease`, awaited.
    """
    cdef Driver driver = here()
    return core_lease_op(driver, budget_here(driver), n, on_full)


cdef class SlotCall:
    """One op at a time, without any allocation: as the calls of the same names.

    Each uses the same op again; see `aio.Slot` for the awaitable face.
    """
    cdef Slot slot

    def __cinit__(self):
        self.slot = Slot()

    def readinto(self, fd, buffer, offset=None):
        """As ringmill.readinto."""
        return wait(self.slot.readinto_op(fd, buffer, offset))

    def write(self, fd, data, offset=None):
        """As ringmill.write."""
        return wait(self.slot.write_op(fd, data, offset))

    def recv_into(self, sock, buffer):
        """As ringmill.recv_into."""
        return wait(self.slot.recv_into_op(sock, buffer))

    def send(self, sock, data):
        """As ringmill.send."""
        return wait(self.slot.send_op(sock, data))
