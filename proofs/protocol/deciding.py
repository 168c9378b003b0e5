"""What became of units, and the verdict about a theorem that claims them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import z3

from ...checker.symbolic.houdini import Answer
from ...checker.symbolic.view import Execution
from ..theorem import Failure, Outcome, Verdict
from . import listed_units
from .unit import Unit, examine

# Kinds of obligations that theorems of their own are about.
APART: Final = ("order", listed_units.LOST)


@dataclass(frozen=True, eq=False)
class Theorem:
    """A claim: all obligations of all its units hold."""

    name: str
    statement: str
    variant: str
    sizes: str
    units: tuple[Unit, ...]
    fixes: tuple[str, ...] = ()
    long: bool = False
    order: bool = False
    # It claims obligations of this kind alone; others leave them out.
    kind: str = ""

    def claims(self, kind: str) -> bool:
        """Is an obligation of this kind one of the theorem's?"""
        own = "order" if self.order else self.kind
        return kind == own if own else kind not in APART


def failure(execution: Execution, answer: Answer, unit: Unit) -> Failure:
    """A counterexample to induction: where, and the view's values in front of the step."""
    each, model = answer.obligation, answer.model
    assert model is not None
    values: dict[str, int] = {}
    for (kind, name), value in each.state.items():
        if kind == "S" and isinstance(name, str) and " " not in name:
            _show(values, name, model.eval(value))
        elif kind == "L" and isinstance(name, int):
            var = execution.thread.locals[name]
            if "." not in var.name and "$" not in var.name and var.domain.kind != "int":
                _show(values, var.name, model.eval(value))
    place = each.where.stack[-1].partition("@")[0] if each.where.stack else unit.routine
    return Failure(each.kind, each.lines, f"{each.text} ({unit.routine}: {place})",
                   tuple(values.items()))


def _show(values: dict[str, int], name: str, value: z3.ExprRef) -> None:
    if z3.is_int_value(value) or z3.is_bv_value(value):
        values.setdefault(name, int(value.as_long()))
    elif z3.is_true(value) or z3.is_false(value):
        values.setdefault(name, int(z3.is_true(value)))


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one unit.

    ``failures``: by the obligation's kind and name; ``counts``: obligations by kind.
    """

    failures: tuple[tuple[str, str, Failure], ...]
    open: tuple[tuple[str, str], ...]
    counts: Mapping[str, int]


def prove_unit(
    unit: Unit, fixes: Sequence[str], given: Mapping[str, tuple[str, str]] | None = None
) -> Part:
    """Decide a unit.  Raises ValueError where there was nothing to decide."""
    execution, answers = examine(unit, fixes, given)
    failures: dict[tuple[object, ...], tuple[str, str, Failure]] = {}
    still_open = []
    counts: dict[str, int] = {}
    for answer in answers:
        each = answer.obligation
        counts[each.kind] = counts.get(each.kind, 0) + 1
        if answer.verdict == "false":
            found = failure(execution, answer, unit)
            failures.setdefault((found.kind, each.name, found.lines, found.text),
                                (each.kind, each.name, found))
        elif answer.verdict != "valid":
            still_open.append((each.kind, f"{unit.routine}: {each.kind} {each.name} at "
                                          f"{each.lines}"))
    if not answers:
        raise ValueError(f"{unit.routine}: no obligations")
    return Part(tuple(failures.values()), tuple(still_open), counts)


def outcome(theorem: Theorem, parts: Sequence[Part], seconds: float) -> Outcome:
    """The verdict about a theorem, from all its units."""
    if theorem.order:
        return _order(theorem, parts, seconds)
    failures = tuple({
        (found.kind, found.lines, found.text): found
        for part in parts for kind, _, found in part.failures if theorem.claims(kind)
    }.values())
    still_open = tuple(
        text for part in parts for kind, text in part.open if theorem.claims(kind))
    verdict: Verdict = "fails" if failures else "inconclusive" if still_open else "proved"
    count = sum(number for part in parts for kind, number in part.counts.items()
                if theorem.claims(kind))
    return Outcome(theorem.name, verdict, failures, still_open, count, seconds)


def _order(theorem: Theorem, parts: Sequence[Part], seconds: float) -> Outcome:
    """Is there a rank for each lock that rises along every wait?  If not: a cycle of waits."""
    waits: dict[str, Failure] = {}
    for part in parts:
        for kind, name, found in part.failures:
            if kind == "order":
                waits.setdefault(name, found)
    still_open = tuple(text for part in parts for kind, text in part.open if kind == "order")
    count = sum(part.counts.get("order", 0) for part in parts)
    failures = tuple(waits[name] for core in cycles(waits) for name in core)
    verdict: Verdict = "fails" if failures else "inconclusive" if still_open else "proved"
    return Outcome(theorem.name, verdict, failures, still_open, count, seconds)


def cycles(waits: Iterable[str]) -> list[list[str]]:
    """Cycles that have no wait in common, until the rest has an order."""
    left, found = set(waits), []
    while core := cycle(left):
        found.append(core)
        left -= set(core)
    return found


def cycle(waits: Iterable[str]) -> list[str]:
    """``A before B``, of which some contradict each other (none: there is an order)."""
    solver = z3.Solver()
    solver.set("core.minimize", True)
    marks: dict[str, str] = {}
    for number, name in enumerate(sorted(waits)):
        first, _, second = name.partition(" before ")
        mark = z3.Bool(f"wait{number}")
        marks[str(mark)] = name
        solver.assert_and_track(z3.Int(first) < z3.Int(second), mark)
    if solver.check() == z3.sat:
        return []
    return sorted(marks[str(each)] for each in solver.unsat_core())
