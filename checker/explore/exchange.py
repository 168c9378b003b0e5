"""Proof that exchanging two threads maps a program onto itself.

The code of every thread, with its constants permuted as their types say, must be the code of the
thread that it becomes: instruction by instruction, or, inside one unit, up to the order in which
a piece of it does things (a wakeup goes through all threads, in the order of their numbers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..lang import ir
from ..lang.simplify import map_action, map_expr
from .engine import Facts, fine_stops
from .liveness import element_mask
from .thread_types import MASK, THREAD, NotSymmetric, Type, Types, bit_truth, single_bits
from .unit_paths import Form, Path, TooComplex, normal, unit_paths
from .units import Unit, units

Order = tuple[int, ...]


def _apart(expr: ir.Expr) -> ir.Expr:
    """Every constant an object of its own, so that it can have a type of its own."""
    return ir.Const(expr.value, expr.ctype) if isinstance(expr, ir.Const) else single_bits(expr)


def _prepared(action: ir.Action) -> ir.Action:
    match map_action(action, _apart):
        case ir.Branch(test, other):
            return ir.Branch(bit_truth(test), other)
        case ir.Wait(guard, reason, rest):
            return ir.Wait(bit_truth(guard), reason, rest)
        case ir.Check(test, name, message):
            return ir.Check(bit_truth(test), name, message)
        case other_action:
            return other_action


class Exchanges:
    """Verifies which threads may be exchanged, of classes that look alike.

    Raises NotSymmetric if the program cannot be typed at all.
    """

    def __init__(self, known: Facts, classes: Sequence[Sequence[int]]) -> None:
        self.known = known
        threads = [
            replace(thread, code=[replace(i, action=_prepared(i.action)) for i in thread.code])
            for thread in known.program.threads
        ]
        self.program = program = replace(known.program, threads=threads)
        self.invariants = [
            (map_expr(one.test, _apart), map_expr(one.when, _apart)) for one in program.invariants
        ]
        self.witnesses = [map_expr(one.test, _apart) for one in program.witnesses]
        hints: dict[int, Type] = {}
        for members in classes:
            for other in members[1:]:
                hints.update(_hints(program, members[0], other))
        self.types = types = Types(program, hints)
        for members in classes:
            for other in members[1:]:
                for var in range(len(program.threads[other].locals)):
                    types.unify(("local", members[0], var), ("local", other, var))
        for thread in program.threads:
            for instr in thread.code:
                types.action(thread.index, instr.action)
        for test, when in self.invariants:
            types.truth(test, None)
            types.truth(when, None)
        for test in self.witnesses:
            types.truth(test, None)
        types.settle()
        types.closed(max(max(members) for members in classes))
        self.stops = [frozenset(row) for row in fine_stops(program)]
        self.units: list[dict[int, Unit]] = [units(thread) for thread in program.threads]
        self._paths: dict[tuple[int, int, frozenset[int]], list[Path]] = {}
        self._known: dict[tuple[int, Order], dict[tuple[ir.Expr, Type | None], Form]] = {}
        self._forms: dict[tuple[int, int, frozenset[int]], set[Form]] = {}
        self.uneven: list[set[int]] = [set() for _ in program.threads]
        """For each thread the nodes of regions that were compared as a whole (:meth:`_unit`)."""

    def exchange(self, one: int, two: int) -> None:
        """Verify that two threads may be exchanged.  Raises NotSymmetric or TooComplex."""
        order = list(range(len(self.program.threads)))
        order[one], order[two] = two, one
        for thread in range(len(order)):
            if thread <= order[thread]:  # the exchange is its own inverse
                self._threads(thread, order[thread], order)
        for test, when in self.invariants:
            self._same(test, order)
            self._same(when, order)
        for test in self.witnesses:
            self._same(test, order)

    def _same(self, expr: ir.Expr, order: Sequence[int]) -> None:
        renamed = self.types.rename(expr, order, None)
        if renamed != expr and normal(renamed) != normal(expr):
            raise NotSymmetric("an invariant or witness tells them apart")

    def _threads(self, one: int, two: int, order: Sequence[int]) -> None:
        """Is the code of thread ``one``, with its constants permuted, that of thread ``two``?"""
        first, second = self.program.threads[one], self.program.threads[two]
        differ = {
            node
            for node, (a, b) in enumerate(zip(first.code, second.code, strict=True))
            if self.types.rename_action(a.action, order, one) != b.action
        }
        for start, unit in self.units[one].items():
            if self.known.live[one].before[start] != self.known.live[two].before[start]:
                raise NotSymmetric("they remember different things")
            here = differ & set(unit.nodes)
            if unit == self.units[two][start] and here:
                self._unit(one, two, unit, here, order)
            elif here or unit != self.units[two][start]:
                raise NotSymmetric(f"their units at node {start} differ")

    def _unit(self, one: int, two: int, unit: Unit, differ: set[int], order: Sequence[int]) -> None:
        """Do two units do the same that differ in some nodes only?

        A region is cut out in both, and what is left matches node by node.  It is tried with
        the nodes that differ, then with those between them in the text of each call, with those
        between them on any way, with those up to which what they stored is remembered, and with
        the whole unit.
        """
        reason: Exception = NotSymmetric(f"their units at node {unit.start} differ")
        between = self._between(one, unit, differ)
        longer = between | self._remembering(one, unit, between)
        calls = self._calls(one, unit, differ)
        for region in (differ, calls, between, longer, set(unit.nodes)):
            try:
                if all(
                    self._piece(one, two, entry, region, order)
                    for entry in self._entries(one, unit, region) | self._entries(two, unit, region)
                ):
                    self.uneven[one] |= region
                    self.uneven[two] |= region
                    return
            except TooComplex as problem:
                reason = problem
        raise reason

    def _entries(self, thread: int, unit: Unit, region: set[int]) -> set[int]:
        """The nodes at which a region of a unit is entered."""
        code = self.program.threads[thread].code
        found = region & {unit.start}
        for node in set(unit.nodes) - region:
            found |= region & set(code[node].successors())
        return found

    def _calls(self, thread: int, unit: Unit, differ: set[int]) -> set[int]:
        """From the first to the last of some nodes in each call: inlined code is in one piece.

        On the way from one to the other there may be all of a loop that the call is in.
        """
        code = self.program.threads[thread].code
        calls: dict[tuple[str, ...], list[int]] = {}
        for node in sorted(differ):
            calls.setdefault(code[node].where.stack, []).append(node)
        return set(unit.nodes) & {
            node for own in calls.values() for node in range(own[0], own[-1] + 1)
        }

    def _between(self, thread: int, unit: Unit, differ: set[int]) -> set[int]:
        """The nodes from which one of some nodes can be reached that were behind one of them."""
        code = self.program.threads[thread].code
        nodes = set(unit.nodes)

        def spread(start: set[int], edges: dict[int, set[int]]) -> set[int]:
            found = set(start)
            todo = list(start)
            while todo:
                fresh = edges.get(todo.pop(), set()) - found
                found |= fresh
                todo += fresh
            return found

        forward = {
            node: {s for s in code[node].successors() if s in nodes and s != unit.start}
            for node in nodes
        }
        backward: dict[int, set[int]] = {}
        for node, successors in forward.items():
            for successor in successors:
                backward.setdefault(successor, set()).add(node)
        return spread(differ, forward) & spread(differ, backward)

    def _remembering(self, thread: int, unit: Unit, region: set[int]) -> set[int]:
        """The nodes behind a region at which a local that it stores to is live."""
        code, live = self.program.threads[thread].code, self.known.live[thread]
        stored = 0
        for node in region:
            action = code[node].action
            if isinstance(action, ir.Assign | ir.Choose) and isinstance(action.target, ir.Local):
                stored |= element_mask(self.program.threads[thread], live.offset, action.target)
        found: set[int] = set()
        todo = list(region)
        while todo:
            for node in code[todo.pop()].successors():
                if node in unit.nodes and node != unit.start and node not in found | region:
                    if live.before[node] & stored:
                        found.add(node)
                        todo.append(node)
        return found

    def _piece(
        self, one: int, two: int, entry: int, region: set[int], order: Sequence[int]
    ) -> bool:
        """Do two threads do the same from a node on, until they leave a region of their code?"""
        mine = {self._form(path, order, one) for path in self._paths_from(one, entry, region)}
        key = (two, entry, frozenset(region))
        if key not in self._forms:
            same = range(len(order))
            self._forms[key] = {
                self._form(path, same, two) for path in self._paths_from(two, entry, region)
            }
        return mine == self._forms[key]

    def _paths_from(self, thread: int, entry: int, region: set[int]) -> list[Path]:
        key = (thread, entry, frozenset(region))
        if key not in self._paths:
            outside = set(range(len(self.program.threads[thread].code))) - region
            self._paths[key] = unit_paths(
                self.program, self.program.threads[thread], self.known.envs[thread],
                self.known.live[thread], self.stops[thread] | outside, entry,
            )  # fmt: skip
        return self._paths[key]

    def _form(self, path: Path, order: Sequence[int], thread: int) -> Form:
        """A path with its constants permuted, as something that can be compared."""
        types = self.types
        known = self._known.setdefault((thread, tuple(order)), {})

        def form(expr: ir.Expr, wanted: Type | None = None) -> Form:
            key = (expr, wanted)
            if key not in known:
                known[key] = normal(types.rename(expr, order, thread, wanted))
            return known[key]

        def index(var: int, element: int) -> int:
            return types.value(element, types.of(("index", var)), order)

        return (
            frozenset((form(test), truth) for test, truth in path.tests.items()),
            frozenset(
                (var, index(var, element), form(value, types.of(("value", var))))
                for (var, element), value in path.shared.items()
            ),
            frozenset(
                (var, element, form(value, types.of(("local", thread, var))))
                for (var, element), value in path.locals.items()
            ),
            frozenset(
                (shared, var, form(value, types.of(_slot(shared, var, thread))))
                for (shared, var), values in path.fits.items()
                for value in values
            ),
            path.end,
        )


def _slot(shared: bool, var: int, thread: int) -> tuple[object, ...]:
    return ("value", var) if shared else ("local", thread, var)


def _hints(program: ir.Program, one: int, two: int) -> Iterator[tuple[int, Type]]:
    """Types of constants that differ between two threads' codes as an exchange makes them differ.

    No pair of different numbers fits both types.
    """
    both = 1 << one | 1 << two
    pairs = zip(program.threads[one].code, program.threads[two].code, strict=True)
    for first, second in pairs:
        for a, b in zip(_constants(first.action), _constants(second.action), strict=False):
            kind: Type | None = None
            if a.value != b.value and {a.value, b.value} == {one, two}:
                kind = THREAD
            elif a.value ^ b.value == both and a.value & both in (1 << one, 1 << two):
                kind = MASK
            if kind is not None:
                yield id(a), kind
                yield id(b), kind


def _constants(action: ir.Action) -> list[ir.Const]:
    found = [sub for root in ir.action_reads(action) for sub in ir.walk(root)]
    return [sub for sub in found if isinstance(sub, ir.Const)]
