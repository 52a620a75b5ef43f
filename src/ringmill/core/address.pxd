"""Socket addresses; declarations only."""
from ringmill.core.aux cimport sockaddr_storage, socklen_t

cdef socklen_t address_pack(object address, sockaddr_storage *out) except 0
cdef object address_unpack(const sockaddr_storage *address, socklen_t size)
