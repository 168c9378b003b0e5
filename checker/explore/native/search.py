"""The native search: what :class:`..search.Search` does, by generated C with several workers.

Everything that is reported is independent of the number of workers: states and transitions are
counted exactly, violations are grouped as the python engine groups them, and paths are chosen
by content (:mod:`..paths`).  Edges are not stored; what needs them computes them again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...lang import ir
from ..ample import Tables
from ..causes import Causes
from ..engine import Engine, Facts
from ..interpret import State
from ..lift import Lift, Place
from ..paths import INITIAL, Goal
from ..pygen import Checks
from ..reduce import Evidence
from ..report import Reporter, wanted
from ..result import Found, Path, Progress, ProgressCallback
from ..search import Bounds, memory_used
from .handle import NOBODY, Event, EventKind, Library, NativeEngine
from .quotient import Quotient

_BUDGET = 200_000
_MORE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which graph a search is of: where blocks end, what is checked in them, which reductions."""

    stops: Sequence[Sequence[int]]
    checks: Mapping[int, Checks]
    ample: Tables | None = None
    quotient: Quotient | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a search is run: see :func:`..explore.explore` and :class:`..search.Search`."""

    bounds: Bounds
    progress: ProgressCallback | None = None
    unsure: Callable[[Evidence], bool] | None = None
    started: float | None = None
    restarts: int = 0
    workers: int = 1


class NativeSearch:
    """One breadth-first search with the native engine; see :class:`..search.Search`.

    With ample sets or symmetry it finds a violation if and only if there is one, but not all
    causes nor (with ample sets) the least depth: so it is ``sparing`` and ends with the first,
    ``bound`` being ``violated``.
    """

    def __init__(self, library: Library, known: Facts, wanted: Wanted, terms: Terms) -> None:
        self.known, self.program = known, known.program
        self.model = library.model
        self.stops, self.checks = [list(row) for row in wanted.stops], wanted.checks
        self.ample, self.quotient = wanted.ample, wanted.quotient
        self.sparing = self.ample is not None or self.quotient is not None
        self.bounds, self.progress, self.unsure = terms.bounds, terms.progress, terms.unsure
        self.started = time.monotonic() if terms.started is None else terms.started
        self.restarts = terms.restarts
        self.bound = ""
        self.abandoned = False
        self.native = self._new_engine(library, terms.workers)
        self.native.flags(self.model.stop_flags(self.stops), self.model.site_flags(self.checks))
        if self.ample is not None:
            self.native.ample(self.ample)
        if self.quotient is not None:
            self.native.symmetry(self.quotient)
        self._coverage = (b"", b"", b"")
        self._enough = 0
        self._stuck: dict[int, tuple[int, int, list[int]]] = {}

    def _new_engine(self, library: Library, workers: int) -> NativeEngine:
        return NativeEngine(library, workers, self._memory())

    def _memory(self) -> int:
        """What the engine may use, in bytes; 0: no limit."""
        if self.bounds.memory is None:
            return 0
        return max(1, self.bounds.memory - memory_used())

    @property
    def complete(self) -> bool:
        return not self.bound and not self.abandoned

    # ---------------------------------------------------------------------- running

    def run(self) -> None:
        """Search until everything is seen, a bound is hit, or an assumption breaks."""
        self._began = self._searched = time.monotonic()
        try:
            self._start()
            self._advance()
            self._coverage = self.native.coverage()
            self._searched = time.monotonic()
            if self.complete:
                self._find_stuck()
        except KeyboardInterrupt:
            self.bound = "interrupted"

    def _start(self) -> None:
        for state in self.known.initial:
            self.native.initial(self.model.layout.encode(state))

    def _between(self) -> None:
        """Called between two calls of the engine."""

    def _advance(self) -> None:
        while not self.bound:
            self._between()
            status = self.native.advance(_BUDGET)
            if status == 3:
                self.bound = "max_memory"
            self._check_bounds()
            if status == 2:
                self._learn()
                return
            if status == 1 and self._hopeless():
                return
            if status == 1 and self.sparing and not self.abandoned and self.violated:
                self.bound = "violated"
            elif status == 1 and self._ended_early():
                self.bound = "first"

    def _hopeless(self) -> bool:
        """Is an assumption broken?  Then go on for a while only, to find more such."""
        if not self.abandoned and self._learn():
            self._enough = 2 * self.native.stats().states + _MORE
        return self.abandoned and self.native.stats().states > self._enough

    def _ended_early(self) -> bool:
        """Is the first violation enough, and there?"""
        return self.bounds.first and not self.abandoned and self.violated

    @property
    def violated(self) -> bool:
        """Was anything found that is reported as a violation?"""
        if self._stuck:
            return True
        classes = self.native.stats().classes
        return bool(classes) and any(
            event.kind != EventKind.WITNESS for event in self.native.events()
        )

    def _learn(self) -> bool:
        if not self.abandoned and self.unsure is not None:
            self._coverage = self.native.coverage()
            self.abandoned = self.unsure(self)
        return self.abandoned

    def _check_bounds(self) -> None:
        stats = self.native.stats()
        seconds = time.monotonic() - self.started
        bounds = self.bounds
        if self.bound:
            pass
        elif bounds.states is not None and stats.states > bounds.states:
            self.bound = "max_states"
        elif bounds.seconds is not None and seconds > bounds.seconds:
            self.bound = "max_seconds"
        if self.progress is not None:
            self.progress(
                Progress(
                    stats.states, stats.transitions, stats.queue, stats.layers - 1, seconds,
                    stats.memory, self.restarts,
                )
            )  # fmt: skip

    def _find_stuck(self) -> None:
        """After a complete search: threads that from some state on can never finish."""
        while (status := self.native.progress(_BUDGET)) == 0:
            self._check_bounds()
            if self.bound:
                return
        if status == 3:
            self.bound = "max_memory"
            return
        for thread in self.program.threads:
            if not thread.daemon:
                count, depth, roots = self.native.stuck(thread.index)
                if count:
                    self._stuck[thread.index] = (count, depth, roots)

    # ------------------------------------------------- what the reduction asks about

    def news(self) -> tuple[int, ...]:
        """Something that changes whenever there is new evidence."""
        digest = hashlib.sha256(b"|".join(self._coverage)).digest()
        return self.restarts, int.from_bytes(digest, "big")

    @property
    def wrong(self) -> set[tuple[int, int]]:
        """The waits inside blocks that were false, as (thread, instruction)."""
        return {
            (thread, fault.node)
            for fault, seen in zip(self.model.faults, self._coverage[2], strict=True)
            if seen
            for thread in self._images(fault.thread, fault.node)
        }

    def tried(self, thread: int) -> set[int]:
        """The thread's instructions that were executed, or evaluated in vain."""
        return self._covered(thread, 3)

    def strays(self, thread: int) -> set[tuple[int, int]]:
        """What :class:`~..pygen.Checks` of the thread failed, as (kind, instruction)."""
        return {
            (site.code, site.node)
            for site, seen in zip(self.model.sites, self._coverage[1], strict=True)
            if seen and thread in self._images(site.thread, site.node)
        }

    @property
    def seconds(self) -> float:
        """How long the search itself took, without what came before and after."""
        return self._searched - self._began

    def close(self) -> None:
        """Give the memory back; what was reported stays."""
        self.native.close()

    def covered(self) -> list[set[int]]:
        """For each thread the instructions that were executed."""
        self._coverage = self.native.coverage()
        return [self._covered(thread.index, 1) for thread in self.program.threads]

    def _covered(self, thread: int, mask: int) -> set[int]:
        return {
            node
            for block, mark in zip(self.model.blocks, self._coverage[0], strict=True)
            if mark & mask
            for node in block.nodes
            if thread in self._images(block.thread, node)
        }

    def _images(self, thread: int, node: int) -> tuple[int, ...]:
        """The threads that execute an instruction in the orbit of a state where one does.

        What exchanges do not map one to one was marked in every state of the orbit.
        """
        return (thread,) if self.quotient is None else self.quotient.images(thread, node)

    # ---------------------------------------------------------------------- reporting

    def report(self) -> tuple[list[Found], dict[str, Path | None]]:
        """The violations with their paths, and the paths to the witnesses."""
        return _Report(self).run()

    def state(self, root: int) -> State:
        """A stored state."""
        return self.model.layout.decode(self.native.state(root))


