"""Paths of a graph that keeps one state of each orbit, as paths of the program.

A state of such a graph stands for all that it can be exchanged with (:mod:`.symmetry`).  Along a
path it is remembered which of them the program would be in, as the permutation from the one
that was kept: a step of thread t there is one of the thread that t has become.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .engine import Engine, Outcome
from .errors import InternalError
from .symmetry import Order, Symmetry


@dataclass(frozen=True, slots=True)
class Place:
    """A state of the program, and what the threads of the kept state have become in it."""

    data: bytes
    order: Order


class Lift:
    """Lifts paths; where nothing is exchanged they stay as they are.

    ``stored`` gives the bytes of a kept state, in the layout of ``engine``.
    """

    def __init__(
        self, engine: Engine, stored: Callable[[int], bytes], symmetry: Symmetry | None = None
    ) -> None:
        self.engine, self._stored = engine, stored
        self._symmetry = symmetry or Symmetry(engine.known)

    def initial(self, state: int) -> tuple[int, Place]:
        """The initial state that a kept one stands for: its number among all, and itself."""
        for number, data in enumerate(self.engine.initial()):
            found = self._place(state, data)
            if found is not None:
                return number, found
        raise InternalError("a path that does not begin in an initial state")

    def step(self, before: Place, thread: int, state: int) -> tuple[int, Outcome, Place]:
        """The step to some state of an orbit: the thread that makes it, and where it leads."""
        thread = before.order[thread]
        for outcome in self.engine.outcomes(before.data, thread):
            if outcome.after is not None:
                after = self._place(state, outcome.after)
                if after is not None:
                    return thread, outcome, after
        raise InternalError("a transition cannot be repeated")

    def failing(
        self, before: Place, thread: int, name: str, instr: int | None
    ) -> tuple[int, Outcome]:
        """The step of a thread that fails a check, and the thread that makes it.

        Exchanged threads may fail the same check at different instructions.
        """
        moved = before.order[thread]
        found = [
            outcome
            for outcome in self.engine.outcomes(before.data, moved)
            if outcome.violation is not None and outcome.violation.property == name
        ]
        for outcome in found:
            assert outcome.violation is not None
            if outcome.violation.instr == instr:
                return moved, outcome
        if not found or moved == thread:
            raise InternalError("a violation cannot be repeated")
        return moved, found[0]

    def _place(self, state: int, data: bytes) -> Place | None:
        """Some bytes as a place, if they are of the orbit that a kept state stands for."""
        kept = self._stored(state)
        orders = self._symmetry.orders
        if kept == data:
            return Place(data, orders[0])
        if len(orders) == 1:
            return None
        layout = self.engine.layout
        origin, target = layout.decode(kept), layout.decode(data)
        for order in orders:
            if self._symmetry.permuted(origin, order) == target:
                return Place(data, order)
        return None
