"""How shared variables are read: which, under which conditions, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator

from ..lang import ir


def read_by(expr: ir.Expr) -> set[int]:
    """The shared variables that an expression reads."""
    found: set[int] = set()
    for sub in ir.walk(expr):
        if isinstance(sub, ir.Shared):
            found.add(sub.var)
        elif isinstance(sub, ir.ListNext):
            found.add(sub.list.var)
    return found


def guarded_reads(
    expr: ir.Expr, guards: tuple[tuple[ir.Expr, bool], ...] = ()
) -> Iterator[tuple[ir.Shared | ir.ListNext, tuple[tuple[ir.Expr, bool], ...]]]:
    """The reads of an expression, each with the conditions under which it is made."""
    if isinstance(expr, ir.Shared | ir.ListNext):
        yield expr, guards
    match expr:
        case ir.Binary("and" | "or", left, right, _):
            yield from guarded_reads(left, guards)
            yield from guarded_reads(right, (*guards, (left, expr.op == "and")))
        case ir.Cond(test, then, other):
            yield from guarded_reads(test, guards)
            yield from guarded_reads(then, (*guards, (test, True)))
            yield from guarded_reads(other, (*guards, (test, False)))
        case _:
            for child in ir.children(expr):
                yield from guarded_reads(child, guards)


def only_own(action: ir.Action, var: int, me: int, sets: bool = False) -> bool:
    """Is the variable only read to compare an element with this thread?

    ``sets``: or to see whether this thread is in a set of threads.
    """
    total = own = 0
    for root in ir.action_reads(action):
        for expr in ir.walk(root):
            if isinstance(expr, ir.Shared) and expr.var == var:
                total += 1
            if isinstance(expr, ir.Binary) and expr.op in ("==", "!="):
                for one, two in ((expr.left, expr.right), (expr.right, expr.left)):
                    if isinstance(one, ir.Shared) and one.var == var:
                        own += isinstance(two, ir.Const) and two.value == me
            if sets and isinstance(expr, ir.Binary) and expr.op == "&":
                for one, two in ((expr.left, expr.right), (expr.right, expr.left)):
                    if isinstance(one, ir.Shared) and one.var == var:
                        own += isinstance(two, ir.Const) and two.value == 1 << me
    return total == own
