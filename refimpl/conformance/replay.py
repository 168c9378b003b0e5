"""Traces, and walks at random, replayed on real threads in a world of their scenario."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ...checker.conform.steps import Stepper
from ...checker.explore.interpret import Interpreter, Violation
from ...checker.explore.openings import chosen
from ...checker.lang import ir
from ...checker.lang.compile import INPUT
from ...checker.lang.opened import closed, open_arguments
from ...checker.lang.scenario import Scenario
from ...checker.trace.replay import Moment
from ..errors import Crashed
from ..flush import fsync
from ..schedule import Ready
from .callers import Program, run
from .damage import contents, written
from .follow import Departed, Follower, Replayed
from .runs import plan_of, programs_of, window_of
from .world import Unsupported, build


def follow(
    stepper: Stepper,
    scenario: Scenario,
    moments: Sequence[Moment],
    fixes: tuple[str, ...] | None = None,
    numbers: Sequence[int] | None = None,
) -> Replayed:
    """Follows steps of the model from the scenario's initial state; it ends in any case.

    ``fixes``: those of the real threads, if not the program's.  ``numbers``: which step of a
    trace each belongs to (`retell`), if not one after the other.
    """
    if open_arguments(scenario) and moments:
        scenario = closed(scenario, _chosen(stepper.program, moments))
    plan = plan_of(scenario, stepper.program)
    if fixes is not None:
        plan = replace(plan, fixes=fixes)
    programs = programs_of(scenario)
    window = window_of([call for thread in scenario.threads for call in thread.calls])
    with tempfile.TemporaryDirectory() as folder:
        world = build(plan, Path(folder) / "image", window, patience=None)
        try:
            return _Run(Follower(stepper, world, moments, numbers), programs).result
        finally:
            world.close()


def _chosen(program: ir.Program, moments: Sequence[Moment]) -> dict[str, int]:
    """What is chosen of what the scenario leaves open, in its setup and by its threads."""
    found = dict(Interpreter(program).opened(moments[0].before))
    for moment in moments:
        code = program.threads[moment.thread].code
        found |= chosen(code, moment.nodes, moment.choices)
    return {label.removeprefix(INPUT): choice for label, choice in found.items()}


class _Run:
    """One replay, from the first step to the damage."""

    def __init__(self, follower: Follower, programs: dict[str, Program]) -> None:
        self._world = world = follower.world
        self._machine = world.fs.kernel.machine
        self._unlike: Unsupported | None = None
        self._before = contents(world)
        self._follower = follower
        self.result = follower.result
        chooser = follower.chooser
        chooser.choose, chooser.at_end = self._choose, self._finish
        outcome = None
        try:
            outcome = chooser.run(
                world.fs, {name: self._body(programs[name]) for name in programs}
            )
            self._finish()
        except Departed:
            outcome = None
        if self._unlike is not None:
            raise self._unlike
        result = self.result
        result.events = list(chooser.events)
        if outcome is not None:
            result.dead = outcome.dead
            result.waiting = outcome.waiting
            result.raised = {name: str(one) for name, one in outcome.raised.items()}
            if outcome.dead is None:
                self._flush()
        result.messages = list(self._machine.messages)
        for units, events in (
            (result.units, result.events[: result.taken]),
            (result.after, result.events),
        ):
            stored = written(self._before, events, world)
            for unit in units:
                unit.written = stored.get(unit.number)

    def _body(self, program: Program) -> Callable[[], None]:
        def body() -> None:
            try:
                run(self._world, program)
            except Unsupported as unlike:
                self._unlike = unlike

        return body

    def _choose(self, ready: Sequence[Ready]) -> Ready:
        try:
            return self._follower.choose(ready)
        except Departed as departed:
            self._depart(departed)
            raise

    def _finish(self) -> None:
        try:
            self._follower.finish()
        except Departed as departed:
            self._depart(departed)
            raise

    def _depart(self, departed: Departed) -> None:
        """The end of the replay, where real threads and model part."""
        follower, result = self._follower, self.result
        result.departed, result.at = departed, follower.at
        if self._machine.dead is None:
            result.waiting = follower.chooser.waiting()
        result.units = contents(self._world)
        result.taken = len(follower.chooser.events)
        self._machine.die(Crashed("the replay is over"))

    def _flush(self) -> None:
        """What fsync saves now, when everybody has come to the end."""
        chooser = self._follower.chooser
        outcome = chooser.run(self._world.fs, {"fsync": lambda: fsync(self._world.vp)})
        returned = outcome.returned.get("fsync")
        self.result.flushed = returned if isinstance(returned, int) else None
        if outcome.dead is not None:
            self.result.dead, self.result.waiting = outcome.dead, outcome.waiting
        else:
            self.result.after = contents(self._world)


def walk(stepper: Stepper, choice: random.Random, limit: int = 2_000) -> list[Moment]:
    """Steps of the model chosen by chance, up to its end or to a property that breaks."""
    program = stepper.program
    state = choice.choice(stepper.initial())
    moments: list[Moment] = []
    while len(moments) < limit:
        possible = [
            (thread.index, step)
            for thread in program.threads
            for step in stepper.steps(state, thread.index)
        ]
        if not possible:
            break
        number, step = choice.choice(possible)
        violation = None
        if step.broken or step.after is None:
            node = step.broken[0] if step.broken else step.label.nodes[-1]
            action = program.threads[number].code[node].action
            name = action.name if isinstance(action, ir.Check) else step.stopped
            violation = Violation(name, step.stopped, number, node)
        before = stepper.layout.decode(state)
        after = before if step.after is None else stepper.layout.decode(step.after)
        moments.append(Moment(number, step.choices, step.label.nodes, before, after, violation))
        if violation is not None or step.after is None:
            break
        state = step.after
    return moments
