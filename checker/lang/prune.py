"""Dropping shared variables that no thread and no property can tell from constants."""

from __future__ import annotations

from . import ir


def prune(program: ir.Program) -> ir.Program:
    """Placeholder until the frozen-variable pass: the program unchanged."""
    return program
