"""Floor 3: how to wait. Fibers that switch to each other, tasks that await, scopes and timeouts."""
