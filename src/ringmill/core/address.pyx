"""Socket addresses: Python's tuples and paths to and from `struct sockaddr`.

Knows the forms of the `socket` module for IPv4, IPv6, Unix and netlink; does not resolve names
(that blocks) and knows no ops.
"""
from libc.string cimport memcpy, memset

from ringmill.core.aux cimport (
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, sockaddr_in, sockaddr_in6, sockaddr_nl,
    sockaddr_storage, sockaddr_un, socklen_t,
)
from ringmill.core.errno cimport ENAMETOOLONG, ENODEV

import operator
import os

cdef extern from "arpa/inet.h" nogil:
    unsigned short htons(unsigned short)
    unsigned short ntohs(unsigned short)
    unsigned htonl(unsigned)
    unsigned ntohl(unsigned)
    int inet_pton(int family, const char *text, void *out)
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)

cdef extern from "net/if.h" nogil:
    unsigned if_nametoindex(const char *name)

# offsetof(struct sockaddr_un, sun_path): the family's two bytes
cdef enum:
    UN_PATH_AT = 2
    UN_PATH_MAX = 108
    FLOW_MAX = 0xFFFFF  # 20 bits, RFC 8200


cdef socklen_t address_pack(object address, sockaddr_storage *out) except 0:
    """Fill `out` from `(host, port)`, `(host, port, flowinfo, scope_id)`, a path, or two ints:
    `(port, groups)` of netlink."""
    memset(out, 0, sizeof(sockaddr_storage))
    if isinstance(address, (str, bytes, bytearray, os.PathLike)):
        return pack_unix(address, <sockaddr_un *>out)
    if not isinstance(address, tuple) or not 2 <= len(address) <= 4:
        raise TypeError(
            "an address is (host, port), (host, port, flowinfo, scope_id), the path of a Unix "
            f"socket or netlink's (port, groups), not {address!r}")
    if len(address) == 2 and isinstance(address[0], int):
        return pack_netlink(address, <sockaddr_nl *>out)
    if not isinstance(address[0], str):
        raise TypeError(f"the host of an address is a str, not {type(address[0]).__name__}")
    port = address[1]
    if not isinstance(port, int):
        raise TypeError(f"the port of an address is an int, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise OverflowError(f"port must be 0-65535, not {port}")
    if len(address) > 2 or ":" in address[0]:
        return pack_inet6(address, <sockaddr_in6 *>out)
    return pack_inet(address, <sockaddr_in *>out)


cdef socklen_t pack_unix(object address, sockaddr_un *out) except 0:
    cdef bytes path = bytes(address) if isinstance(address, bytearray) else os.fsencode(address)
    # An abstract name begins with NUL and has none at its end; a path must not contain any.
    cdef bint abstract = path[:1] == b"\0"
    if len(path) > UN_PATH_MAX - (0 if abstract else 1):
        raise OSError(ENAMETOOLONG, "AF_UNIX path too long", address)
    if not abstract and b"\0" in path:
        raise ValueError("embedded null byte in the path of a Unix socket")
    out.sun_family = AF_UNIX
    memcpy(out.sun_path, <const char *>path, len(path))
    return UN_PATH_AT + <socklen_t>len(path) + (0 if abstract or not path else 1)


cdef socklen_t pack_inet(tuple address, sockaddr_in *out) except 0:
    cdef bytes host = host_bytes(address[0])
    out.sin_family = AF_INET
    out.sin_port = htons(<unsigned short>address[1])
    if host and host != b"<broadcast>":
        if inet_pton(AF_INET, host, &out.sin_addr) != 1:
            raise not_numeric(address[0])
    elif host:
        out.sin_addr.s_addr = 0xFFFFFFFF
    return sizeof(sockaddr_in)


cdef socklen_t pack_inet6(tuple address, sockaddr_in6 *out) except 0:
    host, _, zone = address[0].partition("%")
    cdef bytes text = host_bytes(host)
    out.sin6_family = AF_INET6
    out.sin6_port = htons(<unsigned short>address[1])
    if text and inet_pton(AF_INET6, text, &out.sin6_addr) != 1:
        raise not_numeric(address[0])
    if len(address) > 2:
        flow = operator.index(address[2])
        if not 0 <= flow <= FLOW_MAX:
            raise OverflowError(f"flowinfo must be 0-{FLOW_MAX}, not {flow}")
        out.sin6_flowinfo = htonl(flow)
    if len(address) > 3:
        out.sin6_scope_id = operator.index(address[3])
    elif zone:
        out.sin6_scope_id = zone_index(zone)
    return sizeof(sockaddr_in6)


cdef socklen_t pack_netlink(tuple address, sockaddr_nl *out) except 0:
    out.nl_family = AF_NETLINK
    out.nl_pid = operator.index(address[0])
    out.nl_groups = operator.index(address[1])
    return sizeof(sockaddr_nl)


cdef bytes host_bytes(str host):
    cdef bytes text = host.encode("ascii", "replace")
    if b"\0" in text:
        raise ValueError("embedded null character in a host")
    return text


cdef unsigned zone_index(str zone) except? 0:
    if zone.isdigit():
        return int(zone)
    cdef bytes name = host_bytes(zone)
    cdef unsigned index = if_nametoindex(name)
    if index == 0:
        raise OSError(ENODEV, "No such network interface", zone)
    return index


cdef object not_numeric(str host):
    return ValueError(
        f"{host!r} is no numeric address; names are resolved by tcp_connect and tcp_listen")


cdef object address_unpack(const sockaddr_storage *address, socklen_t size):
    """What `socket` would give for this address; None for an unnamed peer of a pair."""
    if size < sizeof(unsigned short):
        return None
    if address.ss_family == AF_INET:
        return unpack_inet(<const sockaddr_in *>address)
    if address.ss_family == AF_INET6:
        return unpack_inet6(<const sockaddr_in6 *>address)
    if address.ss_family == AF_UNIX:
        return unpack_unix(<const sockaddr_un *>address, size)
    if address.ss_family == AF_NETLINK:
        return ((<const sockaddr_nl *>address).nl_pid, (<const sockaddr_nl *>address).nl_groups)
    return (address.ss_family, (<const char *>address)[UN_PATH_AT:size])


cdef object unpack_inet(const sockaddr_in *address):
    cdef char text[64]
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text))
    return ((<bytes>text).decode("ascii"), ntohs(address.sin_port))


cdef object unpack_inet6(const sockaddr_in6 *address):
    cdef char text[64]
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text))
    return ((<bytes>text).decode("ascii"), ntohs(address.sin6_port),
            ntohl(address.sin6_flowinfo), address.sin6_scope_id)


cdef object unpack_unix(const sockaddr_un *address, socklen_t size):
    cdef bytes path = address.sun_path[:size - UN_PATH_AT]
    if path[:1] == b"\0":
        return path
    return os.fsdecode(path.split(b"\0", 1)[0])
