"""The ops: one entry each. Everything else about an op is made from its entry by generate.py.

An entry is a Python signature whose annotations are field kinds (fields.py), a docstring, an
example, and one line that says which opcode it is and how the soft kernel executes it. The
expression after `soft=` is C over the argument names (`n` is the size of a buffer argument).
Names, order and keywords follow `os` and `socket`: they hide builtins where those do.

Each module here is a room of the manual, in this order.
"""

from __future__ import annotations

from ringmill.ops.table import (  # noqa: F401
    files, paths, sockets, messages, waiting, many,
)
