"""Tasks, as type checkers see them."""
from typing import Any, final

from ringmill.core.strand import Strand

@final
class Task(Strand):
    def join(self) -> Any: ...
