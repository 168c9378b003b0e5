"""Values of expressions in a view, and stores.

Integers are mathematical ones, flag words bit-vectors, the rest truth values.  Of an array of
references it is known where the focus stands in it, and nothing else.  What is not understood
is any value, a new one at each evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import z3

from ..lang import ir
from .obligations import FOCUS, OTHERS
from .rules import WithExact, WithLatest
from .values import (
    BITS,
    Value,
    as_bits,
    as_bool,
    as_int,
    harmonised,
    is_word,
    number_of,
    pool_of,
)

if TYPE_CHECKING:
    from .view import Execution


def evaluate(execution: Execution, expr: ir.Expr) -> Value:
    """The value of an expression in the present state."""
    match expr:
        case ir.Const(value, ctype):
            return z3.BoolVal(bool(value)) if ctype == ir.BOOL else z3.IntVal(value)
        case ir.Local(var, None):
            return execution.state["L", var]
        case ir.Local(var, position):
            assert position is not None
            where = as_int(execution, execution.eval(position))
            return _read_array(execution, var, execution.thread.locals[var].domain, where)
        case ir.Shared(var, index):
            return _read_shared(execution, var, index)
        case ir.Unary("cast", operand, ctype):
            return _unsigned(execution, execution.eval(operand), ctype)
        case ir.Unary(op, operand, _):
            return _unary(execution, op, execution.eval(operand))
        case ir.Binary(("==" | "!=") as op, left, right, _):
            return _equal(execution, op, left, right)
        case ir.Binary(op, left, right, ctype):
            value = _binary(execution, op, execution.eval(left), execution.eval(right))
            return _unsigned(execution, value, ctype) if op == "-" else value
        case ir.Cond(test, then, other):
            one, two = harmonised(execution, execution.eval(then), execution.eval(other))
            return z3.If(as_bool(execution.eval(test)), one, two)
        case ir.ListNext(ref, node):
            listed = execution.program.shared[ref.var]
            value = execution.fresh(f"next.{listed.name}", listed.domain)
            if pool_of(listed.domain) in execution.rules.pools:
                # Nothing stands twice in a list.
                behind = as_int(execution, execution.eval(node))
                execution.facts.append(z3.Implies(value == FOCUS, behind != FOCUS))
            execution.rules.read(execution, listed.name, value)
            return value
    raise AssertionError(expr)


def _read_array(
    execution: Execution, var: int | str, domain: ir.Domain, index: z3.ArithRef
) -> Value:
    value = execution.fresh(f"element of {var}", domain)
    if ("in", var) not in execution.state:
        return value
    here = z3.Or(
        z3.And(as_bool(execution.state["in", var]), execution.state["at", var] == index),
        z3.And(as_bool(execution.state["in2", var]), execution.state["at2", var] == index),
    )
    execution.facts.append(value != FOCUS)
    return z3.If(here, z3.IntVal(FOCUS), value)


def _read_shared(execution: Execution, var: int, index: ir.Expr) -> Value:
    shared = execution.program.shared[var]
    if ("in", shared.name) in execution.state:
        where = as_int(execution, execution.eval(index))
        return _read_array(execution, shared.name, shared.domain, where)
    other = execution.fresh(shared.name, shared.domain)
    if ("S", shared.name) not in execution.state:
        execution.rules.read(execution, shared.name, other)
        return other
    value = execution.state["S", shared.name]
    if execution.rules.set_bit(shared):
        bits = execution.new(shared.name, z3.BitVecSort(BITS))
        execution.facts.append((z3.Extract(0, 0, bits) == 1) == value)
        return bits
    if shared.length == 1:
        return value
    here = focused(execution, shared, index)
    if not z3.is_true(here):
        second = _latest(execution, shared, index)
        if second is not None and z3.is_true(second) and shared.name.endswith(".live"):
            assert isinstance(execution.rules, WithLatest)
            execution.rules.renamed(execution)
            return z3.BoolVal(False)
        known = execution.rules.other(execution, shared.name)
        other = other if known is None else known
        if second is not None and ("S", f"{shared.name}@") in execution.state:
            other = z3.If(second, execution.state["S", f"{shared.name}@"], other)
    return z3.If(here, value, other)


def _latest(
    execution: Execution, shared: ir.SharedVar, index: ir.Expr
) -> z3.BoolRef | None:
    """Does the index name the entry taken last, where rules follow it?"""
    pool = shared.name.partition(".")[0]
    if not isinstance(execution.rules, WithLatest) or pool not in execution.rules.latest:
        return None
    which = as_int(execution, execution.eval(index))
    return z3.simplify(which == execution.rules.latest[pool] * shared.width)


def focused(execution: Execution, shared: ir.SharedVar, index: ir.Expr) -> z3.BoolRef:
    """Does the index name the focus entry?  (A scalar's only entry does.)"""
    if shared.length == 1:
        return z3.BoolVal(True)
    which = as_int(execution, execution.eval(index))
    pool = shared.name.partition(".")[0]
    wanted = FOCUS if pool in execution.rules.pools else 0
    return z3.simplify(which == wanted * shared.width)


def _pool(execution: Execution, expr: ir.Expr) -> str:
    match expr:
        case ir.Local(var):
            return pool_of(execution.thread.locals[var].domain)
        case ir.Shared(var):
            return pool_of(execution.program.shared[var].domain)
        case ir.Cond(_, then, other):
            return _pool(execution, then) or _pool(execution, other)
        case ir.ListNext(ref):
            return pool_of(execution.program.shared[ref.var].domain)
        case ir.Unary(_, operand):
            return _pool(execution, operand)
    return ""


def _equal(execution: Execution, op: str, left: ir.Expr, right: ir.Expr) -> z3.BoolRef:
    one, two = harmonised(execution, execution.eval(left), execution.eval(right))
    same = one == two
    pools = execution.rules.pools
    if _pool(execution, left) in pools and _pool(execution, right) in pools:
        # Two entries that are not the focus may be the same one or not.
        same = z3.If(z3.And(one == OTHERS, two == OTHERS), execution.truth("same"), same)
    return same if op == "==" else z3.Not(same)


def _unsigned(execution: Execution, value: Value, ctype: ir.CType) -> Value:
    """In an unsigned type: of what wraps around it is known only that it is not negative."""
    if ctype.signed or ctype.bits == 1 or not isinstance(value, z3.ArithRef):
        return value
    number = number_of(value)
    if number is not None and number >= 0:
        return value
    wrapped = execution.new("wrapped", z3.IntSort())
    execution.facts.append(wrapped >= 0)
    return z3.If(value >= 0, value, wrapped)


def _unary(execution: Execution, op: str, value: Value) -> Value:
    match op:
        case "not":
            return z3.Not(as_bool(value))
        case "-":
            return -as_int(execution, value)
    if isinstance(value, z3.BitVecRef):
        return ~value
    number = as_int(execution, value)
    return -number - 1


def _binary(execution: Execution, op: str, one: Value, two: Value) -> Value:
    match op:
        case "and":
            return z3.And(as_bool(one), as_bool(two))
        case "or":
            return z3.Or(as_bool(one), as_bool(two))
        case "&" | "|" | "^":
            return _bits(execution, op, one, two)
    if isinstance(one, z3.BitVecRef) or isinstance(two, z3.BitVecRef):
        word, other = as_bits(execution, one), as_bits(execution, two)
        match op:
            case "+":
                return word + other
            case "-":
                return word - other
            case ">>":
                return z3.LShR(word, other)
            case ">":
                return z3.UGT(word, other)
        comparison = op in ("<", "<=", ">", ">=")
        return execution.new(op, z3.BoolSort() if comparison else z3.IntSort())
    a, b = as_int(execution, one), as_int(execution, two)
    match op:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "+":
            return a + b
        case "-":
            return a - b
        case "min":
            return z3.If(b < a, b, a)
        case "max":
            return z3.If(b > a, b, a)
        case "*" if number_of(a) is not None or number_of(b) is not None:
            return a * b
    amount = number_of(b)
    if amount is not None and 0 <= amount < 64:
        if op == "<<":
            return a * (1 << amount)
        known = number_of(a)
        if op == ">>" and known is not None:
            return z3.IntVal(known >> amount)
    result = execution.new(op, z3.IntSort())
    if op == ">>" and amount is not None and 0 <= amount < 64 and _exact(execution):
        unit = 1 << amount
        execution.facts.append(z3.And(result * unit <= a, a < (result + 1) * unit))
    if op == ">>":
        execution.facts.append(z3.Implies(z3.And(a >= 0, b >= 0), z3.And(result >= 0, result <= a)))
    elif op == "<<":
        execution.facts.append(z3.Implies(z3.And(a >= 0, b >= 0), result >= a))
    return result


def _exact(execution: Execution) -> bool:
    return isinstance(execution.rules, WithExact) and execution.rules.exact


def _bits(execution: Execution, op: str, one: Value, two: Value) -> Value:
    if isinstance(one, z3.BitVecRef) or isinstance(two, z3.BitVecRef):
        a, b = as_bits(execution, one), as_bits(execution, two)
        return a & b if op == "&" else a | b if op == "|" else a ^ b
    x, y = as_int(execution, one), as_int(execution, two)
    p, q = number_of(x), number_of(y)
    if p is not None and q is not None:
        return z3.IntVal(p & q if op == "&" else p | q if op == "|" else p ^ q)
    result = execution.new(op, z3.IntSort())
    if op == "&" and _exact(execution):
        for each, other in ((x, q), (y, p)):
            if other is not None and other < 0 and -other & (-other - 1) == 0:
                # The mask leaves out the bits below a power of two.
                rest = execution.new("rest", z3.IntSort())
                execution.facts.append(z3.And(
                    result <= each, each < result - other, result == rest * -other))
    if op == "&":
        for each in (x, y):
            execution.facts.append(z3.Implies(each >= 0, z3.And(result >= 0, result <= each)))
    return result


# ------------------------------------------------------------------------ stores


def assign(execution: Execution, target: ir.Local | ir.Shared, value: Value) -> None:
    match target:
        case ir.Local(var, None):
            execution.state["L", var] = fit(execution, value, execution.thread.locals[var].domain)
        case ir.Local(var, index):
            assert index is not None
            if ("in", var) in execution.state:
                _store_array(execution, var, index, value)
        case ir.Shared(var, index):
            shared = execution.program.shared[var]
            if ("in", shared.name) in execution.state:
                execution.rules.before(execution, shared.name, z3.BoolVal(True), value)
                _store_array(execution, shared.name, index, value)
                return
            focus = focused(execution, shared, index)
            if execution.rules.set_bit(shared):
                fitted: Value = z3.Extract(0, 0, as_bits(execution, value)) == 1
            else:
                fitted = fit(execution, value, shared.domain)
            execution.rules.before(execution, shared.name, focus, fitted)
            second = _latest(execution, shared, index)
            if second is not None:
                assert isinstance(execution.rules, WithLatest)
                execution.rules.stored(execution, shared.name, second, fitted)
                if ("S", f"{shared.name}@") in execution.state:
                    old = execution.state["S", f"{shared.name}@"]
                    execution.state["S", f"{shared.name}@"] = z3.If(second, fitted, old)
            if ("S", shared.name) in execution.state:
                old = execution.state["S", shared.name]
                execution.state["S", shared.name] = z3.If(focus, fitted, old)
            execution.rules.after(execution, shared.name, focus, fitted)


def fit(execution: Execution, value: Value, domain: ir.Domain) -> Value:
    if domain.kind == "bool":
        return as_bool(value)
    return as_bits(execution, value) if is_word(domain) else as_int(execution, value)


def _store_array(
    execution: Execution, var: int | str, position: ir.Expr, stored: Value
) -> None:
    """Where the focus stands: at most two slots (while something is being moved)."""
    state = execution.state
    if execution.node in execution.fills:
        state["in", var] = state["in2", var] = z3.BoolVal(False)
        return
    index, value = as_int(execution, execution.eval(position)), as_int(execution, stored)
    inside, at = as_bool(state["in", var]), state["at", var]
    second, at2 = as_bool(state["in2", var]), state["at2", var]
    is_focus = z3.simplify(value == FOCUS)
    again = z3.And(inside, at != index)
    execution.oblige(
        "slots", str(var),
        z3.Not(z3.And(is_focus, again, second, at2 != index)),
        "a page stands in three slots of an array",
    )  # fmt: skip
    keep = z3.And(second, at2 != index)
    old_first = z3.And(inside, at != index)
    state["in2", var] = z3.simplify(
        z3.If(is_focus, z3.Or(again, keep), z3.And(keep, old_first))
    )
    state["at2", var] = z3.If(z3.And(is_focus, again), at, at2)
    state["in", var] = z3.simplify(z3.If(is_focus, z3.BoolVal(True), z3.Or(old_first, keep)))
    state["at", var] = z3.If(is_focus, index, z3.If(old_first, at, at2))
