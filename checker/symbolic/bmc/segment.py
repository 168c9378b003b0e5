"""One block of one thread, executed for many inputs at the same time.

A block runs from a stop to the next one.  Where a test depends on inputs the path divides, and
paths that meet again with the same choices behind them are joined: what differs becomes a value
with cases (Kuznetsov, Kinder, Bucur and Candea, "Efficient state merging in symbolic execution",
2012).  The paths of one block stand for disjoint sets of inputs, so no input is lost or doubled.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection

from ...explore.errors import InternalError
from ...explore.interpret import ENDED, FUEL
from ...explore.liveness import liveness
from ...explore.pygen import Checks
from ...lang import ir
from .expressions import Fault, Path, Split
from .guards import Guard
from .instructions import Instructions, Outcome, Step
from .values import Cases, Value, Values


class Machine(Instructions):
    """Executes blocks of one thread.

    ``joining``: paths that meet inside a block are joined.  ``whole``: there are no stops (setup).
    """

    def __init__(
        self, program: ir.Program, thread: ir.Thread, values: Values, stops: Collection[int],
        checks: Checks | None = None, *, joining: bool = True, whole: bool = False,
    ) -> None:
        super().__init__(program, thread, values, checks or Checks())
        self.stops = frozenset(() if whole else stops)
        self.joining, self.whole = joining, whole
        self.initial: tuple[Value, ...] = tuple(
            var.initial for var in thread.locals for _ in range(var.length)
        )
        self._live_masks = liveness(thread)
        self._live: dict[int, tuple[int, ...]] = {}
        self._steps: dict[int, Step] = {}
        self._order = _order(thread)
        self._meetings = _meetings(thread) if joining else frozenset()

    def live(self, node: int) -> tuple[int, ...]:
        """Positions of the locals that may still be read from a node on."""
        found = self._live.get(node)
        if found is None:
            mask = self._live_masks.before[node]
            # Positions in flat memory are those of the liveness masks.
            found = tuple(at for at in range(self.local.size) if mask >> at & 1)
            self._live[node] = found
        return found

    # ---------------------------------------------------------------------- running

    def run(
        self, node: int, shared: tuple[Value, ...], local: tuple[Value, ...], condition: Guard
    ) -> list[Outcome]:
        """All ways the block from a stop can go, but for where it is not enabled."""
        if node == ENDED:
            return []
        start = Path(node, list(shared), list(local), condition, (), True, FUEL, set())
        waiting: dict[tuple[int, tuple[int, ...], bool], Path] = {}
        queue: list[tuple[int, tuple[int, ...], bool, int]] = []
        done: list[Outcome] = []
        todo = [start]
        while todo or queue:
            if not todo:
                _, choices, first, at = heapq.heappop(queue)
                todo.append(waiting.pop((at, choices, first)))
            path = todo.pop()
            for onward in self._onward(path, done):
                if not self.joining or onward.again:
                    todo.append(onward)  # the halves of a split would be joined at once
                    continue
                key = (onward.node, onward.choices, onward.first)
                other = waiting.get(key)
                if other is None:
                    waiting[key] = onward
                    order = self._order[onward.node]
                    heapq.heappush(queue, (order, onward.choices, onward.first, onward.node))
                else:
                    self._join(other, onward)
        return self._united(done)

    def _onward(self, path: Path, done: list[Outcome]) -> list[Path]:
        """Run a path until it divides, or ends (then it is put with the outcomes)."""
        code, stops, steps = self.thread.code, self.stops, self._steps
        while True:
            node = path.node
            step = steps.get(node)
            if step is None:
                step = steps[node] = self._step(node)
            if path.again:
                path.again = False
            elif path.nodes:
                if node in stops:
                    done.append(self._stopped(path))
                    return []
                if path.first and code[node].fine_stop and not self.whole:
                    path.first = False
            path.nodes.add(node)
            path.fuel -= 1
            if path.fuel == 0:
                done.append(self._failed(path, "divergence"))
                return []
            try:
                divided = step(path)
            except Split as split:
                guards = self.guards
                two = self._narrowed(path, guards.without(path.condition, split.guard))
                one = self._narrowed(path, guards.both(path.condition, split.guard))
                one.again = two.again = True
                return [one, two]
            except Fault as fault:
                done.append(self._failed(path, fault.name))
                return []
            if path.node == ENDED:
                done.append(self._stopped(path))
                return []
            if divided is not None:
                return self._resolved(divided, done)
            if path.node in self._meetings:
                return self._resolved([path], done)

    def _resolved(self, results: list[Path | Outcome], done: list[Outcome]) -> list[Path]:
        """Of what an instruction made: the paths that go on; the others are outcomes."""
        rest: list[Path] = []
        for result in results:
            if isinstance(result, Outcome):
                done.append(result)
            elif result.node in self.stops:
                done.append(self._stopped(result))
            else:
                rest.append(result)
        return rest

    def _stopped(self, path: Path) -> Outcome:
        self.seen.covered |= path.nodes
        under, condition = self.values.under, path.condition
        shared = tuple(
            under(value, condition) if isinstance(value, Cases) else value
            for value in path.shared
        )
        local = self.initial
        if path.node != ENDED and not self.whole:
            cells = list(local)
            for at in self.live(path.node):
                cells[at] = under(path.local[at], condition)
            local = tuple(cells)
        return Outcome(condition, path.choices, path.node, shared, local)

    # ---------------------------------------------------------------------- joining

    def _join(self, one: Path, two: Path) -> None:
        """Put two paths for disjoint inputs together, into the first."""
        guards, select = self.guards, self.values.select
        guard = _difference(guards.all, one.condition, two.condition)
        for at, value in enumerate(two.shared):
            if one.shared[at] is not value and one.shared[at] != value:
                one.shared[at] = select(guard, one.shared[at], value)
        for at in self.live(one.node):
            value = two.local[at]
            if one.local[at] is not value and one.local[at] != value:
                one.local[at] = select(guard, one.local[at], value)
        one.condition = guards.either(one.condition, two.condition)
        one.fuel = min(one.fuel, two.fuel)
        one.nodes |= two.nodes

    def _united(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Outcomes that end alike as one: joined, or (always) where they are the same."""
        groups: dict[tuple[object, ...], Outcome] = {}
        for outcome in outcomes:
            key: tuple[object, ...] = (
                outcome.choices, outcome.node, outcome.failed, outcome.broken,
            )  # fmt: skip
            if not self.joining:
                key = (*key, outcome.shared, outcome.local)
            known = groups.get(key)
            groups[key] = outcome if known is None else self._merged(known, outcome)
        return list(groups.values())

    def _merged(self, one: Outcome, two: Outcome) -> Outcome:
        guards, select = self.guards, self.values.select
        condition = guards.either(one.condition, two.condition)
        if one.shared == two.shared and one.local == two.local:
            return Outcome(condition, one.choices, one.node, one.shared, one.local, one.failed,
                           one.broken)  # fmt: skip
        guard = _difference(guards.all, one.condition, two.condition)
        shared, local = (
            tuple(
                a if a is b or a == b else select(guard, a, b)
                for a, b in zip(first, second, strict=True)
            )
            for first, second in ((one.shared, two.shared), (one.local, two.local))
        )
        return Outcome(condition, one.choices, one.node, shared, local)


