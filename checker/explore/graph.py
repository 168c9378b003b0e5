"""The graph of a search, and what is computed on it afterwards: paths and progress.

States are numbered in breadth-first order, so that the states of one depth are consecutive
and so are the edges that leave one state.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Graph:
    """States by number, layers by depth, edges by source.

    ``first[i]`` is the number of state i's first edge; ``target`` and ``thread`` describe
    edges.  ``layers[d]`` is the number of the first state of depth d.
    """

    states: list[bytes] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    first: array[int] = field(default_factory=lambda: array("Q"))
    target: array[int] = field(default_factory=lambda: array("I"))
    thread: bytearray = field(default_factory=bytearray)

    def edges(self, state: int) -> range:
        """The numbers of the edges that leave an expanded state."""
        if state >= len(self.first):
            return range(0)
        begin = self.first[state]
        end = self.first[state + 1] if state + 1 < len(self.first) else len(self.target)
        return range(begin, end)

    def depth(self, state: int) -> int:
        """The length of the shortest paths to a state."""
        low, high = 0, len(self.layers)
        while high - low > 1:
            middle = (low + high) // 2
            if self.layers[middle] <= state:
                low = middle
            else:
                high = middle
        return low

    def reaching(self, marks: array[int]) -> None:
        """Spread marks backwards: a state gets every bit of the states it can reach.

        ``marks`` has a bit mask for each state and is changed in place.
        """
        count = len(self.states)
        begin = array("Q", bytes(8 * (count + 1)))
        for target in self.target:
            begin[target + 1] += 1
        for state in range(count):
            begin[state + 1] += begin[state]
        source = array("I", bytes(4 * len(self.target)))
        fill = array("Q", begin)
        for state in range(len(self.first)):
            for edge in self.edges(state):
                target = self.target[edge]
                source[fill[target]] = state
                fill[target] += 1
        todo = [state for state in range(count) if marks[state]]
        while todo:
            state = todo.pop()
            mark = marks[state]
            for position in range(begin[state], begin[state + 1]):
                before = source[position]
                if mark & ~marks[before]:
                    marks[before] |= mark
                    todo.append(before)


@dataclass(frozen=True, slots=True)
class Goal:
    """The end of a path: a state, and possibly one more step of thread ``last``.

    That step leads to state ``final``, or (None) to no state, because it fails a check.
    """

    state: int
    last: int | None = None
    final: int | None = None


Walk = tuple[int, tuple[tuple[int, int], ...]]


class Shortest:
    """Shortest paths with the fewest context switches to any of some goals.

    One backward pass finds the states on shortest paths to the goals, one forward pass the
    best way to each of them.  Ties go to the lowest numbers, so the result is one path.
    """

    def __init__(self, graph: Graph, goals: Iterable[Goal]) -> None:
        self.graph = graph
        depth_of = {goal.state: graph.depth(goal.state) for goal in goals}
        deepest = max(depth_of.values(), default=0)
        needed: list[set[int]] = [set() for _ in range(deepest + 1)]
        for state, depth in depth_of.items():
            needed[depth].add(state)
        for depth in range(deepest - 1, -1, -1):
            wanted, here = needed[depth + 1], needed[depth]
            if not wanted:
                continue
            for state in range(graph.layers[depth], graph.layers[depth + 1]):
                for edge in graph.edges(state):
                    if graph.target[edge] in wanted:
                        here.add(state)
                        break
        # best[(state, thread of the last step)] = (switches, state before, its thread)
        self.best: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._last: dict[int, list[int]] = {}
        for state in sorted(needed[0]):
            self.best[state, -1] = (0, -1, -1)
            self._last[state] = [-1]
        for depth in range(deepest):
            wanted = needed[depth + 1]
            for state in sorted(needed[depth]):
                for edge in graph.edges(state):
                    target = graph.target[edge]
                    if target in wanted:
                        self._relax(state, target, graph.thread[edge])

    def _relax(self, state: int, target: int, thread: int) -> None:
        offer = min(
            (self.best[state, last][0] + (last not in (-1, thread)), state, last)
            for last in self._last[state]
        )
        old = self.best.get((target, thread))
        if old is None:
            self._last.setdefault(target, []).append(thread)
        if old is None or offer < old:
            self.best[target, thread] = offer

    def walk(self, goals: Iterable[Goal]) -> tuple[Goal, Walk]:
        """The best path to any of the goals: initial state, then (thread, state) pairs."""
        offers: list[tuple[tuple[int, int], int, int, int, Goal]] = []
        for goal in goals:
            for last in self._last.get(goal.state, ()):
                more = goal.last is not None and last not in (-1, goal.last)
                key = (self.graph.depth(goal.state), self.best[goal.state, last][0] + more)
                end = -1 if goal.last is None else goal.last
                offers.append((key, goal.state, end, last, goal))
        _, state, _, last, goal = min(offers, key=lambda offer: offer[:4])
        steps: list[tuple[int, int]] = []
        while True:
            _, before, before_last = self.best[state, last]
            if before < 0:
                return goal, (state, tuple(reversed(steps)))
            steps.append((last, state))
            state, last = before, before_last
