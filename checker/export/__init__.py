"""Programs of the IR for other tools: Promela, for SPIN."""
