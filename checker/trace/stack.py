"""Stacks of inlined calls: where the model's routines end and a primitive begins."""

from __future__ import annotations

from ..lang import primitives

PRIMITIVES = frozenset(
    name
    for name, value in vars(primitives).items()
    if callable(value) and getattr(value, "__module__", "") == primitives.__name__
)


def outside(stack: tuple[str, ...]) -> tuple[str, ...]:
    """A stack without the primitive it ends in."""
    for depth, frame in enumerate(stack):
        if frame.partition("@")[0] in PRIMITIVES:
            return stack[:depth]
    return stack


def primitive_of(stack: tuple[str, ...]) -> str:
    """The primitive that a stack ends in, as the model calls it; empty when in none."""
    for frame in stack:
        name = frame.partition("@")[0]
        if name in PRIMITIVES:
            return name
    return ""
