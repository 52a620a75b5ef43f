"""Which kernel answers, as type checkers see it."""
from typing import Any

class Kernel:
    name: str
    why: str
    def __init__(self, name: str, why: str) -> None: ...

def soft_facts() -> dict[str, Any]: ...
