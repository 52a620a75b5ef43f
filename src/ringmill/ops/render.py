"""The shapes of the generated files: entries in, text out. Knows no paths but its own table's."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable

from ringmill.ops.entry import Argument, Entry, Soft

MADE = "Generated from ops/table/ by ops/generate.py; edit there."

PYX_HEAD = f'''"""The awaitable ops: each function fills an SQE and returns its Op at once.

{MADE}
"""
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint16_t, uint64_t

from ringmill.core.address cimport address_pack
from ringmill.core.arena cimport fix, fix_many
from ringmill.core.aux cimport sockaddr_storage
from ringmill.core.each cimport Each, each_new, shots_new
from ringmill.core.elsewhere cimport elsewhere_begin, elsewhere_new
from ringmill.core.hold cimport *
from ringmill.core.op cimport *
from ringmill.core.rest cimport rest_begin, rest_new
from ringmill.core.sends cimport op_push_send
from ringmill.core.ring cimport (
    RM_ACCEPT_MULTISHOT, RM_POLL_MULTISHOT, RM_READ_MULTISHOT, RM_RECV_MULTISHOT, io_uring_sqe,
)
from ringmill.core.shots cimport Shots, shots_of_file, shots_of_messages, shots_of_socket
from ringmill.core.views cimport Views
from ringmill.core.zero cimport ZeroCopy, zero_begin, zero_new
from ringmill.ops.constants cimport *
from ringmill.ops.convert cimport *
from ringmill.ops.messages cimport *
from ringmill.ops.writes cimport close_late

import socket as _socket
'''

CALL_HEAD = f'''"""The calls: start, then wait, in a fiber or a plain script.

{MADE}
"""
from ringmill.face.fiber cimport each_call, wait
from ringmill.ops.aio cimport *
from ringmill.ops.convert cimport int_of, unsigned_of

import socket as _socket
'''

STUB_HEAD = f'''# {MADE}
import os
import socket as _socket
from _typeshed import FileDescriptorLike, FileDescriptorOrPath, ReadableBuffer
from _typeshed import StrOrBytesPath, WriteableBuffer
from collections.abc import Iterable
from typing import Any, overload
{{extra}}
Address = (tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int]
           | tuple[int, int] | str | bytes)
'''

C_HEAD = f"""/* How the soft kernel executes each opcode. {MADE} */
#include "soft_row.h"

#include "soft_calls.h"

