"""Cases, generalisations and least values: what they prove holds, what is false stays false."""

from __future__ import annotations

import z3

from genfscheck.checker.symbolic.cases import decide_by_cases, generalised
from genfscheck.checker.symbolic.solve import decide, smallest
from genfscheck.checker.symbolic.state import conjuncts

A, B, C = z3.BitVecs("a b c", 64)
P, Q = z3.Bools("p q")
EFFORT = 2_000_000


def test_an_if_between_the_parts_of_a_sum() -> None:
    """z3 needs long for the whole of it; of either case nothing is left."""
    moved, skipped = z3.If(P, A + C, A), z3.If(P, B, B + C)
    found = decide_by_cases([], z3.BoolVal(True), moved + skipped == A + B + C, EFFORT)
    assert found.answer == "valid"


def test_what_is_false_in_one_case_is_false() -> None:
    goal = z3.If(P, A, A + 1) == A
    found = decide_by_cases([], z3.BoolVal(True), goal, EFFORT)
    assert found.answer == "false"
    assert found.model is not None and z3.is_false(found.model.eval(P))


def test_each_way_there_counts() -> None:
    reach = z3.Or(z3.And(P, A == 1), z3.And(Q, A == 2))
    assert decide_by_cases([], reach, z3.ULE(A, 2), EFFORT).answer == "valid"
    assert decide_by_cases([], reach, A == 1, EFFORT).answer == "false"


def test_shifts_become_opaque_everywhere_alike() -> None:
    given, goal = generalised([(A << B) + 1 == C, C - 1 == (A << B)])
    assert decide([given], goal).answer == "valid"
    assert "opaque!0" in str(given) and "<<" not in str(given)


def test_a_generalisation_may_lose_what_holds_but_never_gains() -> None:
    (whole,) = generalised([(A & 0) == 0])
    assert decide([], whole).answer == "false"
    assert decide([], (A & 0) == 0).answer == "valid"


def test_conjuncts_keep_their_order() -> None:
    assert conjuncts(z3.And(z3.And(P, Q), A == 1)) == [P, Q, A == 1]


def test_least_values_on_either_side_of_zero() -> None:
    model = smallest([A > 1000, A % 7 == 0, B < -5], [A, B], effort=EFFORT)
    assert model is not None
    assert model.eval(A).as_signed_long() == 1001
    assert model.eval(B).as_signed_long() == -6
    assert smallest([A < A], [A], effort=EFFORT) is None
