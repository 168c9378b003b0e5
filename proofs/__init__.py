"""Proofs of what holds without bounds: of the arithmetic, and of the protocol."""
