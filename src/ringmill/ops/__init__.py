"""Floor 2: what to ask. One table of ops, and what a small generator makes from it."""
