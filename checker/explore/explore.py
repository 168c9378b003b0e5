"""The entry point: explore a program and report every cause of a violation.

A reduced search that breaks one of its reduction's assumptions is repeated with the reduction
refined, until one runs through; the fine granularity needs no assumptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..lang import ir
from .engine import Engine, facts, fine_stops
from .graph import Shortest
from .native.build import NativeUnavailable
from .native.handle import Library, load
from .native.search import NativeSearch
from .paths import Goal
from .pygen import Checks
from .reduce import Evidence, Reduction
from .report import Reporter, wanted
from .result import EngineName, Granularity, ProgressCallback, Result
from .search import Bounds, Search, memory_used

SMALL = 20_000
"""States up to which compiling C code does not pay (``auto``)."""


def explore(
    program: ir.Program,
    *,
    granularity: Granularity = "reduced",
    engine: EngineName = "python",
    workers: int = 1,
    max_states: int | None = None,
    max_seconds: float | None = None,
    max_memory: int | None = None,
    first: bool = False,
    progress: ProgressCallback | None = None,
    keep_states: bool = False,
) -> Result:
    """Explore all interleavings of a program's threads, breadth first.

    ``engine`` ``auto`` begins with the python engine and leaves larger searches to the native
    one, where a C compiler is found; ``native`` raises NativeUnavailable where none is.
    ``workers`` are threads of the native engine.  ``max_memory`` is in bytes of the process.
    ``first`` ends the search at the depth of the first violation.  ``progress`` is called every few thousand states.  ``keep_states`` puts the states' bytes
    into the result (for tests; python engine only).
    """
    bounds = Bounds(max_states, max_seconds, max_memory, first)
    run = Run(program, granularity, progress, workers)
    if engine == "native":
        return run.native(load(run.known), bounds)
    if engine == "auto" and (max_states is None or max_states > SMALL):
        result = run.python(replace(bounds, states=SMALL))
        if result.bound != "max_states":
            return result
        try:
            return run.native(load(run.known), bounds)
        except NativeUnavailable:
            pass  # whoever asked for "auto" is told which engine answered
    return run.python(bounds, keep_states)


_Search = TypeVar("_Search", bound=Search | NativeSearch)


class Run:
    """One exploration: searches, each with what the ones before taught about the reduction."""

    def __init__(
        self,
        program: ir.Program,
        granularity: Granularity,
        progress: ProgressCallback | None,
        workers: int,
    ) -> None:
        self.started = time.monotonic()
        self.program, self.granularity, self.progress = program, granularity, progress
        self.workers = workers
        self.known = facts(program)
        self.reduction = None if granularity == "fine" else Reduction(self.known)
        self.restarts = 0

    @property
    def stops(self) -> list[list[int]]:
        return fine_stops(self.program) if self.reduction is None else self.reduction.stops

    @property
    def checks(self) -> dict[int, Checks]:
        return {} if self.reduction is None else self.reduction.checks

    @property
    def unsure(self) -> Callable[[Evidence], bool] | None:
        return None if self.reduction is None else self.reduction.unsure

    def settle(self, make: Callable[[], _Search]) -> _Search:
        """Search until the reduction's assumptions hold, or a bound is hit."""
        while True:
            search = make()
            search.run()
            if self.reduction is None or not search.abandoned:
                return search
            if search.bound not in ("", "max_states"):
                return search
            self.reduction.learn(search)
            self.restarts += 1

    # ----------------------------------------------------------------- python engine

    def python(self, bounds: Bounds, keep_states: bool = False) -> Result:
        """Explore with the python engine."""
        search = self.settle(
            lambda: Search(
                Engine(self.known, self.stops, self.checks), bounds, self.progress, self.unsure,
                self.started, self.restarts,
            )
        )  # fmt: skip
        engine, graph = search.engine, search.graph
        if search.complete:
            search.find_stuck()
        seen = {which: list(map(Goal, numbers)) for which, numbers in search.witnesses.items()}
        shortest = Shortest(graph, wanted(search.causes, seen.values()))
        report = Reporter(engine, search.causes, shortest, graph.states.__getitem__)
        result = self._result(search)
        result.states, result.transitions = len(graph.states), search.transitions
        result.depth = len(graph.layers) - 1
        result.violations = report.violations()
        result.witnesses = {
            witness.name: report.path(seen[which]) if which in seen else None
            for which, witness in enumerate(self.program.witnesses)
        }
        result.covered = [
            engine.covered(thread, marks) for thread, marks in enumerate(search.marks)
        ]
        result.state_bytes = engine.layout.size
        result.kept = graph.states if keep_states else None
        return self._timed(result)

    # ----------------------------------------------------------------- native engine

    def native(self, library: Library, bounds: Bounds) -> Result:
        """Explore with the native engine."""
        search = self.search_natively(library, bounds)
        result = self._result(search)
        stats = search.native.stats()
        result.engine = "native"
        result.states, result.transitions = stats.states, stats.transitions
        result.depth = stats.layers - 1
        result.violations, result.witnesses = search.report()
        result.covered = search.covered()
        result.state_bytes = library.model.layout.size
        result.stored_bytes = stats.memory
        result.search_seconds = search.seconds
        search.close()
        return self._timed(result)

    def search_natively(self, library: Library, bounds: Bounds) -> NativeSearch:
        """The searches of :meth:`native`; the last one."""
        return self.settle(
            lambda: NativeSearch(
                library, self.known, self.stops, self.checks, bounds, self.progress, self.unsure,
                self.started, self.restarts, self.workers,
            )
        )  # fmt: skip

    # ------------------------------------------------------------------------- both

    def _result(self, search: Search | NativeSearch) -> Result:
        return Result(
            program=self.program.name,
            granularity=self.granularity,
            complete=search.complete,
            bound=search.bound,
            stops=[list(row) for row in self.stops],
            restarts=self.restarts,
            races=[] if self.reduction is None else self.reduction.races(),
        )

    def _timed(self, result: Result) -> Result:
        result.seconds = time.monotonic() - self.started
        result.memory = memory_used()
        return result
