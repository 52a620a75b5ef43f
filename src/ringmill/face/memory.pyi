"""Memory, as type checkers see it."""
from typing import Literal

from ringmill.core.lease import Lease
from ringmill.core.op import Op

def lease(n: int, *, on_full: Literal["wait", "raise"] | None = None) -> Lease: ...
def lease_op(n: int, *, on_full: Literal["wait", "raise"] | None = None) -> Op[Lease]: ...
