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
from .native.quotient import Quotient, quotient
from .native.search import NativeSearch, Terms, Wanted
from .paths import Goal
from .pygen import Checks
from .reduce import Evidence, Reduction
from .report import Reporter, wanted
from .result import EngineName, Granularity, ProgressCallback, Result
from .search import Bounds, Search, memory_used
from .symmetry import symmetry

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
    native engine uses no ample sets and no symmetry.  (With them it only finds out whether there
    is a violation; where there is one, what is reported comes from a search without.)
    ``progress`` is called every few thousand states.  ``keep_states`` puts the states' bytes
    into the result (for tests; python engine only).
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
        self._quotient: tuple[Quotient | None] | None = None

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
                raise InternalError("a violation with ample sets or symmetry, and none without")
            bound, search, spare = search.bound, spare, search
            search.bound = bound
        result = self._native_result(library, search)
        result.compile_seconds = compiling
        for one in (search, spare):
            if one is not None:
                one.close()
        return self.timed(result)

    def to_repeat(self, search: NativeSearch) -> bool:
        """Must what is reported come from a search without ample sets and symmetry?"""
        stopped = search.bound in ("interrupted", "max_seconds")
        return search.sparing and search.violated and not stopped

    def _begin_again(self) -> None:
        """Forget everything: what follows is a search without ample sets, from the beginning.

        What the searches with them (or with symmetry) taught depends on what they left out, and
        could lead to another graph; the report is the one that there is without them.
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
        if search.ample is not None:
            result.reductions += ("ample",)
        if search.quotient is not None:
            result.reductions += ("symmetry",)
        if search.sparing and result.violations:
            result.note = "found with reductions: there may be more, and shorter traces"
        return result

    def search_natively(self, library: Library, bounds: Bounds) -> NativeSearch:
        """Searches, with ample sets if ``thrifty``, until one runs through; the last one."""

        def make() -> NativeSearch:
            return NativeSearch(library, self.known, self.wanted(library), self.terms(bounds))

        return self.settle(make)

    def terms(self, bounds: Bounds) -> Terms:
        """How the search that begins now is to be run."""
        return Terms(
            bounds, self.progress, self.unsure, self.started, self.restarts, self.workers
        )  # fmt: skip

    def wanted(
        self,
        library: Library,
        own: tuple[Sequence[Sequence[int]], Mapping[int, Checks]] | None = None,
        active: Sequence[Collection[int]] | None = None,
    ) -> Wanted:
        """The graph of the search that begins now, with ample sets and symmetry if ``thrifty``.

        ``own``: its stops and checks (None: the reduction's, or what threads that are exchanged
        have of them together); ``active``: the instructions that ample sets count (None: what
        the reduction has seen).
        """
        self.counted, stops, checks = None, self.stops, self.checks
        if not self.thrifty or self.reduction is None:
            return Wanted(*(own or (stops, checks)))
        exchanged = self.quotient(library)
        groups: tuple[tuple[int, ...], ...] = ()
        if exchanged is not None:
            groups = exchanged.symmetry.groups
            stops, checks = exchanged.symmetry.common_stops(stops), exchanged.checks(checks)
        counted = self.reduction.active if active is None else active
        self.counted = Counted(self.known, *(own or (stops, checks)), counted, groups)
        return Wanted(self.counted.stops, self.counted.checks, self.counted.tables, exchanged)

    def quotient(self, library: Library) -> Quotient | None:
        """What a search needs to exchange threads, if any may be exchanged."""
        if self._quotient is None:
            self._quotient = (quotient(symmetry(self.known), library.model),)
        return self._quotient[0]

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
            left_out=self.known.left_out,
            reductions=() if self.reduction is None else ("merging",),
            races=[] if self.reduction is None else self.reduction.races(),
        )

    def timed(self, result: Result) -> Result:
        """The end of a result: what it took."""
        result.seconds = time.monotonic() - self.started
        result.memory = memory_used()
        return result
