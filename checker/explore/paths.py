"""The one path that is reported: the shortest, with the fewest context switches, then by content.

Ties are decided by what is in the states, never by their numbers, so that the path does not
depend on the order in which states were found: every engine, with any number of workers,
reports the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from .interpret import State

INITIAL = -1
"""The thread of the step that led to an initial state: none."""

Walk = tuple[int, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Goal:
    """The end of a path: a state, and possibly one more step of thread ``last``.

    That step leads to state ``final``, or (None) to no state, because it fails a check.
    ``instr`` is the instruction to blame, where there is one.
    """

    state: int
    last: int | None = None
    final: int | None = None
    instr: int | None = None


class Paths(Protocol):
    """Shortest paths to some states, with their context switches."""

    def arrivals(self, state: int) -> Mapping[int, int]:
        """By the thread of the last step: the fewest switches of a shortest path that ends so.

        Initial states are reached by :data:`INITIAL`, without any.
        """

    def predecessors(self, state: int, last: int) -> Sequence[tuple[int, int]]:
        """All (state, thread of its last step) that the best paths ending so come from."""


class Contents:
    """States ordered by what is in them: first the shared variables' bytes, then the rest.

    ``shared`` gives the bytes of a state's shared variables, ``whole`` the state.
    """

    def __init__(self, shared: Callable[[int], bytes], whole: Callable[[int], State]) -> None:
        self._shared, self._whole = shared, whole

    def least(self, states: Iterable[int]) -> int:
        """The state whose content comes first; there is at least one."""
        candidates = sorted(set(states))
        if len(candidates) > 1:
            keys = {state: self._shared(state) for state in candidates}
            lowest = min(keys.values())
            candidates = [state for state in candidates if keys[state] == lowest]
        if len(candidates) > 1:
            return min(candidates, key=self._content)
        return candidates[0]

    def _content(self, state: int) -> tuple[tuple[int, tuple[tuple[int, ...], ...]], ...]:
        return tuple((thread.pc, thread.locals) for thread in self._whole(state).threads)


def best_walk(paths: Paths, contents: Contents, goals: Iterable[Goal]) -> tuple[Goal, Walk]:
    """The best path to any of some goals of one depth: the goal, and the walk to its state.

    A walk is an initial state and (thread, state after its step) pairs.
    """
    offers = [
        (switches + (goal.last is not None and last not in (INITIAL, goal.last)), goal, last)
        for goal in goals
        for last, switches in paths.arrivals(goal.state).items()
    ]
    fewest = min(cost for cost, _, _ in offers)
    offers = [offer for offer in offers if offer[0] == fewest]
    offers = _least_by(contents, offers, lambda offer: offer[1].state)
    thread = min(_thread(goal) for _, goal, _ in offers)
    offers = [offer for offer in offers if _thread(offer[1]) == thread]
    finals = [goal.final for _, goal, _ in offers if goal.final is not None]
    if finals:
        final = contents.least(finals)
        offers = [offer for offer in offers if offer[1].final == final]
    _, goal, last = min(offers, key=lambda offer: (offer[1].instr or 0, offer[2]))
    steps: list[tuple[int, int]] = []
    state = goal.state
    while last != INITIAL:
        steps.append((last, state))
        before = paths.predecessors(state, last)
        before = _least_by(contents, before, lambda pair: pair[0])
        state, last = min(before, key=lambda pair: pair[1])
    return goal, (state, tuple(reversed(steps)))


def _thread(goal: Goal) -> int:
    return INITIAL if goal.last is None else goal.last


_Item = TypeVar("_Item")


def _least_by(
    contents: Contents, items: Sequence[_Item], state_of: Callable[[_Item], int]
) -> list[_Item]:
    """The items whose state comes first."""
    first = contents.least(state_of(item) for item in items)
    return [item for item in items if state_of(item) == first]
