"""Checks about every entry of a pool, as checks about the focus."""

from __future__ import annotations

from collections.abc import Iterator

from ..lang import ir
from .obligations import OTHERS


def of_focus(test: ir.Expr, pools: frozenset[str], program: ir.Program) -> ir.Expr:
    """A test that is the same for every entry of a pool, as the test of the focus.

    Raises ValueError where one part of the conjunction speaks of two entries.
    """

    def entry(expr: ir.Expr) -> int | None:
        if isinstance(expr, ir.Shared) and isinstance(expr.index, ir.Const):
            shared = program.shared[expr.var]
            if shared.name.partition(".")[0] in pools and shared.length > shared.width:
                return expr.index.value // shared.width
        return None

    def moved(expr: ir.Expr) -> ir.Expr:
        match expr:
            case ir.Shared(var, ir.Const(value, ctype)) if entry(expr) == OTHERS:
                return ir.Shared(var, ir.Const(value + program.shared[var].width, ctype))
            case ir.Shared(var, index):
                return ir.Shared(var, moved(index))
            case ir.Binary(op, left, right, ctype):
                return ir.Binary(op, moved(left), moved(right), ctype)
            case ir.Unary(op, operand, ctype):
                return ir.Unary(op, moved(operand), ctype)
            case ir.Cond(one, two, three):
                return ir.Cond(moved(one), moved(two), moved(three))
        return expr

    def conjuncts(expr: ir.Expr) -> Iterator[ir.Expr]:
        match expr:
            case ir.Binary("and", left, right):
                yield from conjuncts(left)
                yield from conjuncts(right)
            case _:
                yield expr

    kept: list[ir.Expr] = []
    for part in conjuncts(test):
        entries = {entry(each) for each in ir.walk(part)} - {None}
        if len(entries) > 1:
            raise ValueError("a check that speaks of two entries of a pool at once")
        if entries != {OTHERS}:
            kept.append(part)
        else:
            kept.append(moved(part))
    result: ir.Expr = ir.Const(1, ir.BOOL)
    for part in kept:
        result = part if result == ir.Const(1, ir.BOOL) else ir.Binary("and", result, part, ir.BOOL)
    return result
