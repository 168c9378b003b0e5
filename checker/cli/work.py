"""The work on one scenario: compile, explore, execute every counterexample again, keep it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..explore.errors import InternalError
from ..explore.explore import explore
from ..explore.refine import expand
from ..explore.result import EngineName, Found, Granularity, Progress, Result
from ..explore.search import Bounds
from ..lang import ir
from ..lang.scenario import Scenario
from ..trace.names import line_ranges
from ..trace.record import Broken, Trace, save
from ..trace.replay import Decision, Divergence, disproved, execute, record
from .library import Library, Subject
from .modes import Mode, Subtask, search_in_mode
from .outcome import Outcome, Verdict, Violation
from .pool import Report

_SECONDS_BETWEEN_REPORTS = 0.25


@dataclass(frozen=True, slots=True)
class Effort:
    """How a program is explored, and where that ends: ``max_memory`` in MiB.

    ``threads`` are those of the native engine, and so is ``reduction`` (ample sets, symmetry).
    """

    granularity: Granularity = "reduced"
    engine: EngineName | Literal["z3"] = "auto"
    threads: int = 1
    max_states: int | None = None
    max_memory: int | None = None
    first: bool = False
    mode: Mode = Mode()
    reduction: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to check one scenario."""

    subject: Subject
    scenario: Scenario
    variant: str
    fixes: tuple[str, ...]
    effort: Effort
    traces: Path


def check_scenario(task: Task, tell: Report) -> Outcome:
    """Check one scenario and save a trace for each violation."""
    library = Library(task.subject)
    started = time.monotonic()
    program = library.compile(task.scenario, task.variant, task.fixes)
    tell({"states": 0})
    result = search(program, task.effort, tell, task)
    violations = []
    for number, found in enumerate(result.violations, start=1):
        trace = counterexample(library, task.scenario, program, found, result.stops)
        task.traces.mkdir(parents=True, exist_ok=True)
        path = task.traces / f"{task.scenario.name}-{number}.json"
        save(trace, path)
        known = library.findings.find(
            found.property, trace.lines, task.scenario.name, trace.fixes
        )
        violations.append(
            Violation(
                property=found.property,
                message=found.message,
                lines=found.lines,
                thread=trace.broken.thread,
                depth=len(trace.steps),
                trace=str(path),
                finding=known.id if known else None,
            )
        )
    verdict, why = _verdict(task, program, result)
    return Outcome(
        scenario=task.scenario.name,
        verdict=verdict,
        states=result.states,
        transitions=result.transitions,
        seconds=time.monotonic() - started,
        complete=result.complete,
        violations=tuple(violations),
        why=why,
        engine=result.engine,
        reductions=result.reductions,
        omission=result.omission,
    )


def search(
    program: ir.Program, effort: Effort, tell: Report | None = None, task: Task | None = None
) -> Result:
    """Explore a program, telling how it goes; in another mode than the usual only for a task."""

    last = 0.0

    def forward(progress: Progress) -> None:
        nonlocal last
        if tell is not None and time.monotonic() - last >= _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            tell(
                {
                    "states": progress.states,
                    "transitions": progress.transitions,
                    "queue": progress.queue,
                    "depth": progress.depth,
                    "rate": int(progress.states / max(progress.seconds, 0.001)),
                    "megabytes": progress.memory >> 20,
                }
            )

    if effort.engine == "z3":
        raise InternalError("the z3 engine has its own way: check_bounded")
    memory = None if effort.max_memory is None else effort.max_memory << 20
    if task is not None and not effort.mode.usual:
        subtask = Subtask(
            task.scenario.name, task.variant, task.fixes, effort.granularity, effort.threads,
            Bounds(effort.max_states, None, memory, effort.first), effort.reduction,
        )  # fmt: skip
        return search_in_mode(effort.mode, subtask, program, forward)
    return explore(
        program,
        granularity=effort.granularity,
        engine=effort.engine,
        workers=effort.threads,
        max_states=effort.max_states,
        max_memory=memory,
        first=effort.first,
        reduction=effort.reduction,
        progress=forward,
    )


def counterexample(
    library: Library,
    scenario: Scenario,
    program: ir.Program,
    found: Found,
    stops: Sequence[Sequence[int]],
) -> Trace:
    """The fine trace of a violation, executed again; what does not repeat is our own fault."""
    steps = expand(program, found.path, stops).steps
    decisions = [Decision(step.thread, step.choices) for step in steps]
    try:
        replay = execute(program, found.path.initial, decisions)
    except Divergence as error:
        raise InternalError(f"{scenario.name}: {found.property}: {error}") from None
    violation = replay.violation
    broken = Broken(
        property=found.property,
        message=found.message,
        lines=found.lines,
        thread="" if violation is None else program.threads[violation.thread].name,
    )
    problem = disproved(replay, broken)
    if problem:
        raise InternalError(f"{scenario.name}: {found.property}: {problem}")
    return record(
        replay,
        broken,
        model=library.source.digest,
        scenario=scenario.name,
        scenario_text=scenario.text,
    )


def _verdict(task: Task, program: ir.Program, result: Result) -> tuple[Verdict, str]:
    """The verdict; what was declared possible and is not makes "holds" inconclusive."""
    notes = [result.note]
    if result.left_out:
        plural = "s" * (result.left_out != 1)
        notes.append(f"{result.left_out:,} inconsistent choice{plural} of the setup left out")
    if not result.complete:
        why = {
            "max_states": f"stopped after {result.states:,} states: raise --max-states",
            "first": "stopped at the first violation (--first)",
            "max_memory": f"stopped at {task.effort.max_memory} MiB: raise --max-memory",
            "walks": "",
        }.get(result.bound, f"stopped: {result.bound}")
        return result.verdict, "; ".join(filter(None, (why, *notes)))
    missing = [name for name, path in result.witnesses.items() if path is None]
    lines = _unreached(task.scenario, program, result)
    parts = []
    if missing:
        parts.append(f"never reached: {', '.join(missing)}")
    if lines:
        parts.append(f"lines never executed: {line_ranges(lines)}")
    if not parts:
        return result.verdict, "; ".join(filter(None, notes))
    why = f"{'; '.join(parts)}, which the scenario says are possible"
    why = "; ".join(filter(None, (why, *notes)))
    return ("inconclusive" if result.verdict == "holds" else result.verdict), why


def _unreached(scenario: Scenario, program: ir.Program, result: Result) -> tuple[int, ...]:
    executed = covered_lines(program, result)
    return tuple(line for line in scenario.possible_lines if line not in executed)


def covered_lines(program: ir.Program, result: Result) -> set[int]:
    """The seed lines whose instructions were executed."""
    return {
        line
        for thread, covered in zip(program.threads, result.covered, strict=True)
        for node in covered
        for line in thread.code[node].where.lines
    }