def _difference(
    conjunction: Callable[[Collection[Guard]], Guard], one: Guard, two: Guard
) -> Guard:
    """A simple guard that holds for all inputs of the first condition and none of the second."""
    if one.kind == two.kind == "and":
        shared = {part.number for part in two.parts}
        own = [part for part in one.parts if part.number not in shared]
        if own:
            return conjunction(own)
    return one


def _meetings(thread: ir.Thread) -> frozenset[int]:
    """The nodes where paths may meet."""
    before: dict[int, int] = {}
    for instr in thread.code:
        for target in set(instr.successors()):
            before[target] = before.get(target, 0) + 1
    return frozenset(node for node, count in before.items() if count > 1)


def _order(thread: ir.Thread) -> dict[int, int]:
    """Every node's position in an order in which only back edges lead backwards."""
    postorder: list[int] = []
    seen = {thread.entry}
    stack = [(thread.entry, list(thread.code[thread.entry].successors()))]
    while stack:
        node, todo = stack[-1]
        if todo:
            target = todo.pop()
            if target not in seen:
                seen.add(target)
                stack.append((target, list(thread.code[target].successors())))
        else:
            stack.pop()
            postorder.append(node)
    if not seen:
        raise InternalError("a thread without code")
    return {node: at for at, node in enumerate(reversed(postorder))}
