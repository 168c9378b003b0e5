"""Specialising a program for its initial states, before anything explores it."""

from __future__ import annotations

from dataclasses import replace

from ..lang import ir
from ..lang.prune import drop_ghosts, freeze
from .interpret import Interpreter


def prepare(program: ir.Program) -> ir.Program:
    """Fold what no thread writes, and drop ghosts that nobody reads.

    The threads' behaviour is unchanged.  Raises SetupError when the setup itself violates a
    property.  States that will be left out because of an invariant are looked at too: what is
    folded here is right for them, so that they are recognised again.
    """
    states = Interpreter(replace(program, threads=[])).begin(consistent=False).states
    initial: list[tuple[int | None, ...]] = [
        tuple(
            values[0] if len(set(values)) == 1 else None
            for values in zip(*(state.shared[var] for state in states), strict=True)
        )
        for var in range(len(program.shared))
    ]
    return drop_ghosts(freeze(program, initial))
