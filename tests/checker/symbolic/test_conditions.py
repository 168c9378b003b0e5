"""Obligations of toy routines: what holds is proved, what does not is not, loops included."""

from __future__ import annotations

from dataclasses import replace

import pytest
import z3

from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import compile_routine
from genfscheck.checker.lang.source import load, with_primitives
from genfscheck.checker.symbolic.cases import _terms
from genfscheck.checker.symbolic.conditions import Claim, Conditions, Frame, Lemma, conditions
from genfscheck.checker.symbolic.frame import Formula
from genfscheck.checker.symbolic.replay import confirm
from genfscheck.checker.symbolic.solve import decide, smallest, smt2
from genfscheck.checker.symbolic.state import conjuncts

TOY = """
from .checker.lang.prelude import (
    Annotated, Array, CInt, Final, TypeAlias, int32, kassert, parameter, record, routine, single,
    size,
)

SHIFT: Final = parameter("SHIFT", default=1, low=0, high=3)
SIZE: Final = 1 << SHIFT
wide: TypeAlias = Annotated[int, CInt(64, signed=True, low=0, high=9)]

@record
class Box:
    n: int32

box: Box = single(Box)

@routine(seed=(1, 99))
def up(x: wide) -> wide:
    y: wide = (x + SIZE - 1) & ~(SIZE - 1)  # 10
    return y  # 11

@routine(seed=(1, 99))
def total(n: int32) -> int32:
    kassert(n >= 0)  # 20
    s: int32 = 0  # 21
    i: int32 = 0  # 22
    while i < n:  # 23
        i += 1  # 24
        s = i  # 25
    kassert(s == n)  # 26
    return s  # 27

@routine(seed=(1, 99))
def joined(n: int32, up: int32) -> int32:
    s: int32 = n & 7  # 40
    if up:  # 41
        s += 1  # 42
    t: int32 = s  # 43
    return t  # 44

@routine(seed=(1, 99))
def twice() -> int32:
    kassert(box.n == box.n)  # 30
    return 0  # 31
"""


def made(name: str, frame: Frame) -> tuple[ir.Program, Conditions]:
    source = load(with_primitives({"genfscheck.toy": ("toy.py", TOY)}))
    program = compile_routine(source, name, symbolic={"SHIFT": ir.INT32})
    return program, conditions(program, frame)


def in_range(found: Conditions) -> z3.BoolRef:
    shift = found.parameters["SHIFT"].value
    return z3.And(shift >= 0, shift <= 20)


def test_the_parameter_stays_in_the_code() -> None:
    program, found = made("up", Frame())
    assert list(found.parameters) == ["SHIFT"]
    assert program.parameters["SHIFT"] == 1  # sizes and ranges fold as ever


def test_rounding_up_for_every_shift() -> None:
    def rounded(view: object) -> z3.BoolRef:
        x, y = view["x"], view["up.y"]  # type: ignore[index]
        size = z3.BitVecVal(1, 64) << view["SHIFT"]  # type: ignore[index]
        return z3.And(y >= x, y - x < size, y & (size - 1) == 0)

    _, found = made("up", Frame(claims=(Claim("rounded", 11, rounded),)))
    x = found.inputs["x"].at(64)
    low = z3.And(in_range(found), x >= 0, x < 1 << 40)
    for each in found.obligations:
        assert decide([low, each.reach], each.goal, 20_000).answer == "valid", each


def test_an_overflow_is_found_least_and_executed() -> None:
    program, found = made("up", Frame())
    x = found.inputs["x"].at(64)
    assumed = [in_range(found), x >= 0, *found.facts]
    broken = [each for each in found.obligations
              if decide([*assumed, each.reach], each.goal, 20_000).answer == "false"]
    assert broken and {each.kind for each in broken} == {"overflow"}
    one = broken[0]
    model = smallest([*assumed, one.reach, z3.Not(one.goal)], [x], 20_000)
    assert model is not None
    least = model.eval(x).as_long()
    assert least == (1 << 63) - (1 << 20)
    assert confirm(program, Frame(), one, model)
    text = smt2([*assumed, one.reach], one.goal, "a question")
    solver = z3.Solver()
    solver.from_string(text)
    assert solver.check() == z3.sat


def test_loops_need_their_invariant() -> None:
    for invariants, holds in (
        ({}, False),
        ({23: lambda v: z3.And(v["total.s"] == v["total.i"], v["total.i"] <= v["n"])}, True),
    ):
        _, found = made("total", Frame(invariants=invariants))
        (last,) = [each for each in found.obligations if each.line == 26 and each.kind == "check"]
        answer = decide([*found.facts, last.reach], last.goal, 20_000).answer
        assert (answer == "valid") is holds
        if holds:
            for each in found.obligations:
                if each.kind in ("invariant", "induction"):
                    assert decide([*found.facts, each.reach], each.goal, 20_000).answer == "valid"


