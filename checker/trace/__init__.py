"""Counterexamples: stored, re-executed, rendered."""
