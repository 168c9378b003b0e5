"""The entry point: bounded model checking of a program, with a reduction that it verifies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ...explore.engine import fine_stops
from ...explore.pygen import Checks
from ...explore.reduce import Evidence, Reduction
from ...explore.result import Granularity
from ...lang import ir
from ...lang.compile import INPUT
from .begin import Beginning, begin, known, specialise
from .guards import Encoding, Guards, Undecided
from .search import Search
from .segment import Machine
from .states import Bounds, Candidate, OutOfTime
from .values import Values


@dataclass(slots=True)
class Bounded:
    """What a bounded search came to.

    ``complete``: the bounds cut nothing off.  ``bound``: what ended the search before its time
    (``undecided``: z3 did not answer).  ``candidates``: one violation of each kind, those with the
    fewest switches first; they are not confirmed yet.  ``refused``: some inputs are inconsistent
    (:mod:`...explore.openings`); nothing is said about those.
    """

    program: ir.Program
    guards: Guards
    search: Search | None
    complete: bool = False
    bound: str = ""
    candidates: list[Candidate] = field(default_factory=list)
    witnesses: dict[str, bool] = field(default_factory=dict)
    covered: list[set[int]] = field(default_factory=list)
    stops: list[list[int]] = field(default_factory=list)
    refused: bool = False
    restarts: int = 0
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        """How many choices of inputs there are, consistent or not."""
        total = 1
        for one in self.guards.inputs:
            total *= one.count
        return total


def explore_bounded(
    program: ir.Program,
    bounds: Bounds,
    *,
    granularity: Granularity = "reduced",
    joining: bool = False,
    encoding: Encoding = "booleans",
    milliseconds: int = 10_000,
    progress: Callable[[Search], None] | None = None,
) -> Bounded:
    """Search a program as it was compiled (see :func:`...explore.prepare.prepare`: not that).

    ``joining``: paths that meet inside a block become one (slower: see the decision record).
    ``milliseconds`` are z3's for one question.  Raises SetupError where the setup fails for every
    input.
    """
    started = time.monotonic()
    guards = Guards(encoding, milliseconds)
    values = Values(guards)
    result = Bounded(program, guards, None)
    try:
        beginning = begin(program, values)
        _search(program, beginning, values, bounds, granularity, joining, progress, result, started)
    except Undecided as error:
        result.bound, result.complete = f"undecided ({error})", False
    except OutOfTime:
        result.bound, result.complete = "max_seconds", False
    if result.search is not None:  # what was found before z3 or the time gave out was found
        found = [*result.search.candidates.values(), *result.candidates]
        result.candidates = sorted(found, key=lambda one: (one.switches, one.at.depth))
    result.seconds = time.monotonic() - started
    return result


def _search(
    source: ir.Program, beginning: Beginning, values: Values, bounds: Bounds,
    granularity: Granularity, joining: bool, progress: Callable[[Search], None] | None,
    result: Bounded, started: float,
) -> None:  # fmt: skip
    program = result.program = specialise(source, beginning)
    # Every thread's first step may make inputs: they must be there before samples are taken.
    for thread in program.threads:
        declare(thread, values)
    reduction = None
    if granularity == "reduced":
        reduction = Reduction(known(program, beginning, values))
    while True:
        stops = fine_stops(program) if reduction is None else reduction.stops
        checks = {} if reduction is None else reduction.checks
        machines = [
            Machine(program, thread, values, stops[number], checks.get(number, Checks()),
                    joining=joining)
            for number, thread in enumerate(program.threads)
        ]  # fmt: skip
        unsure: Callable[[Evidence], bool] | None = None if reduction is None else reduction.unsure
        search = result.search = Search(
            program, values, machines, beginning.states, bounds, unsure, progress,
            result.restarts, started,
        )
        search.narrow()
        search.run()
        complete = search.complete and not search.abandoned
        if reduction is None or search.bound in ("max_seconds", "interrupted"):
            break
        if not search.abandoned and (search.bound or not reduction.unsure(search)):
            break
        reduction.learn(search)
        result.restarts += 1
    result.stops, result.complete, result.bound = stops, complete, search.bound
    result.refused = search.refused or values.guards.possible(beginning.refused)
    result.covered = [set(machine.seen.covered) for machine in machines]
    result.witnesses = {
        witness.name: which in search.witnesses
        for which, witness in enumerate(program.witnesses)
    }
    if complete:
        result.candidates += search.never()


def declare(thread: ir.Thread, values: Values) -> None:
    """Make the inputs that a thread chooses, in the order of its code."""
    for instr in thread.code:
        action = instr.action
        if isinstance(action, ir.Choose) and action.label.startswith(INPUT) \
                and isinstance(action.count, ir.Const) and action.count.value > 0:
            values.guards.input(action.label.removeprefix(INPUT), action.count.value)
