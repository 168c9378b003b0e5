"""Theorems: what is claimed, of which routine, and how it is decided.

A :class:`Unit` is one symbolic execution of a routine, under named assumptions.  Its
obligations are of two sorts: the *support* (cuts and invariants, which the rest rests on),
and the others, of which a :class:`Theorem` selects those that it is about.  A theorem is
proved only if both its own and its unit's support are.

Verdicts: ``proved``; ``fails`` with the smallest values found, where these values, executed
step by step (:mod:`..checker.symbolic.replay`), break what was claimed; ``inconclusive``
otherwise.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import z3

from ..checker.lang import ir
from ..checker.lang.compile import compile_routine
from ..checker.lang.source import Source
from ..checker.symbolic.conditions import Conditions, Formula, Frame, Obligation, conditions
from ..checker.symbolic.replay import confirm
from ..checker.symbolic.solve import Answer, Relevance, Standard, smallest, smt2
from ..checker.symbolic.state import conjuncts
from .asking import Asking

Verdict: TypeAlias = Literal["proved", "fails", "inconclusive"]
SUPPORT = ("lemma", "cut", "invariant", "induction")
EFFORT = 4_000_000  # of z3 for one question: about a second
BATCH = 10  # obligations asked in one question: they share most of their formulas


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that is assumed of the routine's inputs: its name, in words, as a formula."""

    name: str
    text: str
    formula: Formula


@dataclass(frozen=True, eq=False)
class Unit:
    """One routine of one variant, executed symbolically under assumptions.

    ``split``: parameters whose values are tried one by one where z3 does not decide the
    question for all of them at once, with the values.  ``slices``: so many processes share
    its obligations.  ``seconds``: about what it takes (:class:`.running.Task`).
    """

    name: str
    routine: str
    variant: str
    frame: Frame
    assumptions: tuple[Assumption, ...]
    fixes: tuple[str, ...] = ()
    symbolic: Mapping[str, ir.CType] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    split: Mapping[str, Sequence[int]] = field(default_factory=dict)
    slices: int = 1
    seconds: float = 1.0

    def program(self, source: Source) -> ir.Program:
        """The routine's IR."""
        return compile_routine(
            source, self.routine, parameters=self.parameters, symbolic=self.symbolic,
            fixes=self.fixes, properties=self.checks,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Theorem:
    """One claim.  ``select`` picks its obligations; ``values`` are made least in a failure.

    ``long``: z3 needs more than minutes, or does not decide it.
    """

    name: str
    statement: str
    unit: Unit
    select: Callable[[Obligation], bool]
    sizes: str
    values: tuple[str, ...] = ()
    long: bool = False

    @property
    def variant(self) -> str:
        return self.unit.variant


@dataclass(frozen=True, slots=True)
class Question:
    """One formula to decide: do the assumptions imply the goal?"""

    obligation: Obligation
    assumptions: tuple[z3.BoolRef, ...]
    standard: Standard

    def smt2(self, comment: str) -> str:
        """For other solvers: ``unsat`` means proved."""
        asked = [*self.assumptions, self.obligation.reach]
        return smt2(asked, self.obligation.goal, comment, self.standard)


@dataclass(frozen=True, slots=True)
class Failure:
    """An obligation that does not hold: the seed's lines, what, and the smallest values."""

    kind: str
    lines: tuple[int, ...]
    text: str
    values: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.values)
        return f"line {self.lines[0] if self.lines else '?'} ({self.kind}): {self.text}: {values}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, with what it rests on: failures, what stayed open, how many obligations."""

    name: str
    verdict: Verdict
    failures: tuple[Failure, ...]
    open: tuple[str, ...]
    obligations: int
    seconds: float

    def after(self, seconds: float) -> Outcome:
        """The same, with what was spent before."""
        return replace(self, seconds=self.seconds + seconds)


