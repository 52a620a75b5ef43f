"""For tests of your own: a kernel that lies, with a clock that waits for nobody.

    from ringmill.testing import SimMachine

    with SimMachine(seed=7) as machine:
        machine.run(main)

docs/testing.md tells what it finds.
"""

from __future__ import annotations

from ringmill.testing.explore import explore
from ringmill.testing.sim import SimMachine
from ringmill.testing.story import Event

__all__ = ["Event", "SimMachine", "explore"]
