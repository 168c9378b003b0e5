"""Values of the IR as bit-vectors: the width rule of :mod:`..explore.semantics`, in z3.

A :class:`Term` stands for a mathematical integer: a bit-vector read with its own width and
signedness.  Operations extend their operands as far as the mathematical result needs, then
wrap it to the result's type, exactly as the interpreter does with Python's integers.  Where
the result does not fit before it is wrapped, a :class:`Doubt` says so: the condition under
which it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import z3

from ..lang import ir

# overflow: signed arithmetic leaves its type (undefined in C).  wrap: unsigned arithmetic
# does (defined, and rarely meant).  conversion: a conversion changes the value.
# shift: a shift by a negative amount or by the width or more (undefined in C).
DoubtKind: TypeAlias = Literal["overflow", "wrap", "conversion", "shift"]
Doubt: TypeAlias = Callable[[DoubtKind, z3.BoolRef], None]

# Constants of a model adapt to what they meet; alone they are what C makes of them.
_INT32 = ir.INT32


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A bit-vector of ``ctype.bits`` bits; a BOOL may be held as a truth value instead."""

    value: z3.BitVecRef | z3.BoolRef
    ctype: ir.CType

    @property
    def needed(self) -> int:
        """Bits that hold every value of the type with its sign."""
        return self.ctype.bits if self.ctype.signed else self.ctype.bits + 1

    def at(self, width: int) -> z3.BitVecRef:
        """The value modulo 2**width, extended by its own sign."""
        value = self.value
        if isinstance(value, z3.BoolRef):
            return z3.If(value, z3.BitVecVal(1, width), z3.BitVecVal(0, width))
        bits = self.ctype.bits
        if width == bits:
            return value
        if width < bits:
            return z3.Extract(width - 1, 0, value)
        if z3.is_bv_value(value):
            return z3.BitVecVal(self.ctype.wrap(value.as_long()), width)
        extend = z3.SignExt if self.ctype.signed else z3.ZeroExt
        return extend(width - bits, value)

    def truth(self) -> z3.BoolRef:
        """Is it not zero?"""
        value = self.value
        if isinstance(value, z3.BoolRef):
            return value
        return value != z3.BitVecVal(0, self.ctype.bits)


def constant(value: int, ctype: ir.CType) -> Term:
    """A constant.  The IR's constants may lie outside their type: they keep their value."""
    if not ctype.minimum <= value <= ctype.maximum:
        ctype = ir.CType("constant", max(value.bit_length() + 1, ctype.bits), True)
    if ctype == ir.BOOL:
        return Term(z3.BoolVal(bool(value)), ctype)
    return Term(z3.BitVecVal(value, ctype.bits), ctype)


def fresh(name: str, ctype: ir.CType) -> Term:
    """A new value of a type, about which nothing is known."""
    if ctype.bits == 1:
        return Term(z3.Bool(name), ctype)
    return Term(z3.BitVec(name, ctype.bits), ctype)


def select(test: z3.BoolRef, one: Term, two: Term) -> Term:
    """One term or the other."""
    if one is two:
        return one
    if isinstance(one.value, z3.BoolRef) and isinstance(two.value, z3.BoolRef):
        return Term(z3.If(test, one.value, two.value), ir.BOOL)
    if one.ctype == two.ctype:
        return Term(z3.If(test, one.at(one.ctype.bits), two.at(one.ctype.bits)), one.ctype)
    width = max(one.needed, two.needed)
    return Term(z3.If(test, one.at(width), two.at(width)), ir.CType("either", width, True))


def compare(op: str, one: Term, two: Term) -> z3.BoolRef:
    """A comparison of the two mathematical values."""
    a, b, signed = _aligned(one, two)
    match op:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b if signed else z3.ULT(a, b)
        case "<=":
            return a <= b if signed else z3.ULE(a, b)
        case ">":
            return a > b if signed else z3.UGT(a, b)
        case ">=":
            return a >= b if signed else z3.UGE(a, b)
    raise ValueError(f"unknown comparison {op!r}")


