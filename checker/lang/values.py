"""Compile-time values: what an expression of the source stands for while it is lowered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from . import ir
from .source import Function
from .types import ArrayType, ListType, RefType, ScalarType


@dataclass(frozen=True, slots=True)
class Op:
    """A scalar: an expression with its type."""

    expr: ir.Expr
    type: ScalarType


@dataclass(frozen=True, slots=True)
class StructPlace:
    """A struct embedded in entry ``index`` of a pool; ``prefix`` names it, ``pool.field``."""

    prefix: str
    index: ir.Expr
    struct: str


@dataclass(frozen=True, slots=True)
class ArrayPlace:
    """An array by reference: elements ``base + offset`` on, of a shared or a local variable."""

    var: int
    local: bool
    base: ir.Expr
    offset: ir.Expr
    type: ArrayType


@dataclass(frozen=True, slots=True)
class ListPlace:
    ref: ir.ListRef
    type: ListType


@dataclass(frozen=True, slots=True)
class PoolValue:
    """The pool itself."""

    name: str


@dataclass(frozen=True, slots=True)
class TupleValue:
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class ConstTuple:
    """A constant list of integers (a scenario's, or a tuple constant)."""

    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FunctionValue:
    function: Function


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the prelude."""

    name: str


@dataclass(frozen=True, slots=True)
class ClassValue:
    """An enumeration or flag set, for its members; or a type used in ``cast``."""

    type: ScalarType


@dataclass(frozen=True, slots=True)
class Nothing:
    """The result of a routine that returns nothing."""


Value: TypeAlias = (
    Op
    | StructPlace
    | ArrayPlace
    | ListPlace
    | PoolValue
    | TupleValue
    | ConstTuple
    | FunctionValue
    | Word
    | ClassValue
    | Nothing
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A local variable: its number and type (scalars)."""

    var: int
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record or struct, resolved: its kind of place and options.

    ``no_lost_update`` names the property that every read-modify-write of the field checks.
    """

    name: str
    type: ScalarType | ArrayType | ListType | str  # str: an embedded struct's name
    ghost: bool = False
    initial: int | None = None
    no_lost_update: str = ""


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A declared pool: its record, its size, and what references to it may be."""

    name: str
    record: str
    count: int
    live: str = ""
    specials: tuple[str, ...] = ()
    markers: int = 0
    marker_fields: tuple[tuple[str, int], ...] = ()
    nthreads: int = 0

    @property
    def none(self) -> int:
        return self.count

    def special(self, position: int) -> int:
        return self.count + 1 + position

    def marker(self, thread: int, which: int) -> int:
        return self.count + 1 + len(self.specials) + thread * self.markers + which

    def highest(self, ref: RefType) -> int:
        """The largest value a reference of this type may have."""
        if ref.marker:
            return self.count + len(self.specials) + self.nthreads * self.markers
        return self.count + (len(self.specials) if ref.special else 0)

    def domain(self, ref: RefType) -> ir.Domain:
        labels = [(self.none, "NOBODY" if self.name == "threads" else "NULL")]
        if ref.special or ref.marker:
            labels += [(self.special(i), name) for i, name in enumerate(self.specials)]
        if ref.marker:
            labels += [
                (self.marker(t, k), f"marker{k} of T{t}")
                for t in range(self.nthreads)
                for k in range(self.markers)
            ]
        kind: ir.Kind = "thread" if self.name == "threads" else "ref"
        prefix = "T" if self.name == "threads" else f"{self.name}#"
        return ir.Domain(kind, 0, self.highest(ref), ir.INT32, tuple(labels), prefix)
