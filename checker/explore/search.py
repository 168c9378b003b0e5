"""Breadth-first search of one graph: exact counts, every cause with its shortest paths.

A :class:`Search` explores the states of one :class:`~.engine.Engine`, that is for given
block boundaries.  When the assumptions of a reduction turn out wrong it stops at the end of
the current depth; :mod:`.explore` then refines the reduction and starts a new search.
"""

from __future__ import annotations

import resource
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from ..lang import ir
from .causes import Causes
from .engine import TRIED, Engine
from .exprgen import OutOfBounds
from .graph import Graph
from .interpret import FUEL
from .paths import Goal
from .pygen import BLOCKED, BLOCKED_DIRTY, GOTO, STOP
from .result import Progress, ProgressCallback

_CHUNK = 4096
_MORE = 500


@dataclass(slots=True)
class Bounds:
    """Where a search ends early; ``memory`` in bytes of the whole process.

    ``first``: after the depth at which something is violated for the first time.
    """

    states: int | None = None
    seconds: float | None = None
    memory: int | None = None
    first: bool = False


def memory_used() -> int:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Search:
    """One breadth-first search.

    ``wrong`` collects the waits inside blocks that were false, as (thread, instruction).
    ``unsure`` is asked at the end of each depth whether what was covered so far makes it
    pointless to go on.
    """

    def __init__(
        self,
        engine: Engine,
        bounds: Bounds,
        progress: ProgressCallback | None = None,
        unsure: Callable[[Search], bool] | None = None,
        started: float | None = None,
        restarts: int = 0,
    ) -> None:
        self.engine, self.program = engine, engine.program
        self.bounds, self.progress, self.unsure = bounds, progress, unsure
        self.begun = time.monotonic()
        self.started = self.begun if started is None else started
        self.restarts = restarts
        self.graph = Graph()
        self.seen: dict[bytes, int] = {}
        self.masks: dict[int, int] = {}
        self.marks = [code.new_marks() for code in engine.threads]
        self.causes = Causes(engine)
        self.witnesses: dict[int, list[int]] = {}
        self._open = list(range(len(self.program.witnesses)))
        self.wrong: set[tuple[int, int]] = set()
        self.panicked: set[int] = set()
        self.deadlocked: list[int] = []
        self.transitions = 0
        self.bound = ""
        self.abandoned = False

    @property
    def _invariants(self) -> int:
        return len(self.program.invariants)

    @property
    def complete(self) -> bool:
        return not self.bound and not self.abandoned

    # ------------------------------------------------- what the reduction asks about

    def news(self) -> tuple[int, ...]:
        """Something that changes whenever there is new evidence."""
        return (
            self.restarts,
            len(self.wrong),
            *(marks.count(0) for marks in self.marks),
            *(len(code.strays) for code in self.engine.threads),
        )

    def tried(self, thread: int) -> set[int]:
        """The thread's instructions that were executed, or evaluated in vain."""
        return self.engine.tried(thread, self.marks[thread])

    def strays(self, thread: int) -> set[tuple[int, int]]:
        """What :class:`~.pygen.Checks` of the thread failed, as (kind, instruction)."""
        return self.engine.threads[thread].strays

    # ---------------------------------------------------------------------- running

    def run(self) -> None:
        """Search until everything is seen, a bound is hit, or an assumption breaks."""
        try:
            self._start()
            begin, end = 0, len(self.graph.states)
            while begin < end and not self.bound:
                self._new_layer = end
                self._open = [which for which in self._open if which not in self.witnesses]
                position = begin
                while position < end and not self.bound:
                    upto = min(position + _CHUNK, end)
                    self._expand(position, upto)
                    position = upto
                    self._check_bounds(end - position)
                if self._hopeless():
                    return
                if self.bounds.first and self.causes.all and not self.abandoned:
                    self.bound = "first"
                begin, end = end, len(self.graph.states)
                if begin < end:
                    self.graph.layers.append(begin)
        except KeyboardInterrupt:
            self.bound = "interrupted"

    def _hopeless(self) -> bool:
        """Is an assumption broken?  Then go on for a while only, to find more such."""
        if not self.abandoned and self.unsure is not None and self.unsure(self):
            self.abandoned = True
            self._enough = 2 * len(self.graph.states) + _MORE
        return self.abandoned and len(self.graph.states) > self._enough

    _enough = 0
    _new_layer = 0

    def _check_bounds(self, left: int) -> None:
        states = len(self.graph.states)
        seconds = time.monotonic() - self.started
        bounds = self.bounds
        if bounds.states is not None and states > bounds.states:
            self.bound = "max_states"
        elif bounds.seconds is not None and seconds > bounds.seconds:
            self.bound = "max_seconds"
        elif bounds.memory is not None and memory_used() > bounds.memory:
            self.bound = "max_memory"
        if self.progress is not None:
            depth = len(self.graph.layers) - 1
            queue = states - len(self.graph.first)
            self.progress(
                Progress(
                    states, self.transitions, queue, depth, seconds, memory_used(), self.restarts
                )
            )

    def _start(self) -> None:
        self.graph.layers.append(0)
        for state in self.engine.initial():
            if state in self.seen:
                continue
            number = self.seen[state] = len(self.seen)
            self.graph.states.append(state)
            broken = self.engine.predicates.broken(state)
            self._visit(number, state)
            if broken:
                self.masks[number] = broken
                for which in bits(broken):
                    self.causes.invariant(0, which, None, [Goal(number)])

    def _expand(self, begin: int, end: int) -> None:
        """Compute the successors of some states.  This is the hot loop."""
        graph, seen, masks = self.graph, self.seen, self.masks
        states, first, target, threads = graph.states, graph.first, graph.target, graph.thread
        broken = self.engine.predicates.broken if self._invariants else None
        slow = self._slow
        table = []
        for index, (code, own) in enumerate(
            zip(self.engine.threads, self.engine.layout.threads, strict=True)
        ):
            table.append(
                (index, own.pc.offset, own.pc.width == 2, code.entry, code.kinds, code.targets,
                 self.marks[index], [0] * code.scratch)
            )  # fmt: skip
        vector = bytearray(self.engine.layout.size)
        looking = bool(self._open)
        for source in range(begin, end):
            state = states[source]
            vector[:] = state
            enabled = False
            first.append(len(target))
            for thread, offset, wide, entry, kinds, targets, marks, scratch in table:
                pc = state[offset] | state[offset + 1] << 8 if wide else state[offset]
                fragment = entry[pc]
                if fragment is None:
                    continue
                try:
                    leaf = fragment(vector, scratch)
                    kind = kinds[leaf]
                    if kind == BLOCKED:
                        marks[leaf] = TRIED
                        continue
                    if kind == GOTO:
                        fuel = FUEL
                        while kind == GOTO:
                            marks[leaf] = 1
                            leaf = targets[leaf](vector, scratch)  # type: ignore[misc]
                            kind = kinds[leaf]
                            fuel -= 1
                            if fuel == 0:
                                break
                except OutOfBounds:
                    kind = -1
                if kind == STOP:
                    marks[leaf] = 1
                    enabled = True
                    after = bytes(vector)
                    vector[:] = state
                    number = seen.get(after)
                    if number is None:
                        number = seen[after] = len(states)
                        states.append(after)
                        bad = broken(after) if broken is not None else 0
                        if bad or masks:
                            self._mask(source, thread, number, after, bad)
                        if looking:
                            self._visit(number, after)
                            looking = bool(self._open)
                    elif masks and number in masks:
                        self._again(source, thread, number)
                    target.append(number)
                    threads.append(thread)
                    continue
                vector[:] = state
                if kind == BLOCKED or kind == BLOCKED_DIRTY:
                    marks[leaf] = TRIED
                    continue
                if slow(source, state, thread):
                    enabled = True
            if not enabled:
                self._terminal(source, state)
        self.transitions = len(target) + self._failed

    _failed = 0

    def _slow(self, source: int, state: bytes, thread: int) -> bool:
        """Choices, violations, broken assumptions; whether the thread was enabled."""
        outcomes = self.engine.outcomes(state, thread, self.marks[thread])
        for outcome in outcomes:
            if outcome.broken is not None:
                self.wrong.add((thread, outcome.broken.node))
            elif outcome.violation is not None:
                self._failed += 1
                self.panicked.add(source)
                found = outcome.violation
                self.causes.check(self._depth, thread, found.instr, found.property, [source])
            elif outcome.after is not None:
                self._edge(source, thread, outcome.after)
        return bool(outcomes)

    def _edge(self, source: int, thread: int, after: bytes) -> None:
        number = self.seen.get(after)
        if number is None:
            number = self.seen[after] = len(self.graph.states)
            self.graph.states.append(after)
            bad = self.engine.predicates.broken(after)
            if bad or self.masks:
                self._mask(source, thread, number, after, bad)
            self._visit(number, after)
        elif self.masks and number in self.masks:
            self._again(source, thread, number)
        self.graph.target.append(number)
        self.graph.thread.append(thread)

    def _visit(self, number: int, state: bytes) -> None:
        """Note the witnesses that hold in a new state, if none of less depth showed them."""
        for which in self._open:
            if self.engine.predicates.witnesses[which](state):
                self.witnesses.setdefault(which, []).append(number)

    # ------------------------------------------------------------------- violations

    @property
    def _depth(self) -> int:
        """The depth of what the states now being expanded lead to."""
        return len(self.graph.layers)

    def _mask(self, source: int, thread: int, number: int, state: bytes, bad: int) -> None:
        """A new state: which invariants count as broken in it, and which are so only now.

        While an invariant need not hold (its ``when`` is false) it stays as it was, if it was
        broken on every shortest path to the state.
        """
        before = self.masks.get(source, 0)
        mask = bad
        if before & ~bad:
            mask |= before & self.engine.predicates.unseen(state)
        if mask:
            self.masks[number] = mask
        if bad & ~before:
            self._newly(source, thread, number, bad & ~before)

    def _again(self, source: int, thread: int, number: int) -> None:
        before = self.masks.get(source, 0)
        state = self.graph.states[number]
        bad = self.engine.predicates.broken(state)
        if number >= self._new_layer and self.masks[number] & ~bad & ~before:
            self.masks[number] &= bad | before
        if bad & ~before:
            self._newly(source, thread, number, bad & ~before)

    def _newly(self, source: int, thread: int, number: int, newly: int) -> None:
        states = self.graph.states
        for which in bits(newly):
            instr = self.causes.blame(thread, states[source], states[number], which)
            self.causes.invariant(self._depth, which, instr, [Goal(source, thread, number)])

    def _terminal(self, number: int, state: bytes) -> None:
        """No thread can take a step here."""
        depth = self._depth - 1
        unfinished = any(not thread.daemon for thread, _ in self.causes.blocked(state))
        if unfinished:
            self.causes.deadlock(depth, [number], state)
            self.deadlocked.append(number)
        if self._invariants:
            bad = self.engine.predicates.broken_at_end(state) & ~self.masks.get(number, 0)
            for which in bits(bad):
                if unfinished and self.program.invariants[which].terminal_only:
                    continue  # nothing is at rest here: the deadlock is the report
                self.causes.at_end(depth, which, [number])

    def find_stuck(self) -> None:
        """After a complete search: threads that from some state on can never finish.

        States from which a reported deadlock or failed check can still be reached are left
        out: that report covers them.
        """
        program, graph = self.program, self.graph
        watched = [thread for thread in program.threads if not thread.daemon]
        if not watched or len(watched) > 31:
            return
        marks = array("I", bytes(4 * len(graph.states)))
        spots = [self.engine.layout.threads[thread.index].pc for thread in watched]
        for number, state in enumerate(graph.states):
            mark = 0
            for bit, pc in enumerate(spots):
                if pc.load(state) == 0:
                    mark |= 1 << bit
            marks[number] = mark
        for number in [*self.deadlocked, *self.panicked]:
            marks[number] |= 1 << 31
        graph.reaching(marks)
        for bit, thread in enumerate(watched):
            self._stuck(thread, marks, 1 << 31 | 1 << bit)

    def _stuck(self, thread: ir.Thread, marks: array[int], wanted: int) -> None:
        own = self.engine.layout.threads[thread.index]
        found = [number for number, mark in enumerate(marks) if not mark & wanted]
        if found:
            depth = self.graph.depth(found[0])
            states = self.graph.states
            shallow = {
                number: own.stops[own.pc.load(states[number]) - 1]
                for number in found
                if self.graph.depth(number) == depth
            }
            self.causes.stuck(depth, thread.index, shallow, len(found))


def bits(mask: int) -> list[int]:
    """The numbers of the bits that are set."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
