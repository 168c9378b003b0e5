"""Candidate invariants of loops: which conjuncts Houdini may choose from.

They are made from the truth values (``atoms``) that the rules of a proof name, from the
variables that the loop assigns, and, for local arrays, from where the focus stands: in front
of, at or behind an index expression of the loop.  A candidate that is not inductive costs
time, never soundness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import z3

from ..lang import ir
from .contracts import WithHints
from .flow import Loop
from .rules import WithExact
from .values import Value, as_bool, as_int

if TYPE_CHECKING:
    from .view import Atoms, Execution, State

# A condition and whether it holds; an index expression under one (none: always).
Guard: TypeAlias = tuple[ir.Expr, bool]
Index: TypeAlias = tuple[Guard | None, ir.Expr]
# A text and its :data:`.view.Formula` (a lambda with defaults, which mypy cannot check).
Proposal: TypeAlias = tuple[str, Any]
OPERATORS = ("<", ">=", ">", "<=")


def proposals(
    execution: Execution, loop: Loop, assigned: list[int], shared: frozenset[str],
    entered: State, before: Atoms,
) -> Iterator[Proposal]:  # fmt: skip
    """The candidates of a loop: a text, and the formula in the execution's present state.

    ``assigned`` and ``shared``: the locals and shared variables that the loop assigns;
    ``entered`` and ``before``: the state, and its atoms, in front of the loop.
    """
    chosen = {name: was for name, (was, about) in before.items() if about & shared}
    for name, was in chosen.items():
        yield f"{name} as before", lambda now, name=name, was=was: now[name][0] == was
        if execution.rules.about_focus(name):
            yield f"{name} if before", lambda now, name=name, was=was: z3.Implies(
                was, now[name][0])
            yield f"{name} only if before", lambda now, name=name, was=was: z3.Implies(
                now[name][0], was)
            yield name, lambda now, name=name: now[name][0]
    rules = execution.rules
    passing: frozenset[str] = rules.passing if isinstance(rules, WithExact) else frozenset()
    for kind, extra in entered:
        if kind == "S" and extra not in execution.names and extra not in passing:
            yield f"{extra} as before", lambda now, extra=extra: (
                execution.state["S", extra] == entered["S", extra])
    if isinstance(execution.rules, WithHints):
        own = frozenset(assigned)
        for name in execution.rules.hints(execution, own):
            yield name, lambda now, name=name: execution.rules.hints(execution, own)[name]
    if execution.rules.arrays:
        yield from _of_locals(execution, loop, assigned, entered)
    yield from _with_switches(execution, assigned, chosen)
    focus = {name: was for name, was in chosen.items() if execution.rules.about_focus(name)}
    arrays = _arrays(execution, loop)
    for array, indices in arrays.items():
        changed = array in assigned
        if changed or focus:
            yield from _of_array(execution, array, indices, _tests(execution, loop), entered,
                                 before, focus, changed)
        if changed:
            for other, others in arrays.items():
                if other != array:
                    yield from _copied(execution, array, other, others)
        for _, index in indices:
            if focus and isinstance(index, ir.Local):
                yield from _of_cases(execution, loop, array, index.var, list(focus))


def _of_locals(
    execution: Execution, loop: Loop, assigned: list[int], entered: State
) -> Iterator[Proposal]:
    """About the scalars that the loop assigns."""
    names = [var.name for var in execution.thread.locals]
    tests = _tests(execution, loop)

    def value(var: int) -> Value:
        return execution.state["L", var]

    for var in assigned:
        local = execution.thread.locals[var]
        if local.is_array:
            continue
        was, name = entered["L", var], names[var]
        match local.domain.kind:
            case "int" if not name.startswith("$"):
                yield f"{name} >= before", lambda now, var=var, was=was: value(var) >= was
                if var in tests:
                    bound = tests[var]
                    least = _at(execution, entered, bound) >= was
                    yield f"{name} <= its bound, if before", (
                        lambda now, var=var, bound=bound, least=least: z3.Implies(
                            least, value(var) <= _int(execution, bound)))


def _with_switches(
    execution: Execution, assigned: list[int], chosen: Mapping[str, z3.BoolRef]
) -> Iterator[Proposal]:
    """Atoms that a truth value of the loop says something about: "has_trans", and the like."""
    locals_ = execution.thread.locals

    def true(var: int) -> z3.BoolRef:
        return as_bool(execution.state["L", var])

    def switches(var: int) -> bool:
        return locals_[var].name.rpartition(".")[2] in execution.rules.switches

    for var in filter(switches, assigned):
        routine, name = locals_[var].name.rpartition(".")[0], locals_[var].name
        fixed = [other for other in range(len(locals_)) if switches(other)
                 and other not in assigned and locals_[other].name.rpartition(".")[0] == routine]
        for atom, was in chosen.items():
            yield f"{atom} if {name}", lambda now, var=var, atom=atom: z3.Implies(
                true(var), now[atom][0])
            yield f"{atom} as before unless {name}", lambda now, var=var, atom=atom, was=was: (
                z3.Or(true(var), now[atom][0] == was))
            for other in fixed:
                both = f"{name} and {locals_[other].name}"
                yield f"{atom} if {both}", lambda now, var=var, other=other, atom=atom: z3.Implies(
                    z3.And(true(var), true(other)), now[atom][0])
                yield f"not {atom} before if {both}", (
                    lambda now, var=var, other=other, was=was: z3.Implies(
                        z3.And(true(var), true(other)), z3.Not(was)))
                yield f"{atom} as before unless {both}", (
                    lambda now, var=var, other=other, atom=atom, was=was: z3.Or(
                        z3.And(true(var), true(other)), now[atom][0] == was))


def _of_array(
    execution: Execution, array: int | str, indices: list[Index], tests: Mapping[int, ir.Expr],
    entered: State, before: Atoms, focus: Mapping[str, z3.BoolRef], changed: bool,
) -> Iterator[Proposal]:  # fmt: skip
    """About where the focus stands in an array."""
    name = str(array) if isinstance(array, str) else execution.thread.locals[array].name

    def inside() -> z3.BoolRef:
        return as_bool(execution.state["in", array])

    about = {name: was for name, (was, _) in before.items() if execution.rules.placed(name)}
    focus = {name: was for name, was in focus.items() if execution.rules.placed(name)}
    for atom, was in about.items():
        yield f"focus in {name} only if {atom}", lambda now, atom=atom: z3.Implies(
            inside(), now[atom][0])
        yield f"{atom} only if focus in {name}", lambda now, atom=atom: z3.Implies(
            now[atom][0], inside())
        yield f"{atom} anew only if focus in {name}", lambda now, atom=atom, was=was: z3.Implies(
            z3.And(now[atom][0], z3.Not(was)), inside())
    for atom, was in focus.items():
        yield f"focus not in {name}: {atom} as before", lambda now, atom=atom, was=was: z3.Implies(
            z3.Not(inside()), now[atom][0] == was)
    if changed:
        was_in, was_at = as_bool(entered["in", array]), entered["at", array]
        yield f"focus not in {name}", lambda now: z3.Not(inside())
        yield f"focus in {name} if before", lambda now: z3.Implies(was_in, inside())
        yield f"focus in {name} only if before", lambda now: z3.Implies(inside(), was_in)
        yield f"focus in {name} where it was", lambda now: z3.Implies(
            z3.And(inside(), was_in), execution.state["at", array] == was_at)
        yield f"focus once in {name}", lambda now: z3.Not(as_bool(execution.state["in2", array]))
    for number, (guard, index, is_bound) in enumerate(_bounded(indices, tests)):
        for op in OPERATORS if _falls(index) else OPERATORS[:2]:
            place = f"focus {op} index {number} of {name}"

            def side(index: ir.Expr = index, op: str = op) -> z3.BoolRef:
                at, term = execution.state["at", array], _int(execution, index)
                return {"<": at < term, ">=": at >= term, ">": at > term, "<=": at <= term}[op]

            def premise(guard: Guard | None = guard) -> z3.BoolRef:
                return inside() if guard is None else z3.And(inside(), _guard(execution, guard))

            if changed:
                yield place, lambda now, side=side, premise=premise: z3.Implies(premise(), side())
                yield f"{place}, if new", lambda now, side=side, premise=premise: z3.Or(
                    as_bool(entered["in", array]), z3.Implies(premise(), side()))
            for atom, was in focus.items():
                yield f"{place}: {atom} as before", (
                    lambda now, side=side, premise=premise, atom=atom, was=was: z3.Implies(
                        z3.And(premise(), side()), now[atom][0] == was))
                if not is_bound:
                    yield f"{place}: not {atom}", (
                        lambda now, side=side, premise=premise, atom=atom: z3.Implies(
                            z3.And(premise(), side()), z3.Not(now[atom][0])))


def _copied(
    execution: Execution, array: int | str, other: int | str, indices: list[Index]
) -> Iterator[Proposal]:
    """What is in one array came from the part of another that the rounds have passed."""
    for number, (guard, index) in enumerate(indices):
        if guard is not None:
            continue

        def passed(index: ir.Expr = index) -> z3.BoolRef:
            state = execution.state
            return z3.Implies(
                as_bool(state["in", array]),
                z3.And(as_bool(state["in", other]), state["at", other] < _int(execution, index)),
            )

        yield f"focus in {array} only if behind index {number} of {other}", (
            lambda now, passed=passed: passed())


def _of_cases(
    execution: Execution, loop: Loop, array: int | str, counter: int, atoms: list[str]
) -> Iterator[Proposal]:
    """What the rounds have done so far to those slots for which a test of the loop holds."""
    for node in sorted(loop.nodes):
        match execution.thread.code[node].action:
            case ir.Branch(ir.Binary("or" | "and") as test) if not any(
                isinstance(each, ir.Shared | ir.ListNext)
                or (isinstance(each, ir.Local) and each.index is not None)
                for each in ir.walk(test)
            ) and any(each == ir.Local(counter) for each in ir.walk(test)):
                pass
            case _:
                continue

        def there(test: ir.Expr = test) -> z3.BoolRef:
            state = execution.state
            execution.state = {**state, ("L", counter): state["at", array]}
            try:
                return z3.And(as_bool(state["in", array]), as_bool(execution.eval(test)),
                              state["at", array] < state["L", counter])
            finally:
                execution.state = state

        for atom in atoms:
            yield f"{atom} no more where the test at {node} held", (
                lambda now, there=there, atom=atom: z3.Implies(there(), z3.Not(now[atom][0])))


def _falls(index: ir.Expr) -> bool:
    """May the index become smaller when a counter grows?"""
    return any(isinstance(each, ir.Binary) and each.op == "-" for each in ir.walk(index))


def _bounded(
    indices: list[Index], tests: Mapping[int, ir.Expr]
) -> list[tuple[Guard | None, ir.Expr, bool]]:
    """The indices, and what they are with each counter at its bound."""
    found: list[tuple[Guard | None, ir.Expr, bool]] = [(*each, False) for each in indices]
    for guard, index in indices:
        for var, bound in tests.items():
            replaced = substitute(index, {var: bound})
            if replaced != index and (guard, replaced, True) not in found:
                found.append((guard, replaced, True))
    return found


def _tests(execution: Execution, loop: Loop) -> dict[int, ir.Expr]:
    """For counters: the bound that a branch of the loop compares them with."""
    found: dict[int, ir.Expr] = {}
    written = _written(execution, loop)
    for node in sorted(loop.nodes):
        match execution.thread.code[node].action:
            case ir.Branch(ir.Binary("<", ir.Local(var, None), bound)) if var in written:
                if _constant(bound, written):
                    found.setdefault(var, bound)
    return found


def _written(execution: Execution, loop: Loop) -> set[int]:
    written: set[int] = set()
    for node in loop.nodes:
        match execution.thread.code[node].action:
            case ir.Assign(ir.Local(var)) | ir.Choose(ir.Local(var)):
                written.add(var)
    return written


def _constant(expr: ir.Expr, written: set[int]) -> bool:
    """Does nothing in the expression change in the loop?"""
    return not any(
        isinstance(each, ir.Shared | ir.ListNext)
        or (isinstance(each, ir.Local) and (each.var in written or each.index is not None))
        for each in ir.walk(expr)
    )


def _arrays(execution: Execution, loop: Loop) -> dict[int | str, list[Index]]:
    """The arrays of references that the loop uses, with the indices."""
    definitions: dict[int, list[ir.Expr]] = {}
    for node in sorted(loop.nodes):
        match execution.thread.code[node].action:
            case ir.Assign(ir.Local(var, None), value):
                definitions.setdefault(var, []).append(value)
    found: dict[int | str, list[Index]] = {}

    def expand(expr: ir.Expr) -> ir.Expr:
        changes: dict[int, ir.Expr] = {}
        for each in ir.walk(expr):
            if isinstance(each, ir.Local) and each.index is None:
                values = definitions.get(each.var, [])
                if len(values) == 1 and not any(
                    isinstance(part, ir.Local) and part.var == each.var
                    for part in ir.walk(values[0])
                ) and not isinstance(values[0], ir.Const):
                    changes[each.var] = values[0]
        return substitute(expr, changes)

    def note(array: int, index: ir.Expr) -> None:
        if ("in", array) not in execution.state:
            return
        known = found.setdefault(array, [])
        index = expand(index)
        if any(isinstance(each, ir.Shared | ir.ListNext) for each in ir.walk(index)):
            return
        for each in _cases(index):
            if each not in known and len(known) < 6:
                known.append(each)

    for node in sorted(loop.nodes):
        action = execution.thread.code[node].action
        for root in ir.action_reads(action):
            for expr in ir.walk(root):
                if isinstance(expr, ir.Local) and expr.index is not None:
                    note(expr.var, expr.index)
        match action:
            case ir.Assign(ir.Local(var, index)) if index is not None:
                note(var, index)
    return found


def _cases(index: ir.Expr) -> Iterator[Index]:
    """An index that depends on a condition, as two."""
    for each in ir.walk(index):
        if isinstance(each, ir.Cond):
            yield (each.test, True), _replace(index, each, each.then)
            yield (each.test, False), _replace(index, each, each.other)
            return
    yield None, index


def _replace(expr: ir.Expr, old: ir.Expr, new: ir.Expr) -> ir.Expr:
    if expr == old:
        return new
    match expr:
        case ir.Binary(op, left, right, ctype):
            return ir.Binary(op, _replace(left, old, new), _replace(right, old, new), ctype)
        case ir.Unary(op, operand, ctype):
            return ir.Unary(op, _replace(operand, old, new), ctype)
    return expr


def substitute(expr: ir.Expr, changes: Mapping[int, ir.Expr]) -> ir.Expr:
    """The expression with scalars replaced."""
    match expr:
        case ir.Local(var, None):
            return changes.get(var, expr)
        case ir.Binary(op, left, right, ctype):
            return ir.Binary(op, substitute(left, changes), substitute(right, changes), ctype)
        case ir.Unary(op, operand, ctype):
            return ir.Unary(op, substitute(operand, changes), ctype)
        case ir.Cond(test, then, other):
            return ir.Cond(substitute(test, changes), substitute(then, changes),
                           substitute(other, changes))
    return expr


def _guard(execution: Execution, guard: Guard) -> z3.BoolRef:
    truth = as_bool(execution.eval(guard[0]))
    return truth if guard[1] else z3.Not(truth)


def _at(execution: Execution, state: State, expr: ir.Expr) -> z3.ArithRef:
    """The value of an expression in another state."""
    saved = execution.state
    execution.state = state
    try:
        return _int(execution, expr)
    finally:
        execution.state = saved


def _int(execution: Execution, expr: ir.Expr) -> z3.ArithRef:
    return as_int(execution, execution.eval(expr))