static inline void *rm_pointer(uint64_t address) {{ return (void *)(uintptr_t)address; }}
"""


def _default(argument: Argument) -> str:
    if argument.required:
        return ""
    value = argument.default
    # An enum member (socket.AF_INET) is written by name, for the reader of help().
    return f"_socket.{value.name}" if hasattr(value, "name") else repr(value)


def _signature(entry: Entry, spell: Callable[[Argument], str]) -> str:
    parts: list[str] = []
    starred = False
    for argument in entry.arguments:
        if argument.keyword_only and not starred:
            parts.append("*")
            starred = True
        parts.append(spell(argument))
    return ", ".join(parts)


def _spell_def(argument: Argument) -> str:
    c_type = "bint " if argument.kind.param == "bint" else ""
    default = "" if argument.required else f"={_default(argument)}"
    return f"{c_type}{argument.name}{default}"


def _spell_stub(argument: Argument) -> str:
    default = "" if argument.required else f" = {_default(argument)}"
    return f"{argument.name}: {argument.kind.stub}{default}"


def _cdef(entry: Entry) -> str:
    result = "Each" if entry.many else "Op"
    arguments = ", ".join(f"{a.kind.param} {a.name}" for a in entry.arguments)
    return f"cdef {result} start_{entry.name}({arguments})"


def _passed(entry: Entry) -> str:
    """The arguments of start_x: numbers are converted here, so that a float is refused."""
    converters = {"unsigned": "unsigned_of({})", "int": "int_of({})"}
    return ", ".join(converters.get(a.kind.param, "{}").format(a.name) for a in entry.arguments)


def _lines(templates: Iterable[str], name: str) -> list[str]:
    return [f"    {line.format(name)}" for line in templates]


def _doc(entry: Entry) -> str:
    text = entry.doc.replace("\\", "\\\\")  # the docstring of a docstring: \\n stays two letters
    return "\n".join(f"    {line}".rstrip() for line in f'"""{text}\n"""'.splitlines())


def _start(entry: Entry) -> list[str]:
    """The body of start_x: check, push, fill. Nothing can fail after the push."""
    fd = next((a.kind.fd.format(a.name) for a in entry.arguments if a.kind.fd), "-1")
    body = [f"    {line}" for line in entry.prepare]
    body += [f"    cdef Op op = op_new({entry.outcome.kind})"]
    if entry.shielded:
        body[-1] = f"    cdef Op op = op_new_shielded({entry.outcome.kind})"
    for argument in entry.arguments:
        body += _lines(argument.kind.check, argument.name)
    body += _lines(entry.outcome.check, "")
    if entry.elsewhere:
        body += [f"    if {entry.elsewhere}:", "        op.handler = elsewhere_new()"]
    opcode = f"IORING_OP_{entry.opcode}"
    if entry.second is not None:
        body += [f"    cdef unsigned opcode = {opcode}", f"    if {entry.second.when}:",
                 f"        opcode = IORING_OP_{entry.second.opcode}"]
        opcode = "opcode"
    for argument in entry.arguments:
        if argument.kind.instead:
            body += [f"    cdef unsigned opcode = {opcode}",
                     f"    if {argument.name}_way is not None:",
                     f"        opcode = IORING_OP_{argument.kind.instead}"]
            opcode = "opcode"
    body += [f"    cdef io_uring_sqe *sqe = {entry.push}(op, {opcode}, {fd})"]
    for argument in entry.arguments:
        body += _lines(argument.kind.fill, argument.name)
    body += _lines(entry.outcome.fill, "")
    body += [f"    {line}" for line in (*entry.finish, *entry.outcome.last)]
    if entry.elsewhere:
        body += ["    if op.handler is not None:", "        elsewhere_begin(op, sqe)"]
    for argument in entry.arguments:
        body += _lines(argument.kind.last, argument.name)
    return [*body, "    return op"]


def _start_many(entry: Entry) -> list[str]:
    fd = next(a.name for a in entry.arguments if a.kind.fd)
    return [
        f"    cdef Shots shots = shots_new({entry.outcome.kind}, IORING_OP_{entry.opcode}, "
        f"{entry.behaviour}, {entry.group})",
        f"    shots.template.fd = fd_of({fd})",
        f"    shots.source = {fd}",
        *(f"    {line}" for line in entry.finish),
        "    return each_new(shots)",
    ]


def _names(entries: Iterable[Entry]) -> list[str]:
    """`__all__`: the table's names and no others are the module's."""
    quoted = [f'"{entry.name}",' for entry in entries]
    return ["__all__ = [", *textwrap.wrap(" ".join(quoted), 92, initial_indent="    ",
                                          subsequent_indent="    "), "]"]


def _opcodes(entries: Iterable[Entry]) -> list[str]:
    entries = list(entries)
    named = sorted({opcode for entry in entries for opcode in entry.opcodes}
                   | {a.kind.instead for entry in entries for a in entry.arguments} - {""})
    return ['cdef extern from "ring.h":', "    enum:",
            *(f"        IORING_OP_{opcode}" for opcode in named)]


def aio_pyx(entries: Iterable[Entry]) -> str:
    out = [PYX_HEAD, *_opcodes(entries), "", *_names(entries), ""]
    for entry in entries:
        body = _start_many(entry) if entry.many else _start(entry)
        out += [
            "", f"{_cdef(entry)}:", *body, "", "",
            f"def {entry.name}({_signature(entry, _spell_def)}):",
            _doc(entry), f"    return start_{entry.name}({_passed(entry)})", "",
        ]
    return "\n".join(out)


def aio_pxd(entries: Iterable[Entry]) -> str:
    head = [f'"""The ops for other modules to start. {MADE}"""',
            "from ringmill.core.each cimport Each", "from ringmill.core.op cimport Op", ""]
    return "\n".join([*head, *(_cdef(e) for e in entries), ""])


def call_pyx(entries: Iterable[Entry]) -> str:
    out = [CALL_HEAD, *_names(entries), ""]
    for entry in entries:
        verb = "each_call" if entry.many else "wait"
        out += [
            "", f"def {entry.name}({_signature(entry, _spell_def)}):", _doc(entry),
            f"    return {verb}(start_{entry.name}({_passed(entry)}))", "",
        ]
    return "\n".join(out)


def _stub(entries: Iterable[Entry], extra: str, one: str, many: str) -> str:
    out = [STUB_HEAD.format(extra=extra).rstrip(), "", *_names(entries), ""]
    for entry in entries:
        form = many if entry.many else one
        if entry.without is not None:
            out += _overloads(entry, *entry.without, form)
        else:
            out.append(_stub_line(entry, _spell_stub, form.format(entry.outcome.stub)))
    return "\n".join([*out, ""])


def _stub_line(entry: Entry, spell: Callable[[Argument], str], result: str) -> str:
    # The table's own names (open, socket …) would hide the modules that the types come from.
    result = result.replace("socket.socket", "_socket.socket")
    return f"def {entry.name}({_signature(entry, spell)}) -> {result}: ..."


def _overloads(entry: Entry, name: str, result: str, form: str) -> list[str]:
    """Two signatures: without an argument whose absence changes the result's type, and with it."""
    def spell_without(argument: Argument) -> str:
        return f"{name}: None = None" if argument.name == name else _spell_stub(argument)

    def spell_with(argument: Argument) -> str:
        given = argument.kind.stub.removesuffix(" | None")
        return f"{name}: {given}" if argument.name == name else _spell_stub(argument)

    other = entry.outcome.stub.replace(f"{result} | ", "")
    return ["@overload", _stub_line(entry, spell_without, form.format(result)),
            "@overload", _stub_line(entry, spell_with, form.format(other))]


