"""The ways through a unit as guarded commands: a condition on the state before it, and code.

Each way through a unit (a step from one fine stop to the next) that is short enough becomes
an alternative ``condition -> assignments`` without any branch.  Its condition is that of its
branches, waits and checks, with what the way assigned before them substituted, so that it
is about the state in which the step begins.  A way that ends in a violation is an
alternative too: it has nothing to undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..explore.interpret import ENDED
from ..explore.intervals import Env, Ranges
from ..lang import ir
from .expressions import (
    FALSE,
    Faults,
    both,
    compare,
    either,
    fold,
    impossible,
    negated,
    next_in_list,
)

MAX_WAYS = 8
MAX_LENGTH = 80
MAX_SIZE = 40


class NotSimple(Exception):
    """The unit has too many ways, or a condition that cannot be told beforehand."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way: what must hold, the nodes executed (with the value of each choice), its end.

    ``target`` is the stop it leads to (:data:`ENDED`); ``broken`` the property violated.
    """

    conditions: tuple[ir.Expr, ...]
    nodes: tuple[tuple[int, int], ...]
    target: int
    broken: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    node: int
    conditions: tuple[ir.Expr, ...] = ()
    nodes: tuple[tuple[int, int], ...] = ()
    locals: dict[tuple[int, int], ir.Expr] = field(default_factory=dict)
    shared: dict[tuple[int, int], ir.Expr] = field(default_factory=dict)
    blurred: frozenset[tuple[str, int]] = frozenset()

    def where(self, condition: ir.Expr) -> _Run | None:
        """The same under one more condition; None where it cannot be."""
        if isinstance(condition, ir.Const):
            return self if condition.value else None
        return replace(self, conditions=(*self.conditions, condition))

    def before(self, expr: ir.Expr) -> ir.Expr:
        """The expression in terms of the state in which the unit begins."""
        return _within_size(self._substituted(expr))

    def _substituted(self, expr: ir.Expr) -> ir.Expr:
        match expr:
            case ir.Const() | ir.Param():
                return expr
            case ir.Local(var, index):
                return self._read("local", self.locals, var, index, expr)
            case ir.Shared(var, index):
                return self._read("shared", self.shared, var, index, expr)
            case ir.Unary(op, operand, ctype):
                return fold(ir.Unary(op, self._substituted(operand), ctype))
            case ir.Binary(op, left, right, ctype):
                one, two = self._substituted(left), self._substituted(right)
                return fold(ir.Binary(op, one, two, ctype))
            case ir.Cond(test, then, other):
                parts = (self._substituted(part) for part in (test, then, other))
                return fold(ir.Cond(*parts))
            case ir.ListNext():
                return self._substituted(next_in_list(expr))

    def _read(
        self,
        kind: str,
        known: dict[tuple[int, int], ir.Expr],
        var: int,
        index: ir.Expr | None,
        expr: ir.Local | ir.Shared,
    ) -> ir.Expr:
        if (kind, var) in self.blurred:
            raise NotSimple
        at = ir.Const(0) if index is None else self._substituted(index)
        if isinstance(at, ir.Const):
            stored = known.get((var, at.value))
            if stored is not None:
                return stored
        elif any(one == var for one, _ in known):
            raise NotSimple
        if isinstance(expr, ir.Local):
            return ir.Local(var, None if index is None else at)
        return ir.Shared(var, at)

    def store(self, target: ir.Local | ir.Shared, value: ir.Expr) -> _Run:
        kind = "local" if isinstance(target, ir.Local) else "shared"
        index = ir.Const(0) if target.index is None else self._substituted(target.index)
        if not isinstance(index, ir.Const):
            return self.blur(kind, target.var)
        try:
            new = {(target.var, index.value): self.before(value)}
        except NotSimple:  # only a problem where a condition reads it
            return self.blur(kind, target.var)
        if kind == "local":
            return replace(self, locals={**self.locals, **new})
        return replace(self, shared={**self.shared, **new})

    def blur(self, kind: str, var: int) -> _Run:
        """From here on the variable's elements are not known."""
        return replace(self, blurred=self.blurred | {(kind, var)})


def _within_size(expr: ir.Expr) -> ir.Expr:
    for count, _ in enumerate(ir.walk(expr)):
        if count > MAX_SIZE:
            raise NotSimple
    return expr


