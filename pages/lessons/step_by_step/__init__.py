"""Step by step: a small table, and the arithmetic of every cell."""
