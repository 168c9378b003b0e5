"""Building expressions: C's arithmetic conversions, and folding of constants.

Every function returns the simplest :mod:`.ir` expression with the meaning C gives to the
operation, so that code specialised for constants shrinks while it is built.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from . import ir

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "min": min,
    "max": max,
}
_COMPARISON: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARISONS = frozenset(_COMPARISON)


def truncated_quotient(left: int, right: int) -> int:
    """Division as C does it: toward zero.  A zero divisor raises ZeroDivisionError."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def shifted(op: str, left: int, right: int, bits: int) -> int:
    """A shift before wrapping; one that C leaves undefined drops every bit but the sign."""
    if op == ">>":
        return left >> (right if 0 <= right < bits else bits)
    return left << right if 0 <= right < bits else 0


def apply(op: str, left: int, right: int, ctype: ir.CType) -> int:
    """The value of a binary operation on two values; the one definition of IR arithmetic."""
    if op in _COMPARISON:
        return int(_COMPARISON[op](left, right))
    if op == "and":
        return int(bool(left) and bool(right))
    if op == "or":
        return int(bool(left) or bool(right))
    if op in ("<<", ">>"):
        return ctype.wrap(shifted(op, left, right, ctype.bits))
    if op == "//":
        return ctype.wrap(truncated_quotient(left, right))
    if op == "%":
        return ctype.wrap(left - right * truncated_quotient(left, right))
    return ctype.wrap(_ARITHMETIC[op](left, right))


def const(value: int, ctype: ir.CType = ir.INT32) -> ir.Const:
    return ir.Const(value, ctype)


def is_const(expr: ir.Expr, value: int | None = None) -> bool:
    return isinstance(expr, ir.Const) and (value is None or expr.value == value)


def binary(op: str, left: ir.Expr, right: ir.Expr, ctype: ir.CType) -> ir.Expr:
    """``left op right`` in ``ctype`` (the result's type; ``bool`` for comparisons)."""
    if isinstance(left, ir.Const) and isinstance(right, ir.Const):
        if op in ("//", "%") and right.value == 0:
            raise ZeroDivisionError
        return ir.Const(apply(op, left.value, right.value, ctype), ctype)
    if op == "+" and is_const(left, 0):
        return right
    if op in ("+", "-", "<<", ">>", "|", "^") and is_const(right, 0):
        return left
    if op in ("|", "^") and is_const(left, 0):
        return right
    if op in ("*", "&") and (is_const(left, 0) or is_const(right, 0)):
        return ir.Const(0, ctype)
    if op == "*" and is_const(right, 1):
        return left
    if op == "*" and is_const(left, 1):
        return right
    if op in ("and", "or"):
        return _logical(op, left, right)
    if op in ("==", "!=") and left == right:
        return ir.Const(int(op == "=="), ir.BOOL)
    return ir.Binary(op, left, right, ctype)


def _logical(op: str, left: ir.Expr, right: ir.Expr) -> ir.Expr:
    absorbing = op == "or"
    for one, two in ((left, right), (right, left)):
        if isinstance(one, ir.Const):
            if bool(one.value) == absorbing:
                # A constant on the right absorbs too: expressions have no effects.
                return ir.Const(int(absorbing), ir.BOOL)
            return truth(two)
    return ir.Binary(op, truth(left), truth(right), ir.BOOL)


_BOOLEAN_OPS = COMPARISONS | {"and", "or"}


def truth(expr: ir.Expr) -> ir.Expr:
    """The expression as 0 or 1."""
    match expr:
        case ir.Const(value):
            return ir.Const(int(bool(value)), ir.BOOL)
        case ir.Binary(op) if op in _BOOLEAN_OPS:
            return expr
        case ir.Unary("not"):
            return expr
    return ir.Binary("!=", expr, ir.Const(0), ir.BOOL)


def negate(expr: ir.Expr) -> ir.Expr:
    """Logical not."""
    match expr:
        case ir.Const(value):
            return ir.Const(int(not value), ir.BOOL)
        case ir.Unary("not", operand):
            return truth(operand)
        case ir.Binary("==", left, right):
            return ir.Binary("!=", left, right, ir.BOOL)
        case ir.Binary("!=", left, right):
            return ir.Binary("==", left, right, ir.BOOL)
    return ir.Unary("not", expr, ir.BOOL)


def unary(op: str, operand: ir.Expr, ctype: ir.CType) -> ir.Expr:
    if op == "not":
        return negate(operand)
    if isinstance(operand, ir.Const):
        value = {"-": -operand.value, "~": ~operand.value, "cast": operand.value}[op]
        return ir.Const(ctype.wrap(value), ctype)
    return ir.Unary(op, operand, ctype)


def cond(test: ir.Expr, then: ir.Expr, other: ir.Expr) -> ir.Expr:
    if isinstance(test, ir.Const):
        return then if test.value else other
    return then if then == other else ir.Cond(test, then, other)


def convert(expr: ir.Expr, source: ir.CType, target: ir.CType) -> ir.Expr:
    """A C conversion; nothing where the target holds every value of the source."""
    if isinstance(expr, ir.Const):
        return ir.Const(target.wrap(expr.value), target)
    if source == target:
        return expr
    if target.minimum <= source.minimum and source.maximum <= target.maximum:
        return expr
    return ir.Unary("cast", expr, target)


def common(left: ir.CType, right: ir.CType) -> ir.CType:
    """C's usual arithmetic conversions, after integer promotion."""
    left, right = promote(left), promote(right)
    if left.bits != right.bits:
        return left if left.bits > right.bits else right
    return left if not left.signed else right


def promote(ctype: ir.CType) -> ir.CType:
    return ir.INT32 if ctype.bits < 32 else ctype


def has_shared(expr: ir.Expr) -> bool:
    """Does the expression read shared state?"""
    return any(isinstance(part, ir.Shared | ir.ListNext) for part in ir.walk(expr))