def _aligned(one: Term, two: Term) -> tuple[z3.BitVecRef, z3.BitVecRef, bool]:
    """Both at a width that keeps their values, and whether to compare them signed."""
    one, two = _positive(one), _positive(two)
    if one.ctype.signed == two.ctype.signed:
        width = max(one.ctype.bits, two.ctype.bits)
        return one.at(width), two.at(width), one.ctype.signed
    width = max(one.needed, two.needed)
    return one.at(width), two.at(width), True


def _positive(term: Term) -> Term:
    """A constant that is not negative, as unsigned: it compares with anything unsigned."""
    value = term.value
    if isinstance(value, z3.BitVecNumRef):
        number = term.ctype.wrap(value.as_long())
        if number >= 0:
            return Term(value, ir.CType("constant", term.ctype.bits, False))
    return term


def convert(term: Term, ctype: ir.CType, doubt: Doubt | None = None) -> Term:
    """A conversion; it wraps."""
    if ctype == ir.BOOL:
        # A one-bit slot keeps the lowest bit, as the interpreter's wrap does.
        if isinstance(term.value, z3.BoolRef):
            return term
        low = term.at(1) == z3.BitVecVal(1, 1)
        if doubt is not None:
            doubt("conversion", compare("==", term, Term(low, ir.BOOL)))
        return Term(low, ir.BOOL)
    result = Term(term.at(ctype.bits), ctype)
    if doubt is not None and not _contains(ctype, term.ctype):
        doubt("conversion", compare("==", result, term))
    return result


def _contains(outer: ir.CType, inner: ir.CType) -> bool:
    return outer.minimum <= inner.minimum and inner.maximum <= outer.maximum


def unary(op: str, term: Term, ctype: ir.CType, doubt: Doubt | None = None) -> Term:
    """The value of a unary operation."""
    match op:
        case "not":
            return Term(z3.Not(term.truth()), ir.BOOL)
        case "cast":
            return convert(term, ctype, doubt)
        case "-":
            width = term.needed + 1
            return _wrapped(Term(-term.at(width), _signed(width)), ctype, doubt)
        case "~":
            width = term.needed
            return _wrapped(Term(~term.at(width), _signed(width)), ctype, None)
    raise ValueError(f"unknown unary operator {op!r}")


def binary(op: str, one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None = None) -> Term:
    """The value of a binary operation (``and`` and ``or`` included)."""
    match op:
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            return Term(compare(op, one, two), ir.BOOL)
        case "and":
            return Term(z3.And(one.truth(), two.truth()), ir.BOOL)
        case "or":
            return Term(z3.Or(one.truth(), two.truth()), ir.BOOL)
        case "+" | "-":
            return _sum(op, one, two, ctype, doubt)
        case "*":
            return _product(one, two, ctype, doubt)
        case "&" | "|" | "^":
            width = max(one.needed, two.needed, ctype.bits)
            a, b = one.at(width), two.at(width)
            bits = a & b if op == "&" else a | b if op == "|" else a ^ b
            return _wrapped(Term(bits, _signed(width)), ctype, None)
        case "min" | "max":
            smaller = compare("<" if op == "min" else ">", two, one)
            return convert(select(smaller, two, one), ctype, doubt)
        case "<<":
            return _shift_left(one, two, ctype, doubt)
        case ">>":
            return _shift_right(one, two, ctype, doubt)
        case "//" | "%":
            return _divided(op, one, two, ctype, doubt)
    raise ValueError(f"unknown binary operator {op!r}")


def _signed(width: int) -> ir.CType:
    return ir.CType("exact", width, True)


def _range(ctype: ir.CType) -> ir.CType:
    """What a result must fit: a constant of the model is an int in C."""
    return _INT32 if ctype.name == "literal" else ctype


