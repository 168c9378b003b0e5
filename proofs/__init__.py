"""Proofs of what holds without bounds (not built yet)."""
