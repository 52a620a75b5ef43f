"""Floor 4: waiting for each other, across threads, processes and signals."""
