"""Calls of routines whose contract stands for them.

A contract is named by three checks of the modelled language: ``call`` where a caller uses it,
``requires`` and ``ensures`` around the routine where it is proved.  The message is the
routine's name, and the test lists the arguments: a disjunction of comparisons of one local
variable, ``which``, of which nothing is known, with each argument; an array is given as
``which``-th element compared with NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import z3

from ..lang import ir
from .values import Value, as_int

if TYPE_CHECKING:
    from .view import Execution

KINDS: Final = ("call", "requires", "ensures")


@dataclass(frozen=True, slots=True)
class Given:
    """An argument: a value, or an array from a slot on (``value``: its number)."""

    value: Value
    array: int | str | None = None


@runtime_checkable
class WithContracts(Protocol):
    """Rules that know contracts."""

    def contract(self, execution: Execution, check: ir.Check) -> None:
        """A contract's check is reached."""

    def changes(self, execution: Execution, check: ir.Check) -> tuple[list[int], list[str]]:
        """The local arrays and the shared variables that a call changes."""


@runtime_checkable
class WithHints(Protocol):
    """Rules that propose invariants of their own."""

    def hints(
        self, execution: Execution, assigned: frozenset[int]
    ) -> Mapping[str, z3.BoolRef]:
        """What might hold at the head of a loop that assigns these locals, said of the present
        state; always the same names at one head."""


def _parts(expr: ir.Expr) -> Iterator[ir.Expr]:
    match expr:
        case ir.Binary("or", left, right):
            yield from _parts(left)
            yield from _parts(right)
        case _:
            yield expr


def _which(expr: ir.Expr) -> ir.Local:
    while isinstance(expr, ir.Unary) and expr.op == "cast":
        expr = expr.operand
    assert isinstance(expr, ir.Local) and expr.index is None, expr
    return expr


def listed(check: ir.Check) -> Iterator[tuple[ir.Expr, int | None]]:
    """The argument's expression, or an array's variable and the expression of its first slot."""
    for part in _parts(check.test):
        match part:
            case ir.Binary("==", ir.Local(var, index), ir.Const()) if index is not None:
                yield _first(index), var
            case ir.Binary("==", which, argument):
                _which(which)
                yield argument, None
            case _:
                raise ValueError(f"{check.message}: not a list of arguments")


def _first(index: ir.Expr) -> ir.Expr:
    """The index with zero in the place of ``which``, which stands last in it."""
    match index:
        case ir.Local():
            return ir.Const(0)
        case ir.Binary("+", left, right):
            _which(right)
            return left
    raise ValueError("not a slot of an array")


def arguments(execution: Execution, check: ir.Check) -> list[Given]:
    """The arguments' values in the present state."""
    return [Given(execution.eval(expr) if array is None else as_int(execution,
                                                                   execution.eval(expr)), array)
            for expr, array in listed(check)]


