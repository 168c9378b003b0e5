"""Deciding a formula by cases: where control joined, and of each linear part by itself.

Bit-vectors are hard for z3 where a sum of 64 bits is wanted equal to another one and an
``If`` of a join stands between their parts: nothing cancels.  With the condition decided
either way the same terms are on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import z3

from .solve import Decision, decide
from .state import conjuncts

QUESTIONS = 96  # leaves of one formula
NEAREST = (8, 20, 40)  # so many of the last conjuncts are tried first
# What is linear only in the eye of the beholder: opaque to :func:`generalised`.
_OPAQUE = frozenset({
    z3.Z3_OP_BSHL, z3.Z3_OP_BLSHR, z3.Z3_OP_BASHR, z3.Z3_OP_BAND, z3.Z3_OP_BOR, z3.Z3_OP_SELECT,
})  # fmt: skip


def generalised(formulas: Sequence[z3.BoolRef]) -> list[z3.BoolRef]:
    """Shifts, masks and elements become constants, the same term the same constant.

    If what comes out is valid, so is what went in.
    """
    found: dict[int, tuple[z3.ExprRef, z3.ExprRef]] = {}
    for term in _terms(formulas):
        if z3.is_bv(term) and term.decl().kind() in _OPAQUE:
            name = f"opaque!{len(found)}"
            found[term.get_id()] = (term, z3.BitVec(name, term.size(), term.ctx))
    pairs = list(found.values())
    # (z3 replaces from the outside inwards: what is inside such a term goes with it.)
    return [_replaced(each, pairs) for each in formulas]


def _replaced(formula: z3.BoolRef, pairs: list[tuple[z3.ExprRef, z3.ExprRef]]) -> z3.BoolRef:
    result = z3.substitute(formula, *pairs) if pairs else formula
    assert isinstance(result, z3.BoolRef)
    return result


def _terms(formulas: Sequence[z3.ExprRef]) -> Iterator[z3.ExprRef]:
    """Every subterm once, in an order that does not depend on addresses."""
    seen: set[int] = set()
    todo: list[z3.ExprRef] = list(reversed(formulas))
    while todo:
        term = todo.pop()
        if term.get_id() in seen or not z3.is_app(term):
            continue
        seen.add(term.get_id())
        yield term
        todo.extend(reversed(term.children()))


def decide_by_cases(
    assumptions: Sequence[z3.BoolRef], reach: z3.BoolRef, goal: z3.BoolRef, effort: int
) -> Decision:
    """As :func:`.solve.decide`, in cases: of the ``If``s in the goal, then of the ways there.

    Of each case first what was learnt last is tried: lemmas stand behind everything that
    they follow from, so they are among the last conjuncts of ``reach``.
    """
    given = [z3.simplify(each) for each in assumptions]
    return _Cases(effort).decide(given, conjuncts(z3.simplify(reach)), goal)


def nearest(
    path: Sequence[z3.BoolRef], goal: z3.BoolRef
) -> Iterator[tuple[list[z3.BoolRef], z3.BoolRef]]:
    """Questions about the last conjuncts alone, from which the goal follows if it does at all:
    first of any shifts, masks and elements."""
    for count in NEAREST:
        *near, aim = generalised([*path[-count:], goal])
        yield near, aim
        if count < len(path):
            yield list(path[-count:]), goal


class _Cases:
    def __init__(self, effort: int) -> None:
        self.effort, self.left = effort, QUESTIONS

    def decide(
        self, given: list[z3.BoolRef], path: list[z3.BoolRef], goal: z3.BoolRef
    ) -> Decision:
        goal = z3.simplify(goal)
        if z3.is_true(goal) or any(z3.is_false(each) for each in (*given, *path)):
            return Decision("valid")
        condition = _condition(goal)
        if condition is None:
            return self._leaf(given, path, goal)
        for truth in (True, False):
            known = (condition, z3.BoolVal(truth, condition.ctx))
            now = [z3.simplify(z3.substitute(each, known)) for each in path]
            fact = condition if truth else z3.Not(condition)
            answer = self.decide(
                [z3.simplify(z3.substitute(each, known)) for each in given],
                [part for each in (*now, z3.simplify(fact)) for part in conjuncts(each)],
                z3.substitute(goal, known),
            )
            if answer.answer != "valid":
                return answer
        return Decision("valid")

    def _leaf(
        self, given: list[z3.BoolRef], path: list[z3.BoolRef], goal: z3.BoolRef
    ) -> Decision:
        if self.left <= 0:
            return Decision("unknown", reason="too many cases")
        self.left -= 1
        for part, aim in nearest(path, goal):
            near = decide(part, aim, effort=self.effort // 16)
            if near.answer == "valid":
                return near
        whole = decide([*given, *path], goal, effort=self.effort // 2)
        if whole.answer != "unknown":
            return whole
        ways = [number for number, each in enumerate(path) if z3.is_or(each)]
        if not ways:
            return decide([*given, *path], goal, effort=self.effort)
        last = ways[-1]
        for way in path[last].children():
            answer = self._leaf(
                given, [*path[:last], *path[last + 1 :], *conjuncts(way)], goal
            )
            if answer.answer != "valid":
                return answer
        return Decision("valid")


def _condition(formula: z3.BoolRef) -> z3.BoolRef | None:
    """The condition of an ``If`` deep inside: deciding it decides most."""
    last: z3.BoolRef | None = None
    for term in _terms([formula]):
        if term.decl().kind() == z3.Z3_OP_ITE:
            test = term.arg(0)
            if not z3.is_true(test) and not z3.is_false(test):
                last = test
    return last
