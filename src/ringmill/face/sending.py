"""Many datagrams at once: one enter for all of them, and an account of those that did not go.

Knows ops and errors; does not know machines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ringmill.core.op import Op
from ringmill.errors import NotAllSent, WouldExceedBudget
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, ReadableBuffer

AT_ONCE = 256  # in flight: as many as the kernel takes in one enter, and no more than a burst


async def sendmany(sock: FileDescriptorLike, messages: Iterable[tuple[ReadableBuffer, Any]], *,
                   flags: int = 0) -> int:
    """Send (data, address) each as a datagram, all in one enter; how many they were.

    An address of None is whom the socket is connected to. Those that have to wait for room may be
    overtaken by later ones. One that is refused does not stop the others: NotAllSent tells of it
    when all are through. When it is cancelled, or `messages` raises, some may have been sent.

    >>> await sendmany(sock, [(b"one", ("127.0.0.1", 5000)), (b"two", ("127.0.0.1", 5001))])
    2
    """
    going: deque[tuple[int, Op[int]]] = deque()
    refused: list[tuple[int, OSError]] = []
    number = -1
    try:
        for number, (data, address) in enumerate(messages):
            while len(going) >= AT_ONCE:
                await _ended(going, refused)
            while True:
                try:
                    op = (aio.send(sock, data, flags=flags) if address is None
                          else aio.sendto(sock, data, address, flags=flags))
                    break
                except WouldExceedBudget:  # others have ops, too: make do with what there is
                    if not going:
                        raise
                    await _ended(going, refused)
            going.append((number, op))
        while going:
            await _ended(going, refused)
    finally:
        for _, op in going:  # nobody waits for these any more
            op.cancel()
            op.detach()
    if refused:
        raise NotAllSent(number + 1 - len(refused), refused) from refused[0][1]
    return number + 1


async def _ended(going: deque[tuple[int, Op[int]]], refused: list[tuple[int, OSError]]) -> None:
    """Wait for the oldest."""
    number, op = going[0]
    try:
        await op
    except OSError as error:
        refused.append((number, error))
    going.popleft()
