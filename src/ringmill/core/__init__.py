"""Floor 1: who is waiting. The op, the strand that waits for it, the machine that turns."""
