"""Every bound of the HTTP server, by name and with its reason. Knows numbers only."""

from __future__ import annotations

from dataclasses import dataclass

from ringmill.face.pipes import PIPES_MAX

from ..units import KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost. Times are seconds; the defaults are those of the command line."""

    connections: int
    """Open at once. The next ones wait in the kernel's queue; see `connections_for`."""

    header_bytes: int = 16 * KIB
    """Request line and header fields together; Tomcat, IIS and node allow 8 to 80 KiB. A head that
    is complete within one more receive is let through: it has been read already."""

    target_bytes: int = 8 * KIB
    """RFC 9112 section 3 asks for at least 8,000 octets in a request line."""

    header_s: float = 10.0
    """From a request's first byte to its last header: one byte a second does not get through."""

    idle_s: float = 60.0
    """Between two requests, and before the first: a silent client holds a descriptor, no more."""

    body_bytes: int = 64 * KIB
    """A request body nobody wants is read up to here, so that the connection stays usable."""

    stall_s: float = 30.0
    """A client that takes not one byte of its reply for so long has gone."""

    linger_s: float = 1.0
    """How long a client may go on talking after a refusal, so that it can read the refusal."""

    grace_s: float = 10.0
    """After Ctrl-C: how long replies that are being sent may take."""


# Descriptors that are not connections: std*, the listener, the ring, its wake-up pipe, the soft
# kernel's epoll, eventfd and timerfd, the directory, and whatever Python's own modules hold.
FDS_OTHER = 48

# A connection is a socket and, while it is served, a file.
FDS_PER_CONNECTION = 2

# Where descriptors are no limit, memory is: a connection's fiber and parser cost some 30 KiB.
CONNECTIONS_MAX = 10_000


def connections_for(fds: int) -> int:
    """How many connections fit under a limit of `fds` descriptors, so that a file can be opened
    for every one of them."""
    spare = fds - FDS_OTHER - 2 * PIPES_MAX
    return max(1, min(spare // FDS_PER_CONNECTION, CONNECTIONS_MAX))
