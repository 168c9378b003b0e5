"""Explicit-state exploration of IR programs: the oracle, the engine, the reduction."""
