"""Deciding formulas: proved, false with values, or not decided within the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import z3

Answer: TypeAlias = Literal["valid", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Decision:
    """``false`` comes with a model; ``unknown`` with z3's reason."""

    answer: Answer
    model: z3.ModelRef | None = None
    reason: str = ""
    seconds: float = 0.0


class Relevance:
    """Which facts can matter to a question: those that share constants with it, and so on."""

    def __init__(self, facts: Sequence[z3.BoolRef]) -> None:
        self._names: dict[int, frozenset[str]] = {}
        self._kept: list[z3.AstRef] = []  # z3 reuses the numbers of what it has dropped
        self._facts = [(fact, self.names(fact)) for fact in facts]

    def names(self, formula: z3.AstRef) -> frozenset[str]:
        """The uninterpreted constants of a formula."""
        found: set[str] = set()
        seen: set[int] = set()
        todo = [formula]
        while todo:
            term = todo.pop()
            number = term.get_id()
            if number in seen:
                continue
            seen.add(number)
            known = self._names.get(number)
            if known is not None:
                found |= known
                continue
            children = term.children()
            if not children and z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                found.add(term.decl().name())
            todo.extend(children)
        result = frozenset(found)
        self._names[formula.get_id()] = result
        self._kept.append(formula)
        return result

    def of(self, *question: z3.BoolRef) -> list[z3.BoolRef]:
        """The facts that matter, in their order.  The others share nothing with it."""
        names: set[str] = set()
        for formula in question:
            names |= self.names(formula)
        chosen: set[int] = set()
        grown = True
        while grown:
            grown = False
            for number, (_, mentioned) in enumerate(self._facts):
                if number not in chosen and mentioned & names:
                    chosen.add(number)
                    if not mentioned <= names:
                        names |= mentioned
                        grown = True
        return [fact for number, (fact, _) in enumerate(self._facts) if number in chosen]


def decide(
    assumptions: Sequence[z3.BoolRef], goal: z3.BoolRef, milliseconds: int
) -> Decision:
    """Do the assumptions imply the goal?"""
    started = time.perf_counter()
    solver = z3.SolverFor("QF_AUFBV")
    solver.set("timeout", milliseconds)
    solver.add(*assumptions, z3.Not(goal))
    result = solver.check()
    seconds = time.perf_counter() - started
    if result == z3.unsat:
        return Decision("valid", seconds=seconds)
    if result == z3.sat:
        return Decision("false", solver.model(), seconds=seconds)
    return Decision("unknown", reason=solver.reason_unknown(), seconds=seconds)


def smallest(
    assumptions: Sequence[z3.BoolRef],
    values: Sequence[z3.BitVecRef],
    milliseconds: int,
) -> z3.ModelRef | None:
    """A model in which the values are least, the first of them first, nearest to zero.

    By bisection; where z3 does not decide a step in time the best value so far is kept.
    None where the assumptions have no model (or none is found in time).
    """
    solver = z3.SolverFor("QF_AUFBV")
    solver.set("timeout", milliseconds)
    solver.add(*assumptions)
    if solver.check() != z3.sat:
        return None
    best = solver.model()
    for value in values:
        low, high = 0, _number(best, value)
        while low < high:
            middle = (low + high) // 2
            solver.push()
            solver.add(z3.ULE(value, z3.BitVecVal(middle, value.size())))
            answer = solver.check()
            if answer == z3.sat:
                best = solver.model()
                high = _number(best, value)
            else:
                low = middle + 1
            solver.pop()
        if high >> (value.size() - 1):  # only negative ones: the nearest to zero
            top = (1 << value.size()) - 1
            while high < top:
                middle = (high + top + 1) // 2
                solver.push()
                solver.add(z3.UGE(value, z3.BitVecVal(middle, value.size())))
                if solver.check() == z3.sat:
                    best = solver.model()
                    high = _number(best, value)
                else:
                    top = middle - 1
                solver.pop()
        solver.add(value == z3.BitVecVal(high, value.size()))
        if solver.check() == z3.sat:
            best = solver.model()
    return best


def _number(model: z3.ModelRef, value: z3.BitVecRef) -> int:
    found = model.eval(value, model_completion=True)
    assert isinstance(found, z3.BitVecNumRef)
    return int(found.as_long())


def smt2(assumptions: Sequence[z3.BoolRef], goal: z3.BoolRef, comment: str) -> str:
    """The question as SMT-LIB 2: ``unsat`` means that it holds."""
    solver = z3.Solver()
    solver.add(*assumptions, z3.Not(goal))
    head = "".join(f"; {line}\n" for line in comment.splitlines())
    return f"{head}(set-logic QF_AUFBV)\n{solver.to_smt2()}"