@dataclass(slots=True)
class Ways:
    """Finds the ways of one thread's units."""

    ranges: Ranges
    thread: ir.Thread
    envs: Sequence[Env]

    def of(self, stop: int) -> list[Way]:
        """The ways of the unit that begins at a stop.  Raises NotSimple."""
        found: list[Way] = []
        todo = [_Run(stop)]
        while todo:
            run = todo.pop()
            if len(found) + len(todo) > MAX_WAYS or len(run.nodes) > MAX_LENGTH:
                raise NotSimple
            instr = self.thread.code[run.node]
            if isinstance(instr.action, ir.End):
                found.append(Way(run.conditions, run.nodes, ENDED))
            elif instr.fine_stop and run.nodes:
                found.append(Way(run.conditions, run.nodes, run.node))
            else:
                todo += reversed(self._after(run, instr, found))
        return found

    def _after(self, run: _Run, instr: ir.Instr, found: list[Way]) -> list[_Run]:
        """The runs after one instruction; the ways that end in it are noted."""
        start = run.nodes

        def fails(name: str, condition: ir.Expr) -> None:
            """From here on the condition does not hold; where it does is a violation."""
            nonlocal run
            if condition == FALSE:
                return
            condition = run.before(condition)
            bad = run.where(condition)
            if bad is not None:
                found.append(Way(bad.conditions, start, run.node, name))
            good = run.where(negated(condition))
            if good is None:
                raise NotSimple  # always a violation: told by the structured form
            run = good

        env = self.envs[run.node]
        faults = Faults(self.ranges)
        action = instr.action
        run = replace(run, nodes=(*run.nodes, (run.node, 0)))
        for root in _evaluated(action):
            fails("index", faults.of(root, env))
        match action:
            case ir.Assign(target, value):
                fails("index", self.outside(faults, target, env))
                fails("range", out_of_range(self.ranges, self.thread, target, value, env))
                run = run.store(target, value)
            case ir.Branch(test, other):
                condition = run.before(test)
                ways = [
                    (run.where(condition), instr.next),
                    (run.where(negated(condition)), other),
                ]
                return [replace(way, node=node) for way, node in ways if way is not None]
            case ir.Wait(guard):
                enabled = run.where(run.before(guard))
                return [] if enabled is None else [replace(enabled, node=instr.next)]
            case ir.Check(test, name):
                fails(name, negated(test))
            case ir.Choose(target, count):
                return self._choices(run, instr, target, count, faults)
            case ir.ListInsert(ref) | ir.ListRemove(ref):
                fails("index", faults.of_list(ref, env))
                fails("list", impossible(action))
                if isinstance(action, ir.ListInsert):
                    fails("range", list_range(self.ranges, action, env))
                run = run.blur("shared", ref.var)
        return [replace(run, node=instr.next)]

    def _choices(
        self, run: _Run, instr: ir.Instr, target: ir.Local, count: ir.Expr, faults: Faults
    ) -> list[_Run]:
        env = self.envs[run.node]
        if self.outside(faults, target, env) != FALSE:
            raise NotSimple
        most = self.ranges.of(count, env)[1]
        domain = self.thread.locals[target.var].domain
        if most > MAX_WAYS or domain.low > 0 or most - 1 > domain.high:
            raise NotSimple
        total = run.before(count)
        runs: list[_Run] = []
        for choice in range(most):
            way = run.where(compare(">", total, choice))
            if way is not None:
                way = way.store(target, ir.Const(choice))
                nodes = (*run.nodes[:-1], (run.node, choice))
                runs.append(replace(way, node=instr.next, nodes=nodes))
        return runs

    def outside(self, faults: Faults, target: ir.Local | ir.Shared, env: Env) -> ir.Expr:
        """The element that is stored does not exist."""
        return outside_target(faults, self.thread, target, env)


def _evaluated(action: ir.Action) -> list[ir.Expr]:
    """The expressions of an action that are evaluated before anything else, in order."""
    if isinstance(action, ir.ListInsert | ir.ListRemove):
        return [root for root in ir.action_reads(action) if root != action.list.base]
    return list(ir.action_reads(action))


def outside_target(
    faults: Faults, thread: ir.Thread, target: ir.Local | ir.Shared, env: Env
) -> ir.Expr:
    """The element that is stored does not exist."""
    if target.index is None:
        return FALSE
    if isinstance(target, ir.Shared):
        length = faults.ranges.program.shared[target.var].length
    else:
        length = thread.locals[target.var].length
    return faults.outside(target.index, length, env)


def out_of_range(
    ranges: Ranges, thread: ir.Thread, target: ir.Local | ir.Shared, value: ir.Expr, env: Env
) -> ir.Expr:
    """The value is outside the domain of what it is stored in."""
    if isinstance(target, ir.Shared):
        domain = ranges.program.shared[target.var].domain
    else:
        domain = thread.locals[target.var].domain
    return outside_domain(ranges, domain, value, env)


def outside_domain(ranges: Ranges, domain: ir.Domain, value: ir.Expr, env: Env) -> ir.Expr:
    low, high = ranges.of(value, env)
    below = compare("<", value, domain.low) if low < domain.low else FALSE
    above = compare(">", value, domain.high) if high > domain.high else FALSE
    return either(below, above)


def list_range(ranges: Ranges, action: ir.ListInsert, env: Env) -> ir.Expr:
    """The inserted item is outside the domain of the list."""
    return outside_domain(ranges, ranges.program.shared[action.list.var].domain, action.node, env)


def conjunction(conditions: Sequence[ir.Expr]) -> ir.Expr:
    """All of the conditions, evaluated in their order."""
    result: ir.Expr = ir.Const(1, ir.BOOL)
    for condition in conditions:
        result = both(result, condition)
    return result
