"""A schedule executed by the interpreter, on an ordinary program: a path of fine steps.

The program that was searched has inputs; the one that a counterexample is shown for is compiled
without, and what is constant there is folded, so its nodes are others.  What both have in common
is the schedule, the choices, and memory where threads change: each leg is followed until memory
is what it should be, at the same place of the source if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...explore.causes import Causes
from ...explore.engine import Engine, facts, fine_stops
from ...explore.errors import InternalError
from ...explore.interpret import ENDED, Interpreter, State, StepResult, eval_expr
from ...explore.paths import Goal
from ...explore.refine import Expander
from ...explore.result import Block, Found, Path
from ...lang import ir
from ...lang.prune import written
from .concrete import Leg, Schedule

_LEG_STEPS = 5_000
_STEPS = 200_000


class Lost(Exception):
    """The schedule cannot be followed: the search and the interpreter disagree."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A leg followed: its steps, and the state behind them (None behind a failed check)."""

    steps: tuple[StepResult, ...]
    state: State | None


class Follower:
    """Follows schedules on one program (without inputs)."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.interpreter = Interpreter(program)
        self.engine = Engine(facts(program), fine_stops(program))
        self.expander = Expander(program, self.engine.stops)
        self._compared = sorted(written(program))
        self._left = _STEPS

    def found(self, schedule: Schedule) -> Found:
        """The violation as every engine reports it, confirmed.  Raises :class:`Lost`."""
        self._left = _STEPS
        for number, state in enumerate(self.interpreter.run_setup()):
            if state.shared != schedule.initial:
                continue
            for stretches in self._follow(schedule, 0, state):
                made = self._judge(schedule, number, state, stretches)
                if made is not None:
                    self.expander.confirm(made)
                    return made
        raise Lost(f"{schedule.property}: the schedule that was found cannot be followed")

    # -------------------------------------------------------------------- following

    def _follow(
        self, schedule: Schedule, position: int, state: State
    ) -> Iterator[tuple[_Stretch, ...]]:
        """All ways to follow the legs from a position on."""
        if position == len(schedule.legs):
            yield ()
            return
        leg = schedule.legs[position]
        for stretch in self._stretches(leg, state):
            if stretch.state is None:
                yield (stretch,)
                continue
            for rest in self._follow(schedule, position + 1, stretch.state):
                yield (stretch, *rest)

    def _stretches(self, leg: Leg, state: State) -> list[_Stretch]:
        """Where a leg may end, the likeliest first: at the same place of the source."""
        thread = self.program.threads[leg.thread]
        exact: list[_Stretch] = []
        others: list[_Stretch] = []
        steps: list[StepResult] = []
        choices = leg.choices
        for _ in range(_LEG_STEPS):
            if self._left == 0:
                raise Lost("the schedule that was found is too long to be followed")
            self._left -= 1
            result = self._step(state, leg.thread, choices)
            if result is None:
                break
            steps.append(result)
            choices = choices[len(result.choices) :]
            if result.state is None:
                if leg.memory is None and not choices:
                    exact.append(_Stretch(tuple(steps), None))
                break
            state = result.state
            if choices or leg.memory is None or not self._agrees(state, leg.memory):
                continue
            pc = state.threads[leg.thread].pc
            here = None if pc == ENDED else thread.code[pc].where
            (exact if here == leg.where else others).append(_Stretch(tuple(steps), state))
        return exact + others

    def _step(self, state: State, thread: int, choices: tuple[int, ...]) -> StepResult | None:
        for result in self.interpreter.fine_step(state, thread):
            if choices[: len(result.choices)] == result.choices:
                return result
        return None

    def _agrees(self, state: State, memory: tuple[tuple[int, ...], ...]) -> bool:
        return all(state.shared[var] == memory[var] for var in self._compared)

    # --------------------------------------------------------------------- judging

    def _judge(
        self, schedule: Schedule, number: int, start: State, stretches: tuple[_Stretch, ...]
    ) -> Found | None:
        """The violation at the end of a path; None where it is not there."""
        blocks: list[Block] = []
        states = [start]
        for leg, stretch in zip(schedule.legs, stretches, strict=True):
            for step in stretch.steps:
                digest = "" if step.state is None else step.state.digest()
                blocks.append(Block(leg.thread, step.choices, digest))
                if step.state is not None:
                    states.append(step.state)
        causes = Causes(self.engine)
        failed = stretches[-1].steps[-1].violation if stretches else None
        match schedule.kind:
            case "check":
                if failed is None or failed.property != schedule.property:
                    return None
                causes.check(len(blocks), failed.thread, failed.instr, failed.property, [0])
            case "invariant" if schedule.at_end:
                self._at_end(causes, schedule, states[-1], len(blocks))
            case "invariant":
                depth = self._broken_at(schedule, states)
                if depth is None:
                    return None
                self._invariant(causes, schedule, blocks, states, depth)
                del blocks[depth:], states[depth + 1 :]
            case "deadlock":
                if not self._stuck(states[-1]):
                    return None
                causes.deadlock(len(blocks), [0], self.engine.layout.encode(states[-1]))
            case "progress":
                self._never(causes, schedule, states[-1], len(blocks))
        for cause in causes.all.values():
            goal = cause.goals[0]
            data = self.engine.layout.encode(states[-1])
            return Found(
                cause.kind, cause.property, causes.message(cause, goal, data), cause.lines,
                goal.last if cause.thread is None else cause.thread, goal.instr, len(blocks),
                Path(number, start.digest(), tuple(blocks)), 1,
            )  # fmt: skip
        return None

    def _which(self, schedule: Schedule) -> list[int]:
        return [
            which for which, invariant in enumerate(self.program.invariants)
            if invariant.name == schedule.property
        ]  # fmt: skip

    def _broken_at(self, schedule: Schedule, states: list[State]) -> int | None:
        """The first state on the path that breaks the invariant."""
        for depth, state in enumerate(states):
            if any(self._breaks(which, state) for which in self._which(schedule)):
                return depth
        return None

    def _breaks(self, which: int, state: State) -> bool:
        invariant = self.program.invariants[which]
        return not invariant.terminal_only and bool(eval_expr(invariant.when, state)) \
            and not eval_expr(invariant.test, state)

    def _invariant(
        self, causes: Causes, schedule: Schedule, blocks: list[Block], states: list[State],
        depth: int,
    ) -> None:  # fmt: skip
        which = next(which for which in self._which(schedule) if self._breaks(which, states[depth]))
        if depth == 0:
            causes.invariant(0, which, None, [Goal(0)])
            return
        thread = blocks[depth - 1].thread
        source, final = map(self.engine.layout.encode, states[depth - 1 : depth + 1])
        blamed = causes.blame(thread, source, final, which)
        causes.invariant(depth, which, blamed, [Goal(0, thread, 0)])

    def _stuck(self, state: State) -> bool:
        return not any(
            self.interpreter.fine_step(state, thread.index) for thread in self.program.threads
        )

    def _at_end(self, causes: Causes, schedule: Schedule, state: State, depth: int) -> None:
        if self._stuck(state):
            for which in self._which(schedule):
                if not eval_expr(self.program.invariants[which].test, state):
                    causes.at_end(depth, which, [0])
                    return

    def _never(self, causes: Causes, schedule: Schedule, state: State, depth: int) -> None:
        for thread in self.program.threads:
            if thread.name == schedule.subject:
                pc = state.threads[thread.index].pc
                if pc != ENDED and not self._can_end(state, thread.index):
                    causes.stuck(depth, thread.index, {0: pc})

    def _can_end(self, state: State, thread: int) -> bool:
        """Can the thread still end, or anything go wrong that is reported as something else?

        Everything that is reachable from the state is looked at, in fine steps.
        """
        layout = self.engine.layout
        spot = layout.threads[thread].pc
        start = layout.encode(state)
        seen, todo = {start}, [start]
        while todo:
            here = todo.pop()
            if spot.load(here) == 0:
                return True
            moved = False
            for other in self.program.threads:
                for outcome in self.engine.outcomes(here, other.index):
                    moved = True
                    if outcome.after is None:
                        return True
                    if outcome.after not in seen:
                        seen.add(outcome.after)
                        todo.append(outcome.after)
            if not moved:
                return True
        return False


def follow(program: ir.Program, schedule: Schedule) -> Found:
    """The violation of a schedule on a program without inputs.  Raises InternalError."""
    try:
        return Follower(program).found(schedule)
    except Lost as error:
        raise InternalError(str(error)) from None
