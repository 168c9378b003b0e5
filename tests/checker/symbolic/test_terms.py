"""Bit-vectors compute what the interpreter computes, on random expressions; doubts are exact."""

from __future__ import annotations

import random

import pytest
import z3

from genfscheck.checker.explore import semantics
from genfscheck.checker.lang import ir
from genfscheck.checker.symbolic.solve import Standard
from genfscheck.checker.symbolic.terms import Term, binary, compare, constant, unary

TYPES = [
    ir.CType("int", 32, True), ir.CType("unsigned", 32, False), ir.CType("long", 64, True),
    ir.CType("size_t", 64, False), ir.CType("char", 8, True), ir.CType("uchar", 8, False),
    ir.BOOL,
]  # fmt: skip
OPS = ["+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^", "min", "max",
       "==", "!=", "<", "<=", ">", ">="]  # fmt: skip


def number(chance: random.Random, ctype: ir.CType) -> int:
    edge = (0, 1, 2, 7, 31, 63, ctype.minimum, ctype.maximum, ctype.maximum - 1)
    value = chance.choice((*edge, chance.randint(ctype.minimum, ctype.maximum)))
    return min(max(value, ctype.minimum), ctype.maximum)


def value_of(term: Term) -> int:
    found = z3.simplify(term.at(term.ctype.bits))
    assert isinstance(found, z3.BitVecNumRef)
    return term.ctype.wrap(found.as_long())


@pytest.mark.parametrize("seed", range(40))
def test_operations(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        one_type, two_type, ctype = (chance.choice(TYPES) for _ in range(3))
        one, two = number(chance, one_type), number(chance, two_type)
        op = chance.choice(OPS)
        if op in ("==", "!=", "<", "<=", ">", ">="):
            ctype = ir.BOOL
        doubts: list[tuple[str, bool]] = []

        def doubt(kind: str, held: z3.BoolRef, into: list[tuple[str, bool]] = doubts) -> None:
            into.append((kind, z3.is_true(z3.simplify(held))))

        got = value_of(binary(op, constant(one, one_type), constant(two, two_type), ctype, doubt))
        assert got == semantics.binary(op, one, two, ctype), (op, one, two, one_type, ctype)
        if op in ("+", "-", "*"):
            exact = {"+": one + two, "-": one - two, "*": one * two}[op]
            kind = "overflow" if ctype.signed else "wrap"
            assert doubts == [(kind, ctype.minimum <= exact <= ctype.maximum)]
        if op == "<<" and 0 <= two < ctype.bits and ctype.bits > 1:
            assert doubts[0] == ("shift", True)
            assert doubts[1][1] == (ctype.minimum <= one << two <= ctype.maximum)


@pytest.mark.parametrize("seed", range(20))
def test_unary_and_conversions(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        source, ctype = chance.choice(TYPES), chance.choice(TYPES)
        value, op = number(chance, source), chance.choice(("-", "~", "not", "cast"))
        wanted = semantics.unary(op, value, ir.BOOL if op == "not" else ctype)
        assert value_of(unary(op, constant(value, source), ctype)) == wanted


def test_mixed_signs_compare_as_numbers() -> None:
    size = ir.CType("size_t", 64, False)
    huge, less = constant((1 << 64) - 1, size), constant(-1, ir.INT32)
    assert z3.is_true(z3.simplify(compare(">", huge, less)))
    assert z3.is_false(z3.simplify(compare("==", huge, less)))


def test_products_without_overflow_in_standard_terms() -> None:
    """z3's predicates are not SMT-LIB's: what is exported says the same."""
    a, b = z3.BitVecs("a b", 8)
    for predicate in (z3.BVMulNoOverflow(a, b, True), z3.BVMulNoUnderflow(a, b)):
        exported = Standard()(predicate)
        assert "bvsmul_no" not in exported.sexpr()
        solver = z3.Solver()
        solver.add(predicate != exported)
        assert solver.check() == z3.unsat


def test_connectives_of_fewer_than_two_in_standard_terms() -> None:
    """Other solvers refuse ``(and a)``, which is what z3 makes of a list of one."""
    a, b = z3.Bools("a b")
    asked = z3.Or(z3.And(a, z3.Or(b)), z3.And(z3.And(b)), z3.Or(), z3.Not(z3.And()))
    exported = Standard()(asked)
    seen = [exported]
    for term in seen:
        seen += term.children()
        if z3.is_and(term) or z3.is_or(term):
            assert term.num_args() > 1
    solver = z3.Solver()
    solver.add(asked != exported)
    assert solver.check() == z3.unsat