class Proving:
    """A unit being decided: its obligations, and what is known of each."""

    def __init__(self, unit: Unit, source: Source, effort: int = EFFORT) -> None:
        self.unit, self.effort = unit, effort
        self.program = unit.program(source)
        self.conditions: Conditions = conditions(self.program, unit.frame)
        self.relevance = Relevance(self.conditions.facts)
        self.assumed = [each.formula(self.conditions.entry) for each in unit.assumptions]
        self.standard = Standard()
        self.answers: dict[int, Answer] = {}  # by the obligation's number

    @functools.cached_property
    def support(self) -> list[Obligation]:
        return [each for each in self.conditions.obligations if each.kind in SUPPORT]

    def selected(self, theorem: Theorem) -> list[Obligation]:
        """The unit's support, and the theorem's own obligations."""
        own = [each for each in self.conditions.obligations
               if each.kind not in SUPPORT and theorem.select(each)]
        return [*self.support, *own]

    @functools.cached_property
    def _numbers(self) -> dict[int, int]:
        return {id(each): number for number, each in enumerate(self.conditions.obligations)}

    def number(self, obligation: Obligation) -> int:
        """Its place among the unit's: the same in every process."""
        return self._numbers[id(obligation)]

    def question(self, obligation: Obligation) -> Question:
        return Question(obligation, tuple(self._assumptions([obligation])), self.standard)

    def _assumptions(self, part: Sequence[Obligation]) -> list[z3.BoolRef]:
        if all(each.alone for each in part):
            return []
        asked = [formula for each in part for formula in (each.reach, each.goal)]
        return [*self.assumed, *self.relevance.of(*asked, *self.assumed)]

    # ------------------------------------------------------------------- deciding

    def decide(self, obligations: Sequence[Obligation]) -> None:
        """Find an answer for each: in batches, then one by one, then by cases."""
        todo = []
        for each in obligations:
            if self.number(each) in self.answers:
                continue
            if self.known(each):
                self.answers[self.number(each)] = "valid"
            else:
                todo.append(each)
        for start in range(0, len(todo), BATCH):
            part = todo[start : start + BATCH]
            if self.asking(part).ask(effort=self.effort // 2) == "valid":
                for each in part:
                    self.answers[self.number(each)] = "valid"
                continue
            for each in part:
                self.answers[self.number(each)] = self._decide(each)

    def known(self, obligation: Obligation) -> bool:
        """Is it said on the way there, or does it follow from what is said of its variables?

        Most of what a lemma states and a cut keeps: of the hundreds of conjuncts that led there
        a few are about the same variables.
        """
        path = conjuncts(obligation.reach)
        said = {each.get_id() for each in path}
        goal = [each for each in conjuncts(obligation.goal) if each.get_id() not in said]
        if not goal or obligation.alone:
            return not goal
        names = frozenset[str]().union(*(self.relevance.names(each) for each in goal))
        about = [each for each in path if self.relevance.names(each) <= names]
        if not about:
            return False
        part = replace(obligation, reach=z3.And(*about), goal=z3.And(*goal))
        asking = Asking([part], (), self.conditions.parameters, self.effort // 16)
        return asking.ask() == "valid"

    def asking(self, part: Sequence[Obligation]) -> Asking:
        """A copy of them, to be asked."""
        return Asking(part, self._assumptions(part), self.conditions.parameters, self.effort)

    def _decide(self, obligation: Obligation) -> Answer:
        """One by itself: whole; where control joined, either way; each size by itself."""
        asking = self.asking([obligation])
        if obligation.alone and asking.generalised(self.effort // 4):
            return "valid"
        joins = not obligation.alone
        if joins:
            answer = asking.ask(effort=self.effort // 16)
            if answer != "unknown":
                return answer
            if asking.near(self.effort // 8):
                return "valid"
        answer = asking.ask(effort=self.effort // (2 if joins else 4))
        if joins and answer == "unknown":
            answer = asking.ask(joins=True)
        sizes = self._sizes(obligation)
        for chosen in (*({name: values} for name, values in sizes.items()), sizes):
            if answer == "unknown":
                answer = asking.each(chosen)
        if joins and answer == "unknown":
            answer = asking.each(sizes, joins=True)
        return answer

    def _sizes(self, obligation: Obligation) -> dict[str, Sequence[int]]:
        """The sizes that it speaks of."""
        asked = [obligation.reach, obligation.goal, *self._assumptions([obligation])]
        mentioned = set().union(*(self.relevance.names(each) for each in asked))
        found = {}
        for name, values in self.unit.split.items():
            term = self.conditions.parameters.get(name)
            if term is not None and str(term.value) in mentioned:
                found[name] = values
        return found

    # ------------------------------------------------------------------- failures

    def failure(self, obligation: Obligation, values: Sequence[str]) -> Failure | None:
        """The smallest values that break it, if executing them does."""
        terms = {name: self._named(name) for name in values}
        asked = [*self._assumptions([obligation]), obligation.reach, z3.Not(obligation.goal)]
        least = [term for term in terms.values() if term is not None]
        model = smallest(asked, least, effort=self.effort)
        if model is None or not confirm(self.program, self.unit.frame, obligation, model):
            return None
        shown = tuple(
            (name, _signed(model, term)) for name, term in terms.items() if term is not None
        )
        return Failure(obligation.kind, obligation.lines, obligation.text, shown)

    def _named(self, name: str) -> z3.BitVecRef | None:
        if name in self.conditions.parameters:
            term = self.conditions.parameters[name]
        elif name in self.conditions.inputs:
            term = self.conditions.inputs[name]
        else:
            found = [term for read, term in self.conditions.reads if read == name]
            if not found:
                return None
            term = found[0]
        return term.at(term.ctype.bits)


def _signed(model: z3.ModelRef, term: z3.BitVecRef) -> int:
    value = model.eval(term, model_completion=True)
    assert isinstance(value, z3.BitVecNumRef)
    return int(value.as_signed_long())


def prove(theorem: Theorem, proving: Proving) -> Outcome:
    """Decide a theorem."""
    started = time.process_time()
    wanted = proving.selected(theorem)
    if len(wanted) == len(proving.support):
        raise ValueError(f"{theorem.name}: no obligation is its own")
    proving.decide(wanted)
    failures: list[Failure] = []
    still_open: list[str] = []
    for each in wanted:
        answer = proving.answers[proving.number(each)]
        if answer == "valid" or any(each.lines == known.lines for known in failures):
            continue  # one failure for each line is enough
        failure = proving.failure(each, theorem.values) if answer == "false" else None
        if failure is not None:
            failures.append(failure)
        else:
            still_open.append(f"{each.kind} {each.name} at line {each.line}: {each.text}")
    verdict: Verdict = (
        "fails" if failures else "inconclusive" if still_open else "proved"
    )
    return Outcome(theorem.name, verdict, tuple(failures), tuple(still_open), len(wanted),
                   time.process_time() - started)
