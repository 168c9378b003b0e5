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
from dataclasses import dataclass, field

from ..lang import ir
from .engine import TRIED, Engine
from .errors import InternalError
from .exprgen import OutOfBounds
from .graph import Goal, Graph
from .interpret import FUEL
from .pygen import BLOCKED, BLOCKED_DIRTY, GOTO, STOP
from .result import Kind, Progress, ProgressCallback

_CHUNK = 4096
_GOALS = 512
_MORE = 500


@dataclass(slots=True)
class Bounds:
    """Where a search gives up; ``memory`` in bytes of the whole process."""

    states: int | None = None
    seconds: float | None = None
    memory: int | None = None


@dataclass(slots=True)
class Cause:
    """One group of violations: how it is reported, and where its shortest paths end."""

    kind: Kind
    property: str
    message: str
    lines: tuple[int, ...]
    thread: int | None
    instr: int | None
    depth: int
    goals: list[Goal] = field(default_factory=list)
    count: int = 0

    def add(self, depth: int, goal: Goal) -> None:
        self.count += 1
        if depth == self.depth and len(self.goals) < _GOALS:
            self.goals.append(goal)


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
        self.started = time.monotonic() if started is None else started
        self.restarts = restarts
        self.graph = Graph()
        self.seen: dict[bytes, int] = {}
        self.masks: dict[int, int] = {}
        self.marks = [code.new_marks() for code in engine.threads]
        self.causes: dict[tuple[object, ...], Cause] = {}
        self.witnesses: dict[int, int] = {}
        self.wrong: set[tuple[int, int]] = set()
        self.panicked: set[int] = set()
        self.deadlocked: list[int] = []
        self.transitions = 0
        self.bound = ""
        self.abandoned = False
        self._reads = [_read_by(self.program, number) for number in range(self._invariants)]
        self._causes: dict[tuple[int, tuple[int, ...], int], int | None] = {}

    @property
    def _invariants(self) -> int:
        return len(self.program.invariants)

    @property
    def complete(self) -> bool:
        return not self.bound and not self.abandoned

    # ---------------------------------------------------------------------- running

    def run(self) -> None:
        """Search until everything is seen, a bound is hit, or an assumption breaks."""
        try:
            self._start()
            begin, end = 0, len(self.graph.states)
            while begin < end and not self.bound:
                position = begin
                while position < end and not self.bound:
                    upto = min(position + _CHUNK, end)
                    self._expand(position, upto)
                    position = upto
                    self._check_bounds(end - position)
                if self._hopeless():
                    return
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
                for which in _bits(broken):
                    self._invariant(which, 0, None, None, Goal(number))

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
        looking = len(self.witnesses) < len(self.program.witnesses)
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
                            looking = len(self.witnesses) < len(self.program.witnesses)
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
                self._check(source, thread, outcome.violation.instr, outcome.violation.property)
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
        for which, witness in enumerate(self.engine.predicates.witnesses):
            if which not in self.witnesses and witness(state):
                self.witnesses[which] = number

    # ------------------------------------------------------------------- violations

    @property
    def _depth(self) -> int:
        """The depth of what the states now being expanded lead to."""
        return len(self.graph.layers)

    def _mask(self, source: int, thread: int, number: int, state: bytes, bad: int) -> None:
        """A new state: which invariants count as broken in it, and which only now.

        While an invariant need not hold (its ``when`` is false) it stays as it was.
        """
        before = self.masks.get(source, 0)
        if before & ~bad:
            bad |= before & self.engine.predicates.unseen(state)
        if bad:
            self.masks[number] = bad
            if bad & ~before:
                self._newly(source, thread, number, bad & ~before)

    def _again(self, source: int, thread: int, number: int) -> None:
        newly = self.masks[number] & ~self.masks.get(source, 0)
        newly &= self.engine.predicates.broken(self.graph.states[number])
        if newly:
            self._newly(source, thread, number, newly)

    def _newly(self, source: int, thread: int, number: int, newly: int) -> None:
        states = self.graph.states
        for outcome in self.engine.outcomes(states[source], thread):
            if outcome.after == states[number]:
                for which in _bits(newly):
                    instr = self._culprit(thread, outcome.leaves, which)
                    goal = Goal(source, thread, number)
                    self._invariant(which, self._depth, thread, instr, goal)
                return
        raise InternalError("a transition cannot be repeated")

    def _culprit(self, thread: int, leaves: tuple[int, ...], which: int) -> int | None:
        """The last executed instruction that stored what the invariant reads."""
        key = (thread, leaves, which)
        if key not in self._causes:
            code = self.program.threads[thread].code
            found: int | None = None
            cited: int | None = None
            for node in self.engine.executed(thread, leaves):
                if code[node].where.lines:
                    cited = node
                writes = {a.var for a in ir.accesses(code[node].action) if a.write}
                if writes & self._reads[which]:
                    found = node if code[node].where.lines or cited is None else cited
            self._causes[key] = cited if found is None else found
        return self._causes[key]

    def _where(self, thread: int | None, instr: int | None) -> ir.Where:
        if thread is None or instr is None:
            return ir.Where()
        return self.program.threads[thread].code[instr].where

    def _report(self, key: tuple[object, ...], cause: Cause, goal: Goal) -> None:
        self.causes.setdefault(key, cause).add(cause.depth, goal)

    def _check(self, source: int, thread: int, instr: int, name: str) -> None:
        where = self._where(thread, instr)
        key = ("check", name, where.lines, where.file, where.line)
        message = self.engine.violation(thread, instr, name).message
        cause = Cause("check", name, message, where.lines, thread, instr, self._depth)
        known = self.causes.setdefault(key, cause)
        if (known.thread, known.instr) == (thread, instr):
            known.add(cause.depth, Goal(source, thread))
        else:
            known.count += 1

    def _invariant(
        self, which: int, depth: int, thread: int | None, instr: int | None, goal: Goal
    ) -> None:
        invariant = self.program.invariants[which]
        lines = self._where(thread, instr).lines
        message = invariant.doc or f"{invariant.name} does not hold"
        cause = Cause("invariant", invariant.name, message, lines, thread, instr, depth)
        self._report(("invariant", invariant.name, lines), cause, goal)

    def _terminal(self, number: int, state: bytes) -> None:
        """No thread can take a step here."""
        depth = self._depth - 1
        program, layout = self.program, self.engine.layout
        blocked: list[tuple[str, tuple[int, ...]]] = []
        words: list[str] = []
        unfinished = False
        for thread, own in zip(program.threads, layout.threads, strict=True):
            pc = own.pc.load(state)
            if pc == 0:
                continue
            instr = blocking(thread, own.stops[pc - 1])
            rests = isinstance(instr.action, ir.Wait) and instr.action.rest
            if thread.daemon and rests:
                continue
            unfinished = unfinished or not thread.daemon
            blocked.append((thread.name, instr.where.lines))
            reason = instr.action.reason if isinstance(instr.action, ir.Wait) else "a choice"
            words.append(f"{thread.name} waits for {reason}")
        if unfinished:
            lines = tuple(sorted({line for _, cited in blocked for line in cited}))
            cause = Cause("deadlock", "deadlock", "; ".join(words), lines, None, None, depth)
            self._report(("deadlock", frozenset(blocked)), cause, Goal(number))
            self.deadlocked.append(number)
        if self._invariants:
            bad = self.engine.predicates.broken_at_end(state) & ~self.masks.get(number, 0)
            for which in _bits(bad):
                invariant = program.invariants[which]
                if unfinished and invariant.terminal_only:
                    continue  # nothing is at rest here: the deadlock is the report
                message = (invariant.doc or f"{invariant.name} does not hold") + " (at the end)"
                lines = invariant.where.lines
                cause = Cause("invariant", invariant.name, message, lines, None, None, depth)
                self._report(("terminal", invariant.name), cause, Goal(number))

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
        found: Cause | None = None
        own = self.engine.layout.threads[thread.index]
        for number, mark in enumerate(marks):
            if mark & wanted:
                continue
            depth = self.graph.depth(number)
            if found is None:
                node = own.stops[own.pc.load(self.graph.states[number]) - 1]
                lines = thread.code[node].where.lines
                message = f"{thread.name} can never finish"
                found = Cause("progress", "progress", message, lines, thread.index, node, depth)
                self.causes["progress", thread.name] = found
            found.add(depth, Goal(number))


def blocking(thread: ir.Thread, stop: int) -> ir.Instr:
    """The wait or choice that holds up a thread at a stop (the stop itself if none does)."""
    node = stop
    for _ in range(len(thread.code)):
        instr = thread.code[node]
        if isinstance(instr.action, ir.Wait | ir.Choose):
            return instr
        if isinstance(instr.action, ir.End | ir.Branch) or (node != stop and instr.fine_stop):
            break
        node = instr.next
    return thread.code[stop]


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _read_by(program: ir.Program, which: int) -> set[int]:
    """The shared variables that an invariant depends on."""
    invariant = program.invariants[which]
    return read_by(invariant.test) | read_by(invariant.when)


def read_by(expr: ir.Expr) -> set[int]:
    """The shared variables that an expression reads."""
    found: set[int] = set()
    for sub in ir.walk(expr):
        if isinstance(sub, ir.Shared):
            found.add(sub.var)
        elif isinstance(sub, ir.ListNext):
            found.add(sub.list.var)
    return found