class _Report:
    """Turns what the engine noted into causes and paths."""

    def __init__(self, search: NativeSearch) -> None:
        self.search, self.native = search, search.native
        self.program: ir.Program = search.program
        self._data: dict[int, bytes] = {}
        self._arrivals: dict[int, dict[int, int]] = {}

    def run(self) -> tuple[list[Found], dict[str, Path | None]]:
        nothing: dict[str, Path | None] = {w.name: None for w in self.program.witnesses}
        events = list(self.native.events())
        if not events and not self.search._stuck:
            return [], nothing
        engine = Engine(self.search.known, self.search.stops, self.search.checks)
        self.engine = engine
        exchanged = self.search.quotient
        self.lift = Lift(engine, self.data, None if exchanged is None else exchanged.symmetry)
        causes = Causes(engine)
        seen: dict[int, list[Goal]] = {}
        for event in events:
            if event.kind == EventKind.WITNESS:
                seen[event.which] = [Goal(root) for root, _, _ in event.goals]
            else:
                self._cause(causes, event)
        for thread, (count, depth, roots) in self.search._stuck.items():
            self._stuck(causes, thread, depth, roots, count)
        self.native.paths(sorted(wanted(causes, seen.values())))
        report = Reporter(engine, causes, self, self.data, self.lift)
        paths = {
            witness.name: report.path(seen[which]) if which in seen else None
            for which, witness in enumerate(self.program.witnesses)
        }
        return report.violations(), paths

    def _cause(self, causes: Causes, event: Event) -> None:
        depth, count, goals = event.depth, event.count, event.goals
        root, thread, final = goals[0]
        match event.kind:
            case EventKind.FAULT:
                fault = self.search.model.faults[event.which]
                sources = [source for source, _, _ in goals]
                causes.check(depth, fault.thread, fault.node, fault.name, sources, count)
            case EventKind.INVARIANT:
                blamed = None
                if thread != NOBODY:
                    source = Place(self.data(root), tuple(range(len(self.program.threads))))
                    _, outcome, _ = self.lift.step(source, thread, final)
                    blamed = causes.blamed(thread, outcome.leaves, event.which)
                found = [
                    Goal(source) if last == NOBODY else Goal(source, last, after)
                    for source, last, after in goals
                ]
                causes.invariant(depth, event.which, blamed, found, count)
            case EventKind.DEADLOCK:
                causes.deadlock(depth, [source for source, _, _ in goals], self.data(root), count)
            case EventKind.AT_END:
                causes.at_end(depth, event.which, [source for source, _, _ in goals], count)

    def _stuck(
        self, causes: Causes, thread: int, depth: int, roots: Sequence[int], count: int
    ) -> None:
        """A thread can never finish from there; of threads that are exchanged, not all can."""
        exchanged, message = self.search.quotient, ""
        members = (thread,) if exchanged is None else exchanged.members(thread)
        if len(members) > 1:
            names = ", ".join(self.program.threads[member].name for member in members)
            message = f"not all of {names} can ever finish"
        left = list(roots)
        for member in members:
            own = self.engine.layout.threads[member]
            stands = {root: pc for root in left if (pc := own.pc.load(self.data(root)))}
            left = [root for root in left if root not in stands]
            if stands:
                places = {root: own.stops[pc - 1] for root, pc in stands.items()}
                causes.stuck(depth, member, places, count, message)

    def data(self, root: int) -> bytes:
        """A state in the python engine's layout."""
        found = self._data.get(root)
        if found is None:
            found = self._data[root] = self.engine.layout.encode(self.search.state(root))
        return found

    # ------------------------------------------------------------- see paths.Paths

    def arrivals(self, state: int) -> Mapping[int, int]:
        found = self._arrivals.get(state)
        if found is None:
            found = self._arrivals[state] = {
                last: switches
                for last in (INITIAL, *range(len(self.program.threads)))
                if (switches := self.native.switches(state, last)) is not None
            }
        return found

    def predecessors(self, state: int, last: int) -> Sequence[tuple[int, int]]:
        threads = range(len(self.program.threads))
        fewest = self.arrivals(state)[last]
        return [
            (before, one)
            for before in self.native.predecessors(state, last)
            for one in (INITIAL, *threads)
            if (known := self.arrivals(before).get(one)) is not None
            and known + (one not in (INITIAL, last)) == fewest
        ]
