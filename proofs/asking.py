"""Asking z3: of one obligation, or several at once, in one way after the other.

What z3 decides within an effort may depend on everything that its context has seen.  So each
question has a context of its own, into which the formulas are copied: the answer depends on
them alone, not on what was asked before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import z3

from ..checker.symbolic.cases import decide_by_cases, generalised, nearest
from ..checker.symbolic.conditions import Obligation
from ..checker.symbolic.solve import Answer, decide
from ..checker.symbolic.state import conjuncts
from ..checker.symbolic.terms import Term

# Bits of parameters that the units' assumptions (``sizes``) keep small.
NARROW = {"PAGE_SHIFT": 5, "FS_BSHIFT": 5, "DEV_BSHIFT": 5, "TREE_PENALTY": 7}


class Asking:
    """Some obligations, copied; ``sizes`` are the parameters that may be tried one by one."""

    def __init__(
        self,
        part: Sequence[Obligation],
        assumptions: Sequence[z3.BoolRef],
        parameters: Mapping[str, Term],
        effort: int,
    ) -> None:
        self._context = z3.Context()
        self._effort = effort
        self._assumptions = [self._copy(each) for each in assumptions]
        self._parts = [(self._copy(each.reach), self._copy(each.goal)) for each in part]
        self._parameters = {
            name: (term.value.translate(self._context), term.ctype.bits)
            for name, term in parameters.items()
        }

    def _copy(self, formula: z3.BoolRef) -> z3.BoolRef:
        result = formula.translate(self._context)
        assert isinstance(result, z3.BoolRef)
        return result

    def generalised(self, effort: int) -> bool:
        """Is it valid whatever shifts, masks and elements are?  (False: that is not known.)"""
        ((reach, goal),) = self._parts
        reach, goal = generalised([reach, goal])
        return decide([reach], goal, effort=effort).answer == "valid"

    def near(self, effort: int, case: Mapping[str, int] | None = None) -> bool:
        """Does it follow from what was learnt last alone?  Then from all."""
        ((reach, goal),) = self._parts
        values = self._constants(case or {})
        path, goal = conjuncts(self._with(values, reach)), self._with(values, goal)
        return any(
            decide(part, aim, effort=effort).answer == "valid" for part, aim in nearest(path, goal)
        )

    def ask(
        self, case: Mapping[str, int] | None = None, joins: bool = False, effort: int = 0
    ) -> Answer:
        """Whole, or (``joins``) by cases; for all sizes, or those of ``case``."""
        values = self._constants(case or {})
        assumptions = [self._with(values, each) for each in self._assumptions]
        if joins:
            ((reach, goal),) = self._parts
            reach, goal = self._with(values, reach), self._with(values, goal)
            return decide_by_cases(assumptions, reach, goal, self._effort).answer
        whole = z3.And(*(z3.Implies(reach, goal) for reach, goal in self._parts))
        goal = self._with(values, whole)
        return decide(assumptions, goal, effort=effort or self._effort).answer

    def _with(
        self, values: list[tuple[z3.ExprRef, z3.ExprRef]], formula: z3.BoolRef
    ) -> z3.BoolRef:
        result = z3.simplify(z3.substitute(formula, *values))
        assert isinstance(result, z3.BoolRef)
        return result

    def _constants(self, case: Mapping[str, int]) -> list[tuple[z3.ExprRef, z3.ExprRef]]:
        """What the sizes are: a value, or any number of few bits.

        That these are all that matter is an assumption of every unit (``sizes``); as numbers
        of 32 bits with a sign they make every shift a formula over all of their bits.
        """
        found: list[tuple[z3.ExprRef, z3.ExprRef]] = []
        for name, (value, bits) in self._parameters.items():
            if name in case:
                found.append((value, z3.BitVecVal(case[name], bits, self._context)))
            elif name in NARROW:
                narrow = z3.BitVec(name, NARROW[name], self._context)
                found.append((value, z3.ZeroExt(bits - NARROW[name], narrow)))
        return found

    def each(self, sizes: Mapping[str, Sequence[int]], joins: bool = False) -> Answer:
        """For each size by itself.  The first that is not valid decides."""
        if not sizes:
            return "unknown"
        for case in cases(sizes):
            if self.near(self._effort // 8, case):
                continue
            answer = self.ask(case, joins)
            if answer != "valid":
                return answer
        return "valid"


def cases(sizes: Mapping[str, Sequence[int]]) -> Iterator[dict[str, int]]:
    """The values of the parameters, every combination."""
    for values in itertools.product(*sizes.values()):
        yield dict(zip(sizes, values, strict=True))
