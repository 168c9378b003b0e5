"""Sorts of values in a view: integers, truth values, flag words; and between them."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import z3

from ..lang import ir

BITS = 16  # of a flag word
Value: TypeAlias = z3.ArithRef | z3.BoolRef | z3.BitVecRef


class Maker(Protocol):
    """Whoever makes new constants, and knows facts about them."""

    facts: list[z3.BoolRef]

    def new(self, name: str, sort: z3.SortRef) -> Value: ...


def is_word(domain: ir.Domain) -> bool:
    """Is it a flag word, or a set of threads?"""
    return domain.kind == "flags" or domain.ctype.name in ("unsigned", "ThreadSet")


def pool_of(domain: ir.Domain) -> str:
    """The name of the pool that a reference is to."""
    return domain.pool.removesuffix("#")


def as_bool(value: Value) -> z3.BoolRef:
    """Is it not zero?"""
    if isinstance(value, z3.BoolRef):
        return value
    if isinstance(value, z3.BitVecRef):
        return value != z3.BitVecVal(0, value.size())
    return value != 0


def as_int(execution: Maker, value: Value) -> z3.ArithRef:
    """As an integer; of a flag word it is known whether it is zero."""
    if isinstance(value, z3.ArithRef):
        return value
    if isinstance(value, z3.BoolRef):
        return z3.If(value, z3.IntVal(1), z3.IntVal(0))
    result = execution.new("word", z3.IntSort())
    assert isinstance(result, z3.ArithRef)
    execution.facts.append(z3.And(result >= 0, (result == 0) == (value == 0)))
    return result


def as_bits(execution: Maker, value: Value) -> z3.BitVecRef:
    """As a flag word; of an integer that is no constant nothing is known."""
    if isinstance(value, z3.BitVecRef):
        return value
    if isinstance(value, z3.BoolRef):
        return z3.If(value, z3.BitVecVal(1, BITS), z3.BitVecVal(0, BITS))
    number = number_of(value)
    if number is not None:
        return z3.BitVecVal(number, BITS)
    result = execution.new("bits", z3.BitVecSort(BITS))
    assert isinstance(result, z3.BitVecRef)
    return result


def number_of(value: Value) -> int | None:
    """The value of a constant."""
    if z3.is_int_value(value):
        return int(value.as_long())
    simple = z3.simplify(value)
    return int(simple.as_long()) if z3.is_int_value(simple) else None


def harmonised(execution: Maker, one: Value, two: Value) -> tuple[Value, Value]:
    """Both of one sort."""
    if one.sort() == two.sort():
        return one, two
    if isinstance(one, z3.BitVecRef) or isinstance(two, z3.BitVecRef):
        return as_bits(execution, one), as_bits(execution, two)
    return as_int(execution, one), as_int(execution, two)
