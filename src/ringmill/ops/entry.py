"""What an entry of the table is: plain values that generate.py, the manual and the tests read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringmill.ops import fields
from ringmill.ops.fields import Kind, Outcome


@dataclass(frozen=True)
class Soft:
    """How the soft kernel executes an opcode: enum rm_how, and a C expression for the result."""

    how: str
    expression: str


def at_once(expression: str) -> Soft:
    """Never blocks for long."""
    return Soft("RM_AT_ONCE", expression)


def when_readable(expression: str) -> Soft:
    """Tried without blocking; on EAGAIN again when the fd is readable."""
    return Soft("RM_WHEN_READABLE", expression)


def when_writable(expression: str) -> Soft:
    """Tried without blocking; on EAGAIN again when the fd is writable."""
    return Soft("RM_WHEN_WRITABLE", expression)


def in_worker(expression: str) -> Soft:
    """May block as long as a disk does: in the bounded pool of workers."""
    return Soft("RM_IN_WORKER", expression)


def in_own_worker(expression: str) -> Soft:
    """May block for ever: never takes the place of file I/O."""
    return Soft("RM_IN_OWN_WORKER", expression)


@dataclass(frozen=True)
class Second:
    """The opcode of an entry that has two: which, and for what (Cython over the arguments)."""

    opcode: str
    when: str
    soft: Soft | None  # None: another entry has the row


@dataclass(frozen=True)
class Argument:
    """One parameter of an entry."""

    name: str
    kind: Kind
    default: Any
    keyword_only: bool

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Entry:
    """One op."""

    name: str
    opcode: str
    doc: str
    arguments: tuple[Argument, ...]
    outcome: Outcome
    soft: Soft | None = None
    shielded: bool = False
    prepare: tuple[str, ...] = ()  # Cython before the checks
    finish: tuple[str, ...] = ()  # Cython after the fields are filled
    second: Second | None = None
    elsewhere: str = ""  # Cython: when the real kernel may refuse what the soft one can
    push: str = "op_push"  # Cython: what knows the ring that it goes to
    without: tuple[str, str] | None = None  # an argument, and the result when it is not given
    many: bool = False  # an iterator over results: the next two are for these
    behaviour: str = ""
    group: bool = False

    @property
    def opcodes(self) -> tuple[str, ...]:
        return (self.opcode,) if self.second is None else (self.opcode, self.second.opcode)


ENTRIES: dict[str, Entry] = {}


def op(opcode: str, *, soft: Soft | None, **extra: Any) -> Callable[[Callable[..., Any]], Entry]:
    """Make an entry of a signature. `soft=None`: another entry or the engine has the row."""
    return lambda function: _enter(function, opcode, soft=soft, **extra)


def each(opcode: str, *, behaviour: str, fill: tuple[str, ...],
         group: bool = False) -> Callable[[Callable[..., Any]], Entry]:
    """Make an entry of an op with many results; `behaviour` is what the kernel must be able to."""
    return lambda function: _enter(function, opcode, many=True, behaviour=behaviour,
                                   finish=fill, group=group)


def _enter(function: Callable[..., Any], opcode: str, **extra: Any) -> Entry:
    namespace = {**vars(fields), **function.__globals__}
    arguments = tuple(
        Argument(p.name, _kind(p.annotation, namespace), p.default,
                 p.kind is inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(function).parameters.values()
    )
    outcome = _kind(function.__annotations__["return"], namespace)
    doc = inspect.cleandoc(function.__doc__ or "")
    entry = Entry(function.__name__, opcode, doc, arguments, outcome, **extra)
    ENTRIES[entry.name] = entry
    return entry


def _kind(annotation: Any, namespace: dict[str, Any]) -> Any:
    # Annotations are strings (PEP 563): names of kinds, or calls such as Bit("fsync_flags", …).
    if isinstance(annotation, str):
        return eval(annotation, namespace)  # our own table, not input
    return annotation
