"""``check --engine z3``: bounded model checking of one scenario, its open arguments symbolic."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..explore.engine import fine_stops
from ..explore.errors import SetupError
from ..explore.result import Found
from ..lang import ir
from ..lang.errors import ScenarioError
from ..lang.opened import closed, open_arguments
from ..lang.scenario import Scenario, compile_scenario
from ..trace.names import line_ranges
from ..trace.record import save
from .library import HARDENED, Library
from .outcome import Outcome, Verdict, Violation
from .pool import Report as Tell
from .work import Task, counterexample

if TYPE_CHECKING:  # z3 is loaded only where it is used
    from ..symbolic.bmc.run import Bounded
    from ..symbolic.bmc.search import Search
    from ..symbolic.bmc.states import Candidate

_SECONDS_BETWEEN_REPORTS = 0.25
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Reported:
    """A violation, the scenario without inputs that shows it, and that scenario's program."""

    found: Found
    scenario: Scenario
    program: ir.Program


@dataclass(frozen=True, slots=True)
class Report:
    """The violations confirmed; ``undecided``: for how many more z3 did not name inputs."""

    violations: list[Reported]
    undecided: int


def check_bounded(task: Task, tell: Tell) -> Outcome:
    """Check one scenario within bounds and save a trace for each violation."""
    from ..symbolic.bmc.run import explore_bounded
    from ..symbolic.bmc.states import Bounds

    library = Library(task.subject)
    started = last = time.monotonic()
    limits = task.effort.mode.limits

    def progress(search: Search) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            states = len(search.entries)
            tell({"states": states, "transitions": search.transitions, "depth": search.depth,
                  "rate": int(states / max(last - started, 0.001))})  # fmt: skip

    tell({"states": 0})
    fixes = library.known_fixes if task.variant == HARDENED else task.fixes
    program = compile_scenario(
        library.source, task.scenario, fixes=frozenset(fixes), variant=task.variant
    )
    bounds = Bounds(
        limits.switches, limits.steps, limits.seconds, task.effort.max_states, task.effort.first
    )
    try:
        result = explore_bounded(
            program, bounds, granularity=task.effort.granularity, progress=progress
        )
    except SetupError as error:
        raise ScenarioError(task.scenario.file, "setup", str(error)) from None
    reported = report(library, task, result)
    violations = []
    for number, one in enumerate(reported.violations, start=1):
        trace = counterexample(
            library, one.scenario, one.program, one.found, fine_stops(one.program)
        )
        task.traces.mkdir(parents=True, exist_ok=True)
        path = task.traces / f"{task.scenario.name}-{number}.json"
        save(trace, path)
        known = library.findings.find(
            one.found.property, trace.lines, task.scenario.name, trace.fixes
        )
        violations.append(
            Violation(
                property=one.found.property,
                message=one.found.message,
                lines=one.found.lines,
                thread=trace.broken.thread,
                depth=len(trace.steps),
                trace=str(path),
                finding=known.id if known else None,
            )
        )
    verdict, why = _verdict(task, result, bool(violations), reported.undecided)
    search = result.search
    return Outcome(
        scenario=task.scenario.name,
        verdict=verdict,
        states=0 if search is None else len(search.entries),
        transitions=0 if search is None else search.transitions,
        seconds=time.monotonic() - started,
        complete=result.complete,
        violations=tuple(violations),
        why=why,
        engine="z3",
        reductions=("merging",) if task.effort.granularity == "reduced" else (),
    )


def report(library: Library, task: Task, result: Bounded) -> Report:
    """Every violation with an ordinary scenario that shows it, confirmed by the interpreter."""
    from ..symbolic.bmc.concrete import schedule
    from ..symbolic.bmc.follow import Follower
    from ..symbolic.bmc.guards import Undecided

    followers: dict[str, tuple[Scenario, Follower]] = {}
    found: dict[tuple[object, ...], Reported] = {}
    undecided = 0
    for candidate in shown(result.candidates):
        try:
            plan = schedule(result.program, result.guards, candidate)
        except Undecided:
            undecided += 1
            continue
        scenario, program = task.scenario, result.program
        if open_arguments(scenario):
            scenario = closed(scenario, plan.inputs)
        if scenario.text not in followers:
            if scenario is not task.scenario:
                program = library.compile(scenario, task.variant, task.fixes)
            followers[scenario.text] = scenario, Follower(program)
        scenario, follower = followers[scenario.text]
        one = follower.found(plan)
        key = (one.kind, one.property, one.lines, one.message)
        found.setdefault(key, Reported(one, scenario, follower.program))
    return Report(list(found.values()), undecided)


def shown(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates to confirm: not too many of one property."""
    count: dict[str, int] = {}
    chosen: list[Candidate] = []
    for candidate in candidates:
        count[candidate.property] = count.get(candidate.property, 0) + 1
        if count[candidate.property] <= _SHOWN:
            chosen.append(candidate)
    return chosen


def _verdict(
    task: Task, result: Bounded, violated: bool, undecided: int
) -> tuple[Verdict, str]:
    """The verdict and what is to be said with it.

    ``undecided`` violations are for some inputs that z3 did not name in its time: where there is
    no other, nothing is shown, and the verdict is "inconclusive".
    """
    verdict, why = _searched(task, result, violated)
    if not undecided:
        return verdict, why
    unnamed = f"z3 did not name the inputs of {undecided} violation{'s' * (undecided != 1)}"
    return ("violated" if violated else "inconclusive"), f"{unnamed}; {why}"


def _searched(task: Task, result: Bounded, violated: bool) -> tuple[Verdict, str]:
    """Within bounds "holds" is said only where the bounds cut nothing off."""
    limits = task.effort.mode.limits
    bounds = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((limits.switches, "context switch"), (limits.steps, "step"))
        if number is not None
    ]
    within = " and ".join(bounds).replace("switchs", "switches") or "no bound"
    parts = []
    if result.inputs > 1:
        parts.append(f"{result.inputs:,} choices of inputs")
    if result.refused:
        parts.append("inconsistent ones left out")
    what = f" ({', '.join(parts)})" if parts else ""
    if result.search is None or result.bound:
        reason = {
            "max_states": "stopped: raise --max-states",
            "max_seconds": f"stopped after {limits.seconds:g} s: raise --seconds"
            if limits.seconds else "stopped",
            "first": "stopped at the first violation (--first)",
        }.get(result.bound, f"stopped: {result.bound}")
        return ("violated" if violated else "inconclusive"), f"{reason}{what}"
    missing = [name for name, seen in result.witnesses.items() if not seen]
    executed = {
        line
        for thread, covered in zip(result.program.threads, result.covered, strict=True)
        for node in covered
        for line in thread.code[node].where.lines
    }
    lines = tuple(line for line in task.scenario.possible_lines if line not in executed)
    never = []
    if missing:
        never.append(f"never reached: {', '.join(missing)}")
    if lines:
        never.append(f"lines never executed: {line_ranges(lines)}")
    if not result.complete:
        text = f"{'nothing else' if violated else 'nothing'} within {within}{what}"
        return ("violated" if violated else "inconclusive"), "; ".join([text, *never])
    text = f"everything looked at, within {within}{what}"
    if never:
        text = f"{text}; {'; '.join(never)}, which the scenario says are possible"
    verdict: Verdict = "violated" if violated else "inconclusive" if never else "holds"
    return verdict, text


