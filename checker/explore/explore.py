"""The entry point: explore a program and report every cause of a violation.

A reduced search that breaks one of its reduction's assumptions is repeated with the reduction
refined, until one runs through; the fine granularity needs no assumptions.
"""

from __future__ import annotations

import time

from ..lang import ir
from .engine import Engine, facts, fine_stops
from .graph import Shortest
from .paths import Goal
from .reduce import Reduction
from .report import Reporter, wanted
from .result import Granularity, ProgressCallback, Result
from .search import Bounds, Search, memory_used


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
    seen = {which: list(map(Goal, numbers)) for which, numbers in search.witnesses.items()}
    shortest = Shortest(graph, wanted(search.causes, seen.values()))
    report = Reporter(engine, search.causes, shortest, graph.states.__getitem__)
    return Result(
        program=program.name,
        granularity=granularity,
        states=len(graph.states),
        transitions=search.transitions,
        depth=len(graph.layers) - 1,
        seconds=time.monotonic() - started,
        complete=search.complete,
        bound=search.bound,
        violations=report.violations(),
        witnesses={
            witness.name: report.path(seen[which]) if which in seen else None
            for which, witness in enumerate(program.witnesses)
        },
        covered=[engine.covered(thread, marks) for thread, marks in enumerate(search.marks)],
        stops=engine.stops,
        restarts=restarts,
        state_bytes=engine.layout.size,
        memory=memory_used(),
    )