def aio_pyi(entries: Iterable[Entry]) -> str:
    imports = "\nfrom ringmill.core.each import Each\nfrom ringmill.core.op import Op\n"
    return _stub(entries, imports, "Op[{0}]", "Each[{0}]")


def call_pyi(entries: Iterable[Entry]) -> str:
    return _stub(entries, "\nfrom ringmill.face.fiber import EachCall\n", "{0}", "EachCall[{0}]")


def soft_rows(entries: Iterable[Entry]) -> str:
    out = [C_HEAD]
    rows = []
    for entry in entries:
        name = f"run_{entry.name}"
        if entry.soft is not None:
            out += _row(name, entry, entry.soft)
            rows.append(f"    [IORING_OP_{entry.opcode}] = {{{entry.soft.how}, {name}}},")
        if entry.second is not None and entry.second.soft is not None:
            soft = entry.second.soft
            if soft != entry.soft:
                name += f"_{entry.second.opcode.lower()}"
                out += _row(name, entry, soft)
            rows.append(f"    [IORING_OP_{entry.second.opcode}] = {{{soft.how}, {name}}},")
    out += ["const struct rm_soft_row rm_soft_rows[RM_OPCODES] = {", *rows, "};", ""]
    return "\n".join(out)


def _row(name: str, entry: Entry, soft: Soft) -> list[str]:
    """The function that executes one opcode of an entry."""
    declared = [line.format(a.name) for a in entry.arguments for line in a.kind.soft]
    declared += list(entry.outcome.soft)
    used = [d for d in declared if _declares(d, soft.expression)]
    named = [*used, soft.expression]
    unused = [n for n in ("sqe", "nowait") if not _used(n, named)]
    return [f"static int {name}(const struct io_uring_sqe *sqe, bool nowait) {{",
            *(f"    {line}" for line in used), *(f"    (void){n};" for n in unused),
            f"    return {soft.expression};", "}", ""]


