"""From causes to what is reported: the path to each, and its confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .causes import Cause, Causes
from .engine import Engine
from .errors import InternalError
from .paths import Contents, Goal, Paths, best_walk
from .refine import Expander
from .result import Block, Found, Path


def wanted(causes: Causes, witnesses: Iterable[list[Goal]]) -> set[int]:
    """The states that paths are needed to."""
    ends = [*(cause.goals for cause in causes.all.values()), *witnesses]
    return {goal.state for goals in ends for goal in goals}


class Reporter:
    """Makes reports of one search.

    ``data`` gives a state's bytes in the layout of ``engine``, which has the same stops as
    the search.
    """

    def __init__(
        self, engine: Engine, causes: Causes, paths: Paths, data: Callable[[int], bytes]
    ) -> None:
        self.engine, self.causes, self.paths, self.data = engine, causes, paths, data
        layout = engine.layout
        end = max(
            (
                slot.offset + slot.width * var.length
                for slot, var in zip(layout.shared, engine.program.shared, strict=True)
            ),
            default=0,
        )
        self.contents = Contents(
            lambda state: data(state)[:end], lambda state: layout.decode(data(state))
        )
        self._expander = Expander(engine.program, engine.stops)

    def violations(self) -> list[Found]:
        """Every cause with its path, executed again by the interpreter."""
        found = [self._found(cause) for cause in self.causes.all.values()]
        found.sort(key=lambda one: (one.depth, one.property, one.lines, one.message))
        for one in found:
            self._expander.confirm(one)
        return found

    def _found(self, cause: Cause) -> Found:
        goal, path = self._path(cause.goals, cause)
        return Found(
            cause.kind,
            cause.property,
            self.causes.message(cause, goal, self.data(goal.state)),
            cause.lines,
            goal.last if cause.thread is None else cause.thread,
            goal.instr,
            cause.depth,
            path,
            cause.count,
        )

    def path(self, goals: list[Goal]) -> Path:
        """The best path to any of the goals."""
        return self._path(goals, None)[1]

    def _path(self, goals: list[Goal], cause: Cause | None) -> tuple[Goal, Path]:
        goal, (initial, steps) = best_walk(self.paths, self.contents, goals)
        blocks: list[Block] = []
        state = initial
        for thread, after in steps:
            blocks.append(self._block(state, thread, after))
            state = after
        if goal.last is not None and goal.final is not None:
            blocks.append(self._block(goal.state, goal.last, goal.final))
        elif goal.last is not None and cause is not None:
            blocks.append(self._failing(goal.state, goal.last, cause.property, goal.instr))
        return goal, Path(self._initial(initial), self._digest(initial), tuple(blocks))

    def _initial(self, state: int) -> int:
        """The number of an initial state among those that the setup gives."""
        return self.engine.initial().index(self.data(state))

    def _digest(self, state: int) -> str:
        return self.engine.layout.decode(self.data(state)).digest()

    def _block(self, before: int, thread: int, after: int) -> Block:
        wanted = self.data(after)
        for outcome in self.engine.outcomes(self.data(before), thread):
            if outcome.after == wanted:
                return Block(thread, outcome.choices, self._digest(after))
        raise InternalError("a transition cannot be repeated")

    def _failing(self, before: int, thread: int, name: str, instr: int | None) -> Block:
        for outcome in self.engine.outcomes(self.data(before), thread):
            violation = outcome.violation
            if violation is not None and (violation.property, violation.instr) == (name, instr):
                return Block(thread, outcome.choices, "")
        raise InternalError("a violation cannot be repeated")
