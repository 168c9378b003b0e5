"""The graph of a search, and what is computed on it afterwards: paths and progress.

States are numbered in breadth-first order, so that the states of one depth are consecutive
and so are the edges that leave one state.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .paths import INITIAL


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


class Shortest:
    """Shortest paths to any of some states, with their context switches (:class:`~.paths.Paths`).

    One backward pass finds the states on shortest paths to the wanted ones, one forward pass
    the fewest switches of the paths to each of them.
    """

    def __init__(self, graph: Graph, wanted: Iterable[int]) -> None:
        self.graph = graph
        depth_of = {state: graph.depth(state) for state in wanted}
        deepest = max(depth_of.values(), default=0)
        needed: list[set[int]] = [set() for _ in range(deepest + 1)]
        for state, depth in depth_of.items():
            needed[depth].add(state)
        for depth in range(deepest - 1, -1, -1):
            behind, here = needed[depth + 1], needed[depth]
            if not behind:
                continue
            for state in range(graph.layers[depth], graph.layers[depth + 1]):
                for edge in graph.edges(state):
                    if graph.target[edge] in behind:
                        here.add(state)
                        break
        self._switches: dict[int, dict[int, int]] = {state: {INITIAL: 0} for state in needed[0]}
        self._before: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for depth in range(deepest):
            behind = needed[depth + 1]
            for state in sorted(needed[depth]):
                for edge in graph.edges(state):
                    target = graph.target[edge]
                    if target in behind:
                        self._relax(state, target, graph.thread[edge])

    def _relax(self, state: int, target: int, thread: int) -> None:
        known = self._switches.setdefault(target, {})
        for last, switches in self._switches[state].items():
            offer = switches + (last not in (INITIAL, thread))
            if offer < known.get(thread, offer + 1):
                known[thread] = offer
                self._before[target, thread] = set()
            if offer == known[thread]:
                self._before[target, thread].add((state, last))

    def arrivals(self, state: int) -> Mapping[int, int]:
        """See :meth:`.paths.Paths.arrivals`."""
        return self._switches[state]

    def predecessors(self, state: int, last: int) -> Sequence[tuple[int, int]]:
        """See :meth:`.paths.Paths.predecessors`."""
        return sorted(self._before[state, last])
