"""A step of a chain: plain data. Knows no verb, and not how it is done."""

from __future__ import annotations

from typing import Any


class Step:
    """A verb with its arguments; where a later step wants a descriptor, the one it opens."""

    __slots__ = ("arguments", "closes", "index", "keywords", "used", "verb")

    def __init__(self, verb: str, index: int, arguments: tuple[Any, ...],
                 keywords: dict[str, Any]) -> None:
        self.verb = verb
        self.index = index
        self.arguments = arguments
        self.keywords = keywords
        self.used = False  # it opens a file for later steps
        self.closes: Step | None = None  # the step whose file it closes

    def __repr__(self) -> str:
        return f"<step {self.index + 1}: {self.verb}>"
