"""Types of the language, as the compiler sees them, and the domains of their slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from . import ir


@dataclass(frozen=True, slots=True)
class IntType:
    """A C integer; ``low``..``high`` is what a slot of this type may hold."""

    name: str
    ctype: ir.CType
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class LiteralType:
    """The type of an integer constant: it adapts to the other operand."""


@dataclass(frozen=True, slots=True)
class BoolType:
    pass


@dataclass(frozen=True, slots=True)
class EnumType:
    name: str
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class FlagsType:
    name: str
    members: tuple[tuple[str, int], ...]

    @property
    def all_bits(self) -> int:
        result = 0
        for _, bit in self.members:
            result |= bit
        return result


@dataclass(frozen=True, slots=True)
class RefType:
    """A reference into a pool: entries 0..count-1, count = none, then specials, then markers."""

    record: str
    special: bool = False
    marker: bool = False


@dataclass(frozen=True, slots=True)
class NullType:
    """The type of ``NULL`` and ``NOBODY`` before it meets a reference type."""


@dataclass(frozen=True, slots=True)
class StructType:
    name: str


@dataclass(frozen=True, slots=True)
class ArrayType:
    element: ScalarType
    length: int


@dataclass(frozen=True, slots=True)
class ListType:
    element: RefType
    capacity: int


@dataclass(frozen=True, slots=True)
class TupleType:
    items: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class VoidType:
    pass


ScalarType: TypeAlias = (
    IntType | LiteralType | BoolType | EnumType | FlagsType | RefType | NullType
)
Type: TypeAlias = ScalarType | StructType | ArrayType | ListType | TupleType | VoidType

SCALARS = (IntType, LiteralType, BoolType, EnumType, FlagsType, RefType, NullType)

BOOL = BoolType()
LITERAL = LiteralType()
NULL = NullType()
VOID = VoidType()
INT = IntType("int", ir.INT32, -8, 119)


def describe(type_: Type) -> str:
    """The type's name as an error message prints it."""
    match type_:
        case IntType(name) | EnumType(name) | FlagsType(name) | StructType(name):
            return name
        case RefType(record):
            return record
        case LiteralType():
            return "an integer constant"
        case BoolType():
            return "bool"
        case NullType():
            return "NULL"
        case ArrayType(element, length):
            return f"array of {length} {describe(element)}"
        case ListType(element, _):
            return f"list of {describe(element)}"
        case TupleType(items):
            return "(" + ", ".join(describe(item) for item in items) + ")"
        case VoidType():
            return "nothing"


def ctype_of(type_: ScalarType) -> ir.CType:
    """The arithmetic type of a value of this type."""
    match type_:
        case IntType(_, ctype):
            return ctype
        case BoolType():
            return ir.BOOL
        case _:
            return ir.INT32
