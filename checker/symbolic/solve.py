"""Deciding formulas: proved, false with values, or not decided within the effort.

The effort is z3's own count of its steps (``rlimit``), not time: what is decided does not
depend on how busy the machine is.  A million of them is some 0.3 seconds.
"""

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
    assumptions: Sequence[z3.BoolRef], goal: z3.BoolRef, milliseconds: int = 0, effort: int = 0
) -> Decision:
    """Do the assumptions imply the goal?  Without limits (0) it takes as long as it takes.

    All of them are of the goal's context.
    """
    started = time.perf_counter()
    solver = limited(milliseconds, effort, goal.ctx)
    solver.add(*assumptions, z3.Not(goal))
    result = solver.check()
    seconds = time.perf_counter() - started
    if result == z3.unsat:
        return Decision("valid", seconds=seconds)
    if result == z3.sat:
        return Decision("false", solver.model(), seconds=seconds)
    return Decision("unknown", reason=solver.reason_unknown(), seconds=seconds)


def limited(
    milliseconds: int, effort: int, context: z3.Context | None = None
) -> z3.Solver:
    """A solver that gives up after so much time, or so many steps (0: never)."""
    solver = z3.SolverFor("QF_AUFBV", ctx=context)
    if milliseconds:
        solver.set("timeout", milliseconds)
    if effort:
        solver.set("rlimit", effort)
    return solver


def smallest(
    assumptions: Sequence[z3.BoolRef],
    values: Sequence[z3.BitVecRef],
    milliseconds: int = 0,
    effort: int = 0,
) -> z3.ModelRef | None:
    """A model in which the values are least, the first of them first, nearest to zero.

    The widths are tried from the narrowest on, then bisected: a small value is found at once,
    and that there is none is easy to see where few bits are open.  Where z3 does not decide
    a step within the limits the best value so far is kept.  None where the assumptions
    have no model (or none is found within them).
    """
    solver = limited(milliseconds, effort)
    solver.add(*assumptions)
    if solver.check() != z3.sat:
        return None
    best = solver.model()
    for value in values:
        width = value.size()
        negative = _negative(solver, best, value)
        # Counted from zero on either side: -1 is 0, -2 is 1.
        distance = ~value if negative else value
        low, high = 0, _number(best, distance)
        for bits in WIDTHS:
            if high < 1 << bits:
                break
            found = _within(solver, distance, (1 << bits) - 1)
            if found is not None:
                best, high = found, _number(found, distance)
                break
            low = 1 << bits
        while low < high:
            middle = (low + high) // 2
            found = _within(solver, distance, middle)
            if found is None:
                low = middle + 1
            else:
                best, high = found, _number(found, distance)
        solver.add(distance == z3.BitVecVal(high, width))
    return best


WIDTHS = (0, 1, 4, 8, 12, 16, 20, 24, 31, 32, 40, 48, 62)


def _negative(solver: z3.Solver, best: z3.ModelRef, value: z3.BitVecRef) -> bool:
    """Has the value to be negative?  Then that is known from now on, as is the opposite."""
    zero = z3.BitVecVal(0, value.size())
    solver.push()
    solver.add(value >= zero)
    answer = solver.check()
    solver.pop()
    if answer == z3.unknown:
        return bool(_number(best, value) >> (value.size() - 1))
    return bool(answer == z3.unsat)


def _within(solver: z3.Solver, value: z3.BitVecRef, limit: int) -> z3.ModelRef | None:
    """A model in which the value is no larger, unsigned."""
    solver.push()
    solver.add(z3.ULE(value, z3.BitVecVal(limit, value.size())))
    answer = solver.check()
    found = solver.model() if answer == z3.sat else None
    solver.pop()
    return found


def _number(model: z3.ModelRef, value: z3.BitVecRef) -> int:
    found = model.eval(value, model_completion=True)
    assert isinstance(found, z3.BitVecNumRef)
    return int(found.as_long())


def smt2(
    assumptions: Sequence[z3.BoolRef],
    goal: z3.BoolRef,
    comment: str,
    standard: Standard | None = None,
) -> str:
    """The question as SMT-LIB 2: ``unsat`` means that it holds."""
    solver = z3.Solver()
    standard = standard or Standard()
    solver.add(*(standard(each) for each in (*assumptions, z3.Not(goal))))
    head = "".join(f"; {line}\n" for line in comment.splitlines())
    return f"{head}(set-logic QF_AUFBV)\n{solver.to_smt2()}"


class Standard:
    """Formulas in SMT-LIB's words alone; what they share is translated once.

    Those are not: z3's own predicates of products, and ``and`` and ``or`` of one formula, or none.
    """

    def __init__(self) -> None:
        # With the term, since z3 reuses the numbers of what it has dropped.
        self._made: dict[int, tuple[z3.ExprRef, z3.ExprRef]] = {}

    def __call__(self, formula: z3.BoolRef) -> z3.BoolRef:
        made = self._made
        todo: list[z3.ExprRef] = [formula]
        while todo:
            term = todo[-1]
            number = term.get_id()
            if number in made:
                todo.pop()
                continue
            children = term.children()
            left = [each for each in children if each.get_id() not in made]
            if left:
                todo += left
                continue
            todo.pop()
            parts = [made[each.get_id()][1] for each in children]
            made[number] = term, _standard(term, children, parts)
        result = made[formula.get_id()][1]
        assert isinstance(result, z3.BoolRef)
        return result


def _standard(
    term: z3.ExprRef, children: list[z3.ExprRef], parts: list[z3.ExprRef]
) -> z3.ExprRef:
    """The term, of its parts in these words."""
    kind = term.decl().kind() if z3.is_app(term) else None
    if kind in _NO_OVERFLOW:
        a, b = (z3.SignExt(each.size(), each) for each in parts if isinstance(each, z3.BitVecRef))
        most = z3.BitVecVal((1 << (a.size() // 2 - 1)) - 1, a.size())
        return a * b <= most if kind == z3.Z3_OP_BSMUL_NO_OVFL else ~most <= a * b
    if kind in (z3.Z3_OP_AND, z3.Z3_OP_OR) and len(parts) < 2:
        return parts[0] if parts else z3.BoolVal(kind == z3.Z3_OP_AND)
    if all(one.eq(two) for one, two in zip(parts, children, strict=True)):
        return term
    result = term.decl()(*parts)
    assert isinstance(result, z3.ExprRef)
    return result


_NO_OVERFLOW = (z3.Z3_OP_BSMUL_NO_OVFL, z3.Z3_OP_BSMUL_NO_UDFL)
