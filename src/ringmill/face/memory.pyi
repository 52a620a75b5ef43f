"""Memory, as type checkers see it."""
from typing import Literal

from ringmill.core.lease import Lease
from ringmill.core.op import Op

OnFull = Literal["wait", "raise"]

def lease(n: int, *, on_full: OnFull | None = None) -> Lease: ...
def lease_op(n: int, *, on_full: OnFull | None = None) -> Op[Lease]: ...
