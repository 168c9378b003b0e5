"""The entry point: explore a program and report every cause of a violation.

A reduced search that breaks one of its reduction's assumptions is repeated with the reduction
refined, until one runs through; the fine granularity needs no assumptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..lang import ir
from .counted import Counted
from .engine import Engine, facts, fine_stops
from .errors import InternalError
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
    reduction: bool = True,
    progress: ProgressCallback | None = None,
    keep_states: bool = False,
) -> Result:
    """Explore all interleavings of a program's threads, breadth first.

    ``engine`` ``auto`` begins with the python engine and leaves larger searches to the native
    one, where a C compiler is found; ``native`` raises NativeUnavailable where none is.
    ``workers`` are threads of the native engine.  ``max_memory`` is in bytes of the process.
    ``first`` ends the search at the depth of the first violation.  ``reduction`` False: the
    native engine uses no ample sets.  (With them it only finds out whether there is a violation;
    where there is one, what is reported comes from a search without.)  ``progress`` is called
    every few thousand states.  ``keep_states`` puts the states' bytes into the result (for
    tests; python engine only).
    """
    bounds = Bounds(max_states, max_seconds, max_memory, first)
    run = Run(program, granularity, progress, workers, reduction)
    if engine == "native":
        return run.native(bounds)
    if engine == "auto" and (max_states is None or max_states > SMALL):
        result = run.python(replace(bounds, states=SMALL))
        if result.bound != "max_states":
            return result
        run.thrifty = run.thrifty and not result.violations
        try:
            return run.native(bounds)
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
        reduction: bool = True,
    ) -> None:
        self.started = time.monotonic()
        self.program, self.granularity, self.progress = program, granularity, progress
        self.workers = workers
        self.known = facts(program)
        self.reduction = None if granularity == "fine" else Reduction(self.known)
        self.restarts = 0
        self.thrifty = reduction and granularity != "fine"
        self.counted: Counted | None = None

    @property
    def stops(self) -> list[list[int]]:
        return fine_stops(self.program) if self.reduction is None else self.reduction.stops

    @property
    def checks(self) -> dict[int, Checks]:
        return {} if self.reduction is None else self.reduction.checks

    @property
    def unsure(self) -> Callable[[Evidence], bool] | None:
        return None if self.reduction is None else self._unsure

    def _unsure(self, seen: Evidence) -> bool:
        """Is a search useless that saw this?"""
        assert self.reduction is not None
        if self.reduction.unsure(seen):
            return True
        return self.counted is not None and not self.counted.holds(self.reduction.active)

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
        seconds = time.monotonic() - search.begun
        if search.complete:
            search.find_stuck()
        seen = {which: list(map(Goal, numbers)) for which, numbers in search.witnesses.items()}
        shortest = Shortest(graph, wanted(search.causes, seen.values()))
        report = Reporter(engine, search.causes, shortest, graph.states.__getitem__)
        result = self.result_of(search)
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
        result.search_seconds = seconds
        result.kept = graph.states if keep_states else None
        return self.timed(result)

    # ----------------------------------------------------------------- native engine

    def native(self, bounds: Bounds) -> Result:
        """Explore with the native engine; raises NativeUnavailable without a C compiler."""
        begun = time.monotonic()
        library = load(self.known)
        compiling = time.monotonic() - begun
        search, spare = self.search_natively(library, bounds), None
        if self.to_repeat(search):
            spare = search
            self._begin_again()
            search = self.search_natively(library, bounds)
        if spare is not None and not search.violated:
            if search.complete:
                raise InternalError("a violation with ample sets, and none without")
            bound, search, spare = search.bound, spare, search
            search.bound = bound
        result = self._native_result(library, search)
        result.compile_seconds = compiling
        for one in (search, spare):
            if one is not None:
                one.close()
        return self.timed(result)

    def to_repeat(self, search: NativeSearch) -> bool:
        """Must what is reported come from a search without ample sets?"""
        stopped = search.bound in ("interrupted", "max_seconds")
        return search.ample and search.violated and not stopped

    def _begin_again(self) -> None:
        """Forget everything: what follows is a search without ample sets from the beginning.

        What the searches with them taught depends on what they left out, and could lead to
        another graph; the report is the one that there is without them.
        """
        self.thrifty, self.restarts = False, 0
        self.reduction = Reduction(self.known)

    def _native_result(self, library: Library, search: NativeSearch) -> Result:
        result = self.result_of(search)
        stats = search.native.stats()
        result.engine = "native"
        result.states, result.transitions = stats.states, stats.transitions
        result.depth = stats.layers - 1
        result.stops = search.stops
        result.violations, result.witnesses = search.report()
        result.covered = search.covered()
        result.state_bytes = library.model.layout.size
        result.stored_bytes = stats.memory
        result.search_seconds = search.seconds
        if search.ample:
            result.reductions += ("ample",)
            if result.violations:
                result.note = "found with ample sets: there may be more, and shorter traces"
        return result

    def search_natively(self, library: Library, bounds: Bounds) -> NativeSearch:
        """Searches, with ample sets if ``thrifty``, until one runs through; the last one."""

        def make() -> NativeSearch:
            self.count(self.stops, self.checks)
            return NativeSearch(
                library, self.known, self.stops, self.checks, bounds, self.progress, self.unsure,
                self.started, self.restarts, self.workers,
                None if self.counted is None else self.counted.tables,
            )  # fmt: skip

        return self.settle(make)

    def count(
        self,
        stops: Sequence[Sequence[int]],
        checks: Mapping[int, Checks],
        active: Sequence[Collection[int]] | None = None,
    ) -> None:
        """Make the ample sets of the search that begins now, if there are to be any.

        ``active``: the instructions that they count (None: what the reduction has seen).
        """
        self.counted = None
        if self.thrifty and self.reduction is not None:
            counted = self.reduction.active if active is None else active
            self.counted = Counted(self.known, stops, checks, counted)

    # ------------------------------------------------------------------------- both

    def result_of(self, search: Search | NativeSearch) -> Result:
        """The beginning of a result: what both engines say of a search."""
        return Result(
            program=self.program.name,
            granularity=self.granularity,
            complete=search.complete,
            bound=search.bound,
            stops=[list(row) for row in self.stops],
            restarts=self.restarts,
            reductions=() if self.reduction is None else ("merging",),
            races=[] if self.reduction is None else self.reduction.races(),
        )

    def timed(self, result: Result) -> Result:
        """The end of a result: what it took."""
        result.seconds = time.monotonic() - self.started
        result.memory = memory_used()
        return result
