"""Which kernel answers, as type checkers see it."""
from typing import Any

from ringmill.core.lies import Lies

class Kernel:
    name: str
    why: str
    def __init__(self, name: str, why: str, lies: Lies | None = None) -> None: ...

def soft_facts() -> dict[str, Any]: ...
