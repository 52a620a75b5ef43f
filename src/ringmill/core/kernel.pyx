"""Which kernel: the first that works, unless somebody decided; and why.

The one module that the C code of ring/ is linked into: others reach a kernel through the ring's
own pointers. Knows kernels and masks; does not know machines.
"""
from libc.string cimport memset

from ringmill.core.ring cimport (
    rm_close, rm_config, rm_forget, rm_kernel, rm_linux, rm_open, rm_ring, rm_sim, rm_soft,
)
from ringmill.core.lies cimport Lies

from ringmill.core import masks


cdef extern from "probe.h":
    struct rm_probe:
        bint done
    int rm_open_probed(rm_ring *ring, const rm_kernel *kernel, const rm_config *config,
                       rm_probe *probe)

cdef rm_probe found  # what the real kernel can do: asked once per process


class Kernel:
    """Which kernel a machine runs on: `name` ("linux", "soft"; in tests "sim"), and `why`, in a
    sentence."""

    __slots__ = ("_lies", "name", "why")

    def __init__(self, name, why, lies=None):
        self.name = name
        self.why = why
        self._lies = lies  # the ring writes there

    def __repr__(self):
        return f"<Kernel {self.name}: {self.why}>"


cdef object open_ring(rm_ring *ring, object wish, bint sqpoll, unsigned entries,
                      unsigned cq_entries, unsigned workers_max):
    """Try the kernels in the order that was asked for; a Kernel that tells which it is."""
    cdef rm_config config
    cdef const rm_kernel *candidate
    cdef int res = 0
    if isinstance(wish, Lies):
        return open_sim(ring, <Lies>wish, entries, cq_entries)
    choice = masks.choose(wish)
    hidden = masks.from_environment()
    refused = []
    for name in choice.order:
        memset(&config, 0, sizeof(config))
        config.entries = entries
        config.cq_entries = cq_entries
        config.workers_max = workers_max
        candidate = &rm_soft
        if name == "linux":
            candidate = &rm_linux
            config.sqpoll = sqpoll
            # What is hidden of the real kernel is what the soft one then does.
            config.masked_ops = hidden.ops
            config.masked = hidden.behaviours
            config.masked_setup = hidden.setup
        res = rm_open_probed(ring, candidate, &config, &found)
        said = ring.why.decode("utf-8", "replace")
        if res >= 0:
            return Kernel(name, "; ".join([why for why in (*refused, choice.why, said) if why]))
        refused.append(said)
    raise OSError(-res, "; ".join(refused))


cdef object open_sim(rm_ring *ring, Lies lies, unsigned entries, unsigned cq_entries):
    """The kernel that lies, for one machine: two would tell one story together."""
    cdef rm_config config
    if lies.opened:
        raise ValueError("these lies have been told to a machine already; make new ones")
    memset(&config, 0, sizeof(config))
    config.entries = entries
    config.cq_entries = cq_entries
    config.lies = <void *>lies.lies
    cdef int res = rm_open(ring, &rm_sim, &config)
    if res < 0:
        raise OSError(-res, ring.why.decode("utf-8", "replace"))
    lies.opened = True
    return Kernel("sim", f"it lies by seed {lies.lies.seed}", lies)


cdef int open_soft(rm_ring *ring, unsigned entries, unsigned cq_entries) except -1:
    cdef rm_config config
    cdef int res
    memset(&config, 0, sizeof(config))
    config.entries = entries
    config.cq_entries = cq_entries
    res = rm_open(ring, &rm_soft, &config)
    if res < 0:
        raise OSError(-res, ring.why.decode("utf-8", "replace"))
    return 0


cdef bint ring_is_soft(rm_ring *ring) noexcept:
    return ring.kernel != &rm_linux  # sim is soft, too


cdef void close_ring(rm_ring *ring) noexcept:
    rm_close(ring)


cdef void forget_ring(rm_ring *ring) noexcept:
    rm_forget(ring)


def soft_facts():
    """What the soft kernel can do, by trying it."""
    cdef rm_ring ring
    open_soft(&ring, 8, 16)
    try:
        return {"opcodes": ring.opcodes, "behaviours": ring.behaviours}
    finally:
        rm_close(&ring)