def _used(name: str, texts: Iterable[str]) -> bool:
    return any(re.search(rf"\b{name}\b", text) for text in texts)


def _declares(declaration: str, expression: str) -> bool:
    """Does the expression use what this C declaration declares?"""
    variable = declaration.split("=")[0].split()[-1].lstrip("*")
    return _used(variable, [expression])


def manual(entries: Iterable[Entry]) -> str:
    out = [f"<!-- {MADE} -->", "# The ops", "",
           "Each is a call, `ringmill.NAME(…)`, and an awaitable op, `ringmill.aio.NAME(…)`.",
           "Iterators are used with `for` and `async for`.", ""]
    for entry in entries:
        kind = "iterator of " if entry.many else ""
        out += [f"## {entry.name}", "", "```python",
                f"{entry.name}({_signature(entry, _spell_stub)}) -> {kind}{entry.outcome.stub}",
                "```", "", entry.doc.split(">>>")[0].strip(), "",
                "```python", *(_example(entry)), "```", "",
                " or ".join(f"`IORING_OP_{opcode}`" for opcode in entry.opcodes)
                + (f"; soft kernel: {_how(entry)}." if entry.soft else "."), ""]
    return "\n".join(out)


def _example(entry: Entry) -> list[str]:
    return inspect.cleandoc(">>>" + entry.doc.split(">>>", 1)[1]).splitlines()


def _how(entry: Entry) -> str:
    return {"RM_AT_ONCE": "at once", "RM_WHEN_READABLE": "when readable",
            "RM_WHEN_WRITABLE": "when writable", "RM_IN_WORKER": "in a worker",
            "RM_IN_OWN_WORKER": "in a worker of its own"}[entry.soft.how if entry.soft else ""]


STEPS_HEAD = f'''"""The verbs as steps of a chain: what each does is said where it is a call.

{MADE}
"""

from __future__ import annotations

import os
import socket as _socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ringmill.face.step import Step

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, FileDescriptorOrPath, ReadableBuffer
    from _typeshed import StrOrBytesPath, WriteableBuffer

Address = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int] | str | bytes


class Steps:
    def add(self, verb: str, *arguments: Any, **keywords: Any) -> Step:
        raise NotImplementedError
'''


def steps(entries: Iterable[Entry]) -> str:
    out = [STEPS_HEAD.rstrip()]
    for entry in entries:
        if entry.many:
            continue
        # What wants a descriptor also takes the step that opens it.
        signature = _signature(entry, _spell_stub).replace(
            ": FileDescriptorLike", ": FileDescriptorLike | Step")
        passed = [f"{a.name}={a.name}" if a.keyword_only else a.name for a in entry.arguments]
        received = ", ".join(filter(None, ["self", signature]))
        out += ["", f"    def {entry.name}({received}) -> Step:",
                f"        return self.add({', '.join([repr(entry.name), *passed])})"]
    return "\n".join([*out, ""])


RENDERERS: dict[str, Callable[[Iterable[Entry]], str]] = {
    "src/ringmill/ops/aio.pyx": aio_pyx,
    "src/ringmill/ops/aio.pxd": aio_pxd,
    "src/ringmill/ops/aio.pyi": aio_pyi,
    "src/ringmill/face/call.pyx": call_pyx,
    "src/ringmill/face/call.pyi": call_pyi,
    "src/ringmill/face/steps.py": steps,
    "src/ringmill/ring/soft_rows.c": soft_rows,
    "docs/ops.md": manual,
}