def _wrapped(exact: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    result = convert(exact, ctype)
    if doubt is not None:
        limits = _range(ctype)
        held = compare("==", convert(exact, limits), exact)
        doubt("overflow" if limits.signed else "wrap", held)
    return result


def _sum(op: str, one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    # The result at its own width first: it is what the next operation sees.
    a, b = one.at(ctype.bits), two.at(ctype.bits)
    result = Term(a + b if op == "+" else a - b, ctype)
    if ctype.bits == 1:
        result = Term(result.value == z3.BitVecVal(1, 1), ir.BOOL)
    if doubt is not None:
        limits = _range(ctype)
        doubt("overflow" if limits.signed else "wrap",
              _sum_fits(op, _positive(one), _positive(two), limits))
    return result


def _sum_fits(op: str, one: Term, two: Term, limits: ir.CType) -> z3.BoolRef:
    """Is the sum (or difference) a value of the type?

    Told from signs and from the result itself: a sum of more bits is a second one, for z3.
    """
    bits = limits.bits
    inside = _contains(limits, one.ctype) and _contains(limits, two.ctype)
    if not (inside if limits.signed else max(one.ctype.bits, two.ctype.bits) <= bits):
        width = max(one.needed, two.needed, bits) + 2
        x, y = one.at(width), two.at(width)
        exact = Term(x + y if op == "+" else x - y, _signed(width))
        return compare("==", convert(exact, limits), exact)
    a, b = one.at(bits), two.at(bits)
    result = a + b if op == "+" else a - b
    if limits.signed:
        first, second, sign = (z3.Extract(bits - 1, bits - 1, each) for each in (a, b, result))
        apart = first != second if op == "+" else first == second
        return z3.Or(apart, sign == first)
    below, less = _below_zero(one, a), _below_zero(two, b)
    if op == "+":
        return z3.If(below, z3.And(z3.Not(less), z3.ULT(result, b)),
                     z3.If(less, z3.ULT(result, a), z3.ULE(a, result)))
    return z3.If(below, z3.And(less, a >= b), z3.If(less, z3.ULT(a, result), z3.ULE(b, a)))


def _below_zero(term: Term, value: z3.BitVecRef) -> z3.BoolRef:
    return value < 0 if term.ctype.signed else z3.BoolVal(False)


def _product(one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    limits = _range(ctype)
    if not (limits.signed and _contains(limits, one.ctype) and _contains(limits, two.ctype)):
        width = one.needed + two.needed
        return _wrapped(Term(one.at(width) * two.at(width), _signed(width)), ctype, doubt)
    # z3's own predicates: a product of twice the width is a formula of many bits.
    if doubt is not None:
        a, b = one.at(limits.bits), two.at(limits.bits)
        doubt("overflow", z3.And(z3.BVMulNoOverflow(a, b, True), z3.BVMulNoUnderflow(a, b)))
    return Term(one.at(ctype.bits) * two.at(ctype.bits), ctype)


def _shift_left(one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    bits = ctype.bits
    legal = _legal_shift(two, bits)
    amount = two.at(max(bits, 2))
    value = one.at(bits) if bits > 1 else one.at(2)
    shifted = value << amount
    result = convert(
        Term(z3.If(legal, shifted, z3.BitVecVal(0, shifted.size())),
             ir.CType(ctype.name, shifted.size(), ctype.signed)),
        ctype,
    )
    if doubt is not None:
        doubt("shift", legal)
        limits = _range(ctype)
        small = one.at(limits.bits)
        count = two.at(limits.bits)
        moved = small << count
        back = moved >> count if limits.signed else z3.LShR(moved, count)
        same = z3.And(back == small, compare("==", Term(small, limits), one))
        doubt("overflow" if limits.signed else "wrap", z3.Implies(legal, same))
    return result


def _shift_right(one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    width = max(one.needed, ctype.bits, 8)
    legal = _legal_shift(two, ctype.bits)
    most = z3.BitVecVal(min(ctype.bits, (1 << width) - 1), width)
    amount = z3.If(legal, two.at(width), most)
    if doubt is not None:
        doubt("shift", legal)
    return convert(Term(one.at(width) >> amount, _signed(width)), ctype)


def _legal_shift(amount: Term, bits: int) -> z3.BoolRef:
    zero, most = constant(0, _INT32), constant(bits, _INT32)
    return z3.And(compare(">=", amount, zero), compare("<", amount, most))


def _divided(op: str, one: Term, two: Term, ctype: ir.CType, doubt: Doubt | None) -> Term:
    width = max(one.needed, two.needed) + 1
    a, b = one.at(width), two.at(width)
    zero = z3.BitVecVal(0, width)
    value = a / b if op == "//" else z3.SRem(a, b)
    return _wrapped(Term(z3.If(b == zero, zero, value), _signed(width)), ctype, doubt)
