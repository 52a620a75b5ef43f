"""How each op is made to succeed, to wait and to fail: what the laws need to know of an entry.

One Specimen per entry of ops/table, in a module of the same name. `works` makes arguments with
which the op completes by itself, `blocks` such that it waits until `unblock()` is called, `fails`
such that the kernel refuses. Where one of them is impossible, a sentence stands in its place.

Knows a Lab; does not know which kernel or face tries them.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.specimens import files, many, messages, paths, sockets, waiting
from ops.specimens.scene import Failure, Scene, Specimen, content
from ringmill.ops import table  # noqa: F401  (fills ENTRIES)
from ringmill.ops.entry import ENTRIES, Entry

__all__ = [
    "SPECIMENS", "Failure", "Scene", "Specimen", "can_fail", "can_wait", "content", "entries",
    "specimen",
]

SPECIMENS = {name: made for room in (files, paths, sockets, messages, waiting, many)
             for name, made in room.SPECIMENS.items()}


def specimen(name: str) -> Specimen:
    """The specimen of an entry; a sentence that tells what to add when there is none."""
    assert name in SPECIMENS, (
        f"ops/table/ has an entry {name!r} and tests/ops/specimens.py no Specimen for it: add "
        f"one that tells how to build arguments with which {name} works, waits, and is refused "
        "(or, in a sentence, why it cannot wait or be refused)")
    return SPECIMENS[name]


def entries(*, which: Callable[[Entry], bool] = lambda entry: True) -> list[str]:
    """The names of the table's entries, for parametrize."""
    return [name for name, entry in ENTRIES.items() if which(entry)]


def can_wait(entry: Entry) -> bool:
    return entry.name not in SPECIMENS or not isinstance(SPECIMENS[entry.name].blocks, str)


def can_fail(entry: Entry) -> bool:
    return entry.name not in SPECIMENS or not isinstance(SPECIMENS[entry.name].fails, str)
