"""What a symbolic execution yields: obligations, and candidates for invariants of loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import z3

from ..lang import ir
from .values import Value

ME, NOBODY = 0, 1
OTHERS, FOCUS = 0, 1  # entries of a pool that is seen through one of its entries

# local, shared, and for a local array of references: is the focus in it, and where.
Key: TypeAlias = tuple[str, int | str]
State: TypeAlias = dict[Key, Value]
# "contract": see :mod:`.contracts`.
Treatment: TypeAlias = Literal["prove", "assume", "ignore", "contract"]
# A truth value about a state, and the shared variables that it speaks of.
Atoms: TypeAlias = Mapping[str, tuple[z3.BoolRef, frozenset[str]]]
Formula: TypeAlias = Callable[[Atoms], z3.BoolRef]


@dataclass(frozen=True, slots=True, eq=False)
class Obligation:
    """``reach`` implies ``goal``, at an instruction."""

    kind: str
    name: str
    text: str
    node: int
    where: ir.Where
    reach: z3.BoolRef
    goal: z3.BoolRef
    state: State = field(default_factory=dict)

    @property
    def lines(self) -> tuple[int, ...]:
        return cited(self.where)


def cited(where: ir.Where) -> tuple[int, ...]:
    """The seed's lines: the statement's own, or of the call it was inlined for."""
    if where.lines:
        return where.lines
    for entry in reversed(where.stack):
        _, _, line = entry.partition("@")
        if line.isdigit():
            return (int(line),)
    return ()


@dataclass(slots=True, eq=False)
class Candidate:
    """What may be an invariant of the loop at ``head``; ``active`` switches it on."""

    head: int
    text: str
    active: z3.BoolRef
    goals: list[tuple[z3.BoolRef, z3.BoolRef]] = field(default_factory=list)
