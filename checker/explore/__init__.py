"""Explicit-state engines."""
