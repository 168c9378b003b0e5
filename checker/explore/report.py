"""From causes to what is reported: the path to each, and its confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from .causes import Cause, Causes
from .engine import Engine
from .lift import Lift, Place
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
    the search.  ``lift`` makes paths of the program of the search's.
    """

    def __init__(
        self, engine: Engine, causes: Causes, paths: Paths, data: Callable[[int], bytes],
        lift: Lift | None = None,
    ) -> None:  # fmt: skip
        self.engine, self.causes, self.paths = engine, causes, paths
        self.lift = lift or Lift(engine, data)
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
        goal, path, end = self._path(cause.goals, cause)
        return Found(
            cause.kind,
            cause.property,
            self.causes.message(cause, goal, end.data),
            cause.lines,
            goal.last if cause.thread is None else end.order[cause.thread],
            goal.instr,
            cause.depth,
            path,
            cause.count,
        )

    def path(self, goals: list[Goal]) -> Path:
        """The best path to any of the goals."""
        return self._path(goals, None)[1]

    def _path(self, goals: list[Goal], cause: Cause | None) -> tuple[Goal, Path, Place]:
        """The best path to any of the goals: that goal, as the path meets it, and its state."""
        goal, (initial, steps) = best_walk(self.paths, self.contents, goals)
        blocks: list[Block] = []
        number, place = self.lift.initial(initial)
        digest = self._digest(place)
        for thread, after in steps:
            thread, outcome, place = self.lift.step(place, thread, after)
            blocks.append(Block(thread, outcome.choices, self._digest(place)))
        if goal.last is not None and goal.final is not None:
            thread, outcome, final = self.lift.step(place, goal.last, goal.final)
            blocks.append(Block(thread, outcome.choices, self._digest(final)))
            goal = replace(goal, last=thread)
        elif goal.last is not None and cause is not None:
            thread, outcome = self.lift.failing(place, goal.last, cause.property, goal.instr)
            assert outcome.violation is not None
            blocks.append(Block(thread, outcome.choices, ""))
            goal = replace(goal, last=thread, instr=outcome.violation.instr)
        return goal, Path(number, digest, tuple(blocks)), place

    def _digest(self, place: Place) -> str:
        return self.engine.layout.decode(place.data).digest()
