"""The entry point: explore a program and report every cause of a violation.

A reduced search that breaks one of its reduction's assumptions is repeated with the reduction
refined, until one runs through; the fine granularity needs no assumptions.
"""

from __future__ import annotations

import time

from ..lang import ir
from .engine import Engine, facts, fine_stops
from .errors import InternalError
from .graph import Goal, Shortest
from .reduce import Reduction
from .refine import Expander
from .result import Block, Found, Granularity, Path, ProgressCallback, Result
from .search import Bounds, Cause, Search, memory_used


def explore(
    program: ir.Program,
    *,
    granularity: Granularity = "reduced",
    max_states: int | None = None,
    max_seconds: float | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
    keep_states: bool = False,
) -> Result:
    """Explore all interleavings of a program's threads, breadth first.

    ``max_memory`` is in bytes of the process.  ``progress`` is called every few thousand
    states.  ``keep_states`` puts the states' bytes into the result (for tests).
    """
    started = time.monotonic()
    bounds = Bounds(max_states, max_seconds, max_memory)
    known = facts(program)
    restarts = 0
    if granularity == "fine":
        reduction = None
        search = Search(Engine(known, fine_stops(program)), bounds, progress, started=started)
        search.run()
    else:
        reduction = Reduction(known)
        while True:
            engine = Engine(known, reduction.stops, reduction.checks)
            search = Search(engine, bounds, progress, reduction.unsure, started, restarts)
            search.run()
            if not search.abandoned or search.bound not in ("", "max_states"):
                break
            reduction.learn(search)
            restarts += 1
    result = _result(search, granularity, started, restarts)
    if reduction is not None:
        result.races = reduction.races()
    if keep_states:
        result.kept = search.graph.states
    return result


def _result(search: Search, granularity: Granularity, started: float, restarts: int) -> Result:
    program, engine, graph = search.program, search.engine, search.graph
    if search.complete:
        search.find_stuck()
    causes = list(search.causes.values())
    goals = [goal for cause in causes for goal in cause.goals]
    goals += [Goal(number) for number in search.witnesses.values()]
    shortest = Shortest(graph, goals)
    maker = _PathMaker(search, shortest)
    found = [maker.found(cause) for cause in causes]
    found.sort(key=lambda one: (one.depth, one.property, one.lines, one.message))
    expander = Expander(program, engine.stops)
    for one in found:
        expander.confirm(one)
    witnesses: dict[str, Path | None] = {}
    for which, witness in enumerate(program.witnesses):
        number = search.witnesses.get(which)
        witnesses[witness.name] = None if number is None else maker.path([Goal(number)])
    covered = [
        engine.covered(thread, marks) for thread, marks in enumerate(search.marks)
    ]
    return Result(
        program=program.name,
        granularity=granularity,
        states=len(graph.states),
        transitions=search.transitions,
        depth=len(graph.layers) - 1,
        seconds=time.monotonic() - started,
        complete=search.complete,
        bound=search.bound,
        violations=found,
        witnesses=witnesses,
        covered=covered,
        stops=engine.stops,
        restarts=restarts,
        state_bytes=engine.layout.size,
        memory=memory_used(),
    )


class _PathMaker:
    """Turns walks of the graph into paths with choices and digests."""

    def __init__(self, search: Search, shortest: Shortest) -> None:
        self.search, self.shortest = search, shortest
        self.engine, self.states = search.engine, search.graph.states

    def found(self, cause: Cause) -> Found:
        return Found(
            cause.kind,
            cause.property,
            cause.message,
            cause.lines,
            cause.thread,
            cause.instr,
            cause.depth,
            self.path(cause.goals, cause),
            cause.count,
        )

    def path(self, goals: list[Goal], cause: Cause | None = None) -> Path:
        """The best path to any of the goals."""
        goal, (initial, steps) = self.shortest.walk(goals)
        blocks: list[Block] = []
        state = initial
        for thread, after in steps:
            blocks.append(self._block(state, thread, after))
            state = after
        if goal.last is not None and goal.final is not None:
            blocks.append(self._block(goal.state, goal.last, goal.final))
        elif goal.last is not None and cause is not None:
            blocks.append(self._failing(goal.state, goal.last, cause))
        return Path(initial, self._digest(initial), tuple(blocks))

    def _digest(self, number: int) -> str:
        return self.engine.layout.decode(self.states[number]).digest()

    def _block(self, before: int, thread: int, after: int) -> Block:
        for outcome in self.engine.outcomes(self.states[before], thread):
            if outcome.after == self.states[after]:
                return Block(thread, outcome.choices, self._digest(after))
        raise InternalError("a transition cannot be repeated")

    def _failing(self, before: int, thread: int, cause: Cause) -> Block:
        for outcome in self.engine.outcomes(self.states[before], thread):
            violation = outcome.violation
            if violation is not None and violation.property == cause.property:
                if violation.instr == cause.instr:
                    return Block(thread, outcome.choices, "")
        raise InternalError("a violation cannot be repeated")