def test_a_wrong_invariant_is_not_kept() -> None:
    _, found = made("total", Frame(invariants={23: lambda v: v["total.i"] == 0}))
    answers = {each.kind: decide([*found.facts, each.reach], each.goal, 20_000).answer
               for each in found.obligations if each.kind in ("invariant", "induction")}
    assert answers == {"invariant": "valid", "induction": "false"}


def test_shared_variables_are_volatile_unless_tracked() -> None:
    for frame, answer in ((Frame(), "false"), (Frame(tracked=frozenset({"box.n"})), "valid")):
        _, found = made("twice", frame)
        (check,) = [each for each in found.obligations if each.name == "kassert"]
        assert decide([*found.facts, check.reach], check.goal, 20_000).answer == answer


def test_a_lemma_is_proved_from_those_it_names_alone() -> None:
    """``small`` follows from the path; ``next`` from it; without it, ``next`` does not."""
    small = Lemma("small", 11, lambda v: z3.And(v["up.y"] >= 0, v["up.y"] <= 64))
    step = Lemma("next", 11, lambda v: v["up.y"] + 1 <= 65, ("small",))
    _, found = made("up", Frame(lemmas=(small, step)))
    lemmas = {each.name: each for each in found.obligations if each.kind == "lemma"}
    assert lemmas["next"].alone and not lemmas["small"].alone
    assert decide([lemmas["next"].reach], lemmas["next"].goal).answer == "valid"
    _, other = made("up", Frame(lemmas=(Lemma("next", 11, step.formula, ()),)))
    (alone,) = [each for each in other.obligations if each.kind == "lemma"]
    assert decide([alone.reach], alone.goal).answer == "false"


def test_opaque_terms_may_have_any_value() -> None:
    twice = Lemma("twice", 11, lambda v: (v["up.y"] & 1) <= 1, (), lambda v: (v["up.y"] & 1,))
    _, found = made("up", Frame(lemmas=(twice,)))
    (lemma,) = [each for each in found.obligations if each.kind == "lemma"]
    assert decide([lemma.reach], lemma.goal).answer == "false"


def test_what_was_assigned_may_have_any_value_in_a_lemma_from_others() -> None:
    """The path says how ``y`` is made; a lemma that names what it follows from does not."""
    whole = Lemma("whole", 11, lambda v: v["up.y"] & ((1 << v["SHIFT"]) - 1) == 0)
    for lemma, answer in ((whole, "valid"), (replace(whole, by=()), "false")):
        _, found = made("up", Frame(lemmas=(lemma,)))
        (asked,) = [each for each in found.obligations if each.kind == "lemma"]
        assert decide([*found.facts, asked.reach], asked.goal).answer == answer
    _, found = made("up", Frame(lemmas=(whole, replace(whole, name="again", by=("whole",)))))
    (again,) = [each for each in found.obligations if each.name == "again"]
    assert decide([again.reach], again.goal).answer == "valid"


def test_a_lemma_at_no_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="no statement begins"):
        made("up", Frame(lemmas=(Lemma("nowhere", 98, lambda v: z3.BoolVal(True)),)))


def _at_most(limit: int) -> Formula:
    return lambda v: v["joined.s"] <= limit


def test_a_lemma_of_each_way_is_proved_where_they_join() -> None:
    """``s`` is at most 8; that it is at most 7 is true of one way only."""
    for most, answers in ((8, ["valid", "valid"]), (7, ["valid", "false"])):
        bound = Lemma("bound", 43, _at_most(most), place="each way")
        claim = Claim("same", 44, bound.formula)
        _, found = made("joined", Frame(lemmas=(bound,), claims=(claim,)))
        lemmas = [each for each in found.obligations if each.kind == "lemma"]
        said = [decide([*found.facts, each.reach], each.goal).answer for each in lemmas]
        assert sorted(said, reverse=True) == answers
        # (known behind the join)
        (same,) = [each for each in found.obligations if each.kind == "claim"]
        assert decide([*found.facts, same.reach], same.goal).answer == "valid"
        assert not any(term.decl().kind() == z3.Z3_OP_ITE
                       for each in lemmas for term in _terms([each.goal]))


def test_what_is_known_in_front_of_a_branch_is_said_once() -> None:
    _, found = made("joined", Frame(claims=(Claim("any", 44, lambda v: v["joined.t"] >= 0),)))
    (claim,) = [each for each in found.obligations if each.kind == "claim"]
    either = [each for each in conjuncts(claim.reach) if z3.is_or(each)]
    assert all(len(conjuncts(way)) <= 1 for each in either for way in each.children())


def test_a_cut_may_forget_some_variables_alone() -> None:
    for forgets, answer in (({}, "false"), ({44: ("joined.s",)}, "valid")):
        _, found = made("joined", Frame(
            cuts={44: lambda v: v["joined.s"] == v["joined.s"]}, forgets=forgets,
            lemmas=(Lemma("kept", 44, lambda v: v["joined.t"] <= 8, place="behind"),),
        ))  # fmt: skip
        (lemma,) = [each for each in found.obligations if each.kind == "lemma"]
        assert decide([*found.facts, lemma.reach], lemma.goal).answer == answer
