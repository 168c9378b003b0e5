"""What checking one scenario came to, and the machine-readable report of a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["violated", "holds", "inconclusive"]
SCHEMA = 1

EXIT_HOLDS, EXIT_VIOLATED, EXIT_USAGE, EXIT_INCONCLUSIVE = range(4)
_STATUS: dict[Verdict, int] = {
    "holds": EXIT_HOLDS,
    "violated": EXIT_VIOLATED,
    "inconclusive": EXIT_INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One way a scenario breaks a property, with its shortest trace."""

    property: str
    message: str
    lines: tuple[int, ...]
    thread: str
    depth: int
    trace: str
    finding: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario's result.  ``why`` says what made it inconclusive, and how to go on.

    ``reductions`` were in force in the search that the counts are of.  ``omission`` bounds the
    probability that states were left out, where only fingerprints of them were kept.
    """

    scenario: str
    verdict: Verdict
    states: int
    transitions: int
    seconds: float
    complete: bool
    violations: tuple[Violation, ...] = ()
    why: str = ""
    engine: str = "python"
    reductions: tuple[str, ...] = ()
    omission: float | None = None


def overall(outcomes: Sequence[Outcome]) -> Verdict:
    """A violation outweighs everything; "holds" needs every scenario to hold."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if "violated" in verdicts:
        return "violated"
    return "inconclusive" if "inconclusive" in verdicts or not verdicts else "holds"


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """0 all hold, 1 a violation, 3 inconclusive."""
    return _STATUS[overall(outcomes)]


def report(
    outcomes: Sequence[Outcome], *, variant: str, engine: str, interrupted: bool
) -> dict[str, Any]:
    """The object that ``check --json`` writes."""
    return {
        "schema": SCHEMA,
        "variant": variant,
        "engine": engine,
        "verdict": _told(overall(outcomes), interrupted),
        "interrupted": interrupted,
        "results": [_result(outcome) for outcome in outcomes],
    }


def _told(verdict: Verdict, interrupted: bool) -> Verdict:
    """What was not begun may hold or not."""
    return "inconclusive" if interrupted and verdict == "holds" else verdict


def _result(outcome: Outcome) -> dict[str, Any]:
    return {
        "scenario": outcome.scenario,
        "verdict": outcome.verdict,
        "states": outcome.states,
        "transitions": outcome.transitions,
        "seconds": round(outcome.seconds, 3),
        "complete": outcome.complete,
        "why": outcome.why,
        "engine": outcome.engine,
        "reductions": list(outcome.reductions),
        **({} if outcome.omission is None else {"omission": outcome.omission}),
        "violations": [
            {
                "property": violation.property,
                "message": violation.message,
                "lines": list(violation.lines),
                "thread": violation.thread,
                "depth": violation.depth,
                "trace": violation.trace,
                "finding": violation.finding,
            }
            for violation in outcome.violations
        ],
    }
