"""Which lock owners say for certain that a thread holds them: data flow over their values.

An *owner variable* holds thread numbers or "nobody".  It is *exclusive* if every store by
thread u is made where it holds "nobody" or u, and stores "nobody" or u.  Then two things are
true whatever the other threads do, and nothing is taken from annotations:

- while thread t rests at a node where an element is known to hold t, it holds t;
- no other thread changes whether an element equals t.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..lang import ir

Element: TypeAlias = tuple[int, int]
Elements: TypeAlias = frozenset[Element]
Known: TypeAlias = dict[Element, int]

# What an element may hold, as seen by a thread: a set of these; absent means all three.
_MINE, _FREE, _OTHER = 1, 2, 4
_ANY = 7


@dataclass(frozen=True, slots=True)
class Owners:
    """``exclusive`` variables; ``mine[thread][node]``: their elements that hold the thread there.

    Nodes without an entry are never reached.  The values at nodes that are no stops hold in the
    middle of a step.
    """

    exclusive: frozenset[int]
    mine: list[dict[int, Elements]]

    def held(self, thread: int, node: int) -> Elements:
        """What the thread certainly holds while it stands at the node."""
        return self.mine[thread].get(node, frozenset())


def owners(
    program: ir.Program,
    stops: Sequence[Sequence[int]],
    active: Sequence[Collection[int]] | None = None,
) -> Owners:
    """Analyse all threads.  ``stops``: where others may run; ``active``: code that counts."""
    flows = [
        _Flow(program, thread, stops[number], None if active is None else active[number])
        for number, thread in enumerate(program.threads)
    ]
    candidates = {
        number
        for number, var in enumerate(program.shared)
        if var.domain.kind == "thread" and not var.is_list
    }
    exclusive = frozenset(candidates - {var for flow in flows for var in flow.spoiled})
    mine = [
        {
            node: frozenset(
                element
                for element, values in known.items()
                if values == _MINE and element[0] in exclusive
            )
            for node, known in flow.before.items()
        }
        for flow in flows
    ]
    return Owners(exclusive, mine)


class _Flow:
    """One thread's data flow.  ``spoiled``: variables that it stores to in other ways.

    What is known of one variable never rests on another one, so that a spoiled variable does
    not spoil what is known of the rest.
    """

    def __init__(
        self,
        program: ir.Program,
        thread: ir.Thread,
        stops: Collection[int],
        active: Collection[int] | None,
    ) -> None:
        self.program, self.thread, self.me = program, thread, thread.index
        self.nobody = len(program.threads)
        self.spoiled: set[int] = set()
        self.before: dict[int, Known] = {thread.entry: {}}
        stopping = frozenset(stops)
        todo = [thread.entry]
        while todo:
            node = todo.pop()
            if active is not None and node not in active:
                continue
            for successor, known in self._after(node, self.before[node]):
                if successor in stopping:
                    known = _rested(known)
                old = self.before.get(successor)
                new = known if old is None else _joined(old, known)
                if new != old:
                    self.before[successor] = new
                    todo.append(successor)
        for node, known in self.before.items():
            if active is None or node in active:
                self._judge(node, known)

    def _after(self, node: int, known: Known) -> list[tuple[int, Known]]:
        instr = self.thread.code[node]
        match instr.action:
            case ir.Branch(test, other):
                return [
                    (instr.next, self._refine(test, True, known)),
                    (other, self._refine(test, False, known)),
                ]
            case ir.Wait(test) | ir.Check(test):
                return [(instr.next, self._refine(test, True, known))]
            case ir.Assign(ir.Shared(var, ir.Const(element)), value):
                known = {**known, (var, element): self._meaning(value)}
            case ir.Assign(ir.Shared(var, _), _):
                known = {place: values for place, values in known.items() if place[0] != var}
        return [(successor, known) for successor in instr.successors()]

    def _meaning(self, value: ir.Expr) -> int:
        if isinstance(value, ir.Const):
            if value.value == self.me:
                return _MINE
            return _FREE if value.value == self.nobody else _OTHER
        return _ANY

    def _judge(self, node: int, known: Known) -> None:
        """Is what the node stores to owner variables allowed?"""
        match self.thread.code[node].action:
            case ir.Assign(ir.Shared(var, ir.Const(element)), value):
                lost = known.get((var, element), _ANY) & _OTHER
                if lost or self._meaning(value) & _OTHER:
                    self.spoiled.add(var)
            case ir.Assign(ir.Shared(var, _), _):
                self.spoiled.add(var)
            case ir.ListInsert(ref) | ir.ListRemove(ref):
                self.spoiled.add(ref.var)

    def _refine(self, test: ir.Expr, truth: bool, known: Known) -> Known:
        """What is known where a test came out true (or false)."""
        match test:
            case ir.Unary("not", operand, _):
                return self._refine(operand, not truth, known)
            case ir.Binary("and" | "or", left, right, _):
                if (test.op == "and") == truth:  # both came out alike
                    return self._refine(right, truth, self._refine(left, truth, known))
                first = self._refine(left, truth, known)
                second = self._refine(right, truth, self._refine(left, not truth, known))
                return _joined(first, second)
            case ir.Binary("==" | "!=", left, right, _):
                for one, two in ((left, right), (right, left)):
                    match one, two:
                        case ir.Shared(var, ir.Const(element)), ir.Const():
                            same = self._meaning(two)
                            if (test.op == "==") == truth:
                                allowed = same
                            else:  # "other" stands for several values
                                allowed = _ANY if same == _OTHER else _ANY & ~same
                            left_over = known.get((var, element), _ANY) & allowed
                            if left_over:  # else it cannot happen
                                return {**known, (var, element): left_over}
        return known


def _rested(known: Known) -> Known:
    """What is still known after others may have run."""
    return {place: values for place, values in known.items() if values == _MINE}


def _joined(one: Known, two: Known) -> Known:
    joined = {place: values | two[place] for place, values in one.items() if place in two}
    return {place: values for place, values in joined.items() if values != _ANY}


def required(expr: ir.Expr, exclusive: frozenset[int], allowed: Collection[int]) -> Elements:
    """Owner elements that hold an allowed value wherever the expression is true."""
    match expr:
        case ir.Binary("and", left, right, _):
            return required(left, exclusive, allowed) | required(right, exclusive, allowed)
        case ir.Binary("or", left, right, _):
            return required(left, exclusive, allowed) & required(right, exclusive, allowed)
        case ir.Binary("==", left, right, _):
            for one, two in ((left, right), (right, left)):
                match one, two:
                    case ir.Shared(var, ir.Const(element)), ir.Const(value):
                        if var in exclusive and value in allowed:
                            return frozenset({(var, element)})
    return frozenset()
