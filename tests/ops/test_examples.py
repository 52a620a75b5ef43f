"""Every entry's docstring example is true: on each kernel, as a call and awaited.

For the awaitable face the same example is rewritten as a person would: verbs are awaited,
iterators are asynchronous.
"""

from __future__ import annotations

import ast
import builtins
import doctest
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import entries
from ringmill.ops.entry import ENTRIES
from support import machines

KERNELS = machines.EVERY_KERNEL


@pytest.mark.parametrize("name", entries())
@pytest.mark.usefixtures("machine")
def test_example(lab: Lab, face: str, name: str) -> None:
    examples = doctest.DocTestParser().get_examples(ENTRIES[name].doc)
    assert examples, f"the docstring of {name} in ops/table/ needs an example: >>> {name}(…)"
    assert any(f"{name}(" in example.source for example in examples)
    namespace: dict[str, Any] = {}
    for example in examples:
        tree = ast.parse(example.source)
        for word in names(tree) - set(namespace) - set(vars(builtins)) - set(ENTRIES):
            if not stored(tree, word):
                namespace[word] = lab.example(word)
        shown = run(face, tree, namespace)
        assert shown == example.want, example.source


def run(face: str, tree: ast.Module, namespace: dict[str, Any]) -> str:
    """Run one example; what the interactive interpreter would print."""
    verbs = ringmill if face == "fiber" else ringmill.aio
    namespace.update({name: getattr(verbs, name) for name in ENTRIES})
    if face == "aio":
        tree = ast.fix_missing_locations(Awaiting().visit(tree))
    (statement,) = tree.body
    expression = isinstance(statement, ast.Expr)
    code = compile(ast.Expression(statement.value) if expression else tree, "<example>",
                   "eval" if expression else "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if face == "fiber":
        value = ringmill.run(eval, code, namespace)
    else:
        value = eval(code, namespace)
        if hasattr(value, "send"):
            value = ringmill.run(value)
    return "" if value is None else f"{value!r}\n"


class Awaiting(ast.NodeTransformer):
    """`read(fd)` → `await read(fd)`, `next(iter(x))` → `await anext(aiter(x))`, `list` alike."""

    def visit_Call(self, call: ast.Call) -> ast.expr:
        self.generic_visit(call)
        if not isinstance(call.func, ast.Name):
            return call
        name = call.func.id
        if name in ENTRIES and not ENTRIES[name].many:
            return ast.Await(call)
        if name == "iter":
            call.func.id = "aiter"
        elif name == "next":
            call.func.id = "anext"
            return ast.Await(call)
        elif name == "list":
            item = ast.comprehension(ast.Name("x", ast.Store()), call.args[0], [], is_async=1)
            return ast.ListComp(ast.Name("x", ast.Load()), [item])
        return call


def names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def stored(tree: ast.AST, word: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == word
               and isinstance(node.ctx, ast.Store) for node in ast.walk(tree))
