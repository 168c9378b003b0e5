"""Violations grouped by cause: what an engine saw, in the terms in which it is reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..lang import ir
from .asking import read_by
from .engine import Engine
from .errors import InternalError
from .paths import Goal
from .result import Kind

_Key = tuple[object, ...]


@dataclass(slots=True)
class Cause:
    """One group of violations: how it is reported, and where its shortest paths end.

    ``goals`` are all of them at the least depth; ``count`` includes the deeper ones.
    """

    kind: Kind
    property: str
    lines: tuple[int, ...]
    depth: int
    thread: int | None = None
    message: str = ""
    goals: list[Goal] = field(default_factory=list)
    count: int = 0

    def add(self, depth: int, goals: Iterable[Goal], count: int) -> None:
        """Note violations of this cause: those at one depth, ``count`` with deeper ones."""
        self.count += count
        if depth < self.depth:
            self.depth, self.goals = depth, []
        if depth == self.depth:
            self.goals.extend(goals)


class Causes:
    """The causes that one search finds."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.program = engine, engine.program
        self.all: dict[_Key, Cause] = {}
        self._reads = [
            read_by(invariant.test) | read_by(invariant.when)
            for invariant in self.program.invariants
        ]
        self._blame: dict[tuple[int, tuple[int, ...], int], int | None] = {}

    def _add(self, key: _Key, cause: Cause, goals: Iterable[Goal], count: int) -> None:
        self.all.setdefault(key, cause).add(cause.depth, goals, count)

    def _where(self, thread: int | None, instr: int | None) -> ir.Where:
        if thread is None or instr is None:
            return ir.Where()
        return self.program.threads[thread].code[instr].where

    def check(
        self, depth: int, thread: int, instr: int, name: str, sources: Iterable[int], count: int = 1
    ) -> None:
        """A step of the thread fails a check at an instruction, from some states."""
        where = self._where(thread, instr)
        key = ("check", name, where.lines, where.file, where.line)
        goals = [Goal(source, thread, None, instr) for source in sources]
        self._add(key, Cause("check", name, where.lines, depth), goals, count)

    def invariant(
        self, depth: int, which: int, blamed: int | None, goals: Sequence[Goal], count: int = 1
    ) -> None:
        """An invariant holds no longer after a step (or, with no step, in an initial state).

        The goals' last steps are the same thread's, and ``blamed`` is its instruction.
        """
        invariant = self.program.invariants[which]
        lines = self._where(goals[0].last, blamed).lines
        message = invariant.doc or f"{invariant.name} does not hold"
        cause = Cause("invariant", invariant.name, lines, depth, message=message)
        goals = [Goal(goal.state, goal.last, goal.final, blamed) for goal in goals]
        self._add(("invariant", invariant.name, lines), cause, goals, count)

    def blame(self, thread: int, source: bytes, final: bytes, which: int) -> int | None:
        """The last executed instruction of a step that stored what the invariant reads."""
        for outcome in self.engine.outcomes(source, thread):
            if outcome.after == final:
                return self.blamed(thread, outcome.leaves, which)
        raise InternalError("a transition cannot be repeated")

    def blamed(self, thread: int, leaves: tuple[int, ...], which: int) -> int | None:
        """The same for a step of which the leaves are known (:class:`~.engine.Outcome`)."""
        key = (thread, leaves, which)
        if key not in self._blame:
            code = self.program.threads[thread].code
            found: int | None = None
            cited: int | None = None
            for node in self.engine.executed(thread, leaves):
                if code[node].where.lines:
                    cited = node
                writes = {a.var for a in ir.accesses(code[node].action) if a.write}
                if writes & self._reads[which]:
                    found = node if code[node].where.lines or cited is None else cited
            self._blame[key] = cited if found is None else found
        return self._blame[key]

    def deadlock(self, depth: int, states: Iterable[int], data: bytes, count: int = 1) -> None:
        """No thread can take a step, and one that must finish has not.

        The threads stand at the same stops in all the states; ``data`` is one of them.
        """
        blocked = [(thread.name, instr.where.lines) for thread, instr in self.blocked(data)]
        lines = tuple(sorted({line for _, cited in blocked for line in cited}))
        cause = Cause("deadlock", "deadlock", lines, depth)
        self._add(("deadlock", frozenset(blocked)), cause, map(Goal, states), count)

    def blocked(self, data: bytes) -> list[tuple[ir.Thread, ir.Instr]]:
        """Who waits where, in a state in which nobody can take a step; resting daemons do not."""
        found: list[tuple[ir.Thread, ir.Instr]] = []
        for thread, own in zip(self.program.threads, self.engine.layout.threads, strict=True):
            pc = own.pc.load(data)
            if pc:
                instr = blocking(thread, own.stops[pc - 1])
                if not (thread.daemon and rests(instr)):
                    found.append((thread, instr))
        return found

    def at_end(self, depth: int, which: int, states: Iterable[int], count: int = 1) -> None:
        """An invariant does not hold in terminal states."""
        invariant = self.program.invariants[which]
        message = (invariant.doc or f"{invariant.name} does not hold") + " (at the end)"
        lines = invariant.where.lines
        cause = Cause("invariant", invariant.name, lines, depth, message=message)
        self._add(("terminal", invariant.name), cause, map(Goal, states), count)

    def stuck(
        self, depth: int, thread: int, states: dict[int, int], count: int | None = None,
        message: str = "",
    ) -> None:  # fmt: skip
        """A thread can never finish from some states of one depth, given with where it stands."""
        by_lines: dict[tuple[int, ...], list[Goal]] = {}
        for state, stop in states.items():
            goal = Goal(state, None, None, stop)
            by_lines.setdefault(self._where(thread, stop).lines, []).append(goal)
        lines = min(by_lines)
        name = self.program.threads[thread].name
        message = message or f"{name} can never finish"
        cause = Cause("progress", "progress", lines, depth, thread, message)
        self._add(("progress", name), cause, by_lines[lines], count or len(states))

    def message(self, cause: Cause, goal: Goal, data: bytes) -> str:
        """What is wrong, in words; ``data`` is the goal's state."""
        if cause.kind == "check" and goal.last is not None and goal.instr is not None:
            return self.engine.violation(goal.last, goal.instr, cause.property).message
        if cause.kind == "deadlock":
            return "; ".join(
                f"{thread.name} waits for "
                + (instr.action.reason if isinstance(instr.action, ir.Wait) else "a choice")
                for thread, instr in self.blocked(data)
            )
        return cause.message


def rests(instr: ir.Instr) -> bool:
    """Is this a wait at which a daemon may stay for ever?"""
    return isinstance(instr.action, ir.Wait) and instr.action.rest


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
