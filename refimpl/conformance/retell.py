"""A trace's steps as those of the program in which calls tell what they return.

That program differs in nothing else: where the trace takes one step, it takes that, and one for
each call that ends in it.
"""

from __future__ import annotations

from ...checker.conform.steps import Step, Stepper
from ...checker.explore.interpret import State, Violation
from ...checker.lang import ir
from ...checker.trace.replay import Moment, Replay
from .labels import RETURNED


class CannotTell(ValueError):
    """The program with telling calls takes other steps."""


def retell(stepper: Stepper, executed: Replay) -> tuple[list[Moment], list[int]]:
    """The steps, and for each which of the trace's it belongs to, from 1."""
    state = stepper.initial()[executed.start]
    moments: list[Moment] = []
    numbers: list[int] = []
    for number, old in enumerate(executed.moments, start=1):
        step: Step | None = _same(stepper, state, old)
        broken = False
        while step is not None:
            if step.after is None and old.violation is None:
                raise CannotTell(f"step {number} ends: {step.stopped}")
            broken = old.violation is not None and _breaks(stepper, old, step)
            violation = _violation(old, step) if broken else None
            before = stepper.layout.decode(state)
            after = before if step.after is None else stepper.layout.decode(step.after)
            moments.append(
                Moment(old.thread, step.choices, step.label.nodes, before, after, violation)
            )
            numbers.append(number)
            state = state if step.after is None else step.after
            step = None if broken else _telling(stepper, state, old.thread)
        if broken != (old.violation is not None):
            raise CannotTell(f"step {number} breaks nothing")
        if old.violation is None and not _alike(stepper, executed.program, state, old.after):
            raise CannotTell(f"step {number} ends in another state")
    return moments, numbers


def _same(stepper: Stepper, state: bytes, old: Moment) -> Step:
    steps = list(stepper.steps(state, old.thread))
    for step in steps:
        if step.choices == old.choices:
            return step
    if len(steps) == 1:  # a violation ended the step before its last choice
        return steps[0]
    raise CannotTell("there is no step with these choices")


def _telling(stepper: Stepper, state: bytes, thread: int) -> Step | None:
    """The thread's next step, if all it does is to tell."""
    step = next(iter(stepper.steps(state, thread)), None)
    return step if step is not None and step.label.name in RETURNED else None


def _breaks(stepper: Stepper, old: Moment, step: Step) -> bool:
    assert old.violation is not None
    code = stepper.program.threads[old.thread].code
    names = [action.name for action in (code[node].action for node in step.broken)
             if isinstance(action, ir.Check)]  # fmt: skip
    return step.after is None or old.violation.property in names


def _violation(old: Moment, step: Step) -> Violation:
    assert old.violation is not None
    node = step.broken[0] if step.broken else step.label.nodes[-1]
    return Violation(old.violation.property, old.violation.message, old.thread, node)


def _alike(stepper: Stepper, program: ir.Program, state: bytes, old: State) -> bool:
    """Do the variables that both programs have agree?  Ghosts that nobody reads may be dropped."""
    new = stepper.layout.decode(state).shared
    values = {var.name: new[number] for number, var in enumerate(stepper.program.shared)}
    return all(
        var.ghost or values.get(var.name) == old.shared[number]
        for number, var in enumerate(program.shared)
    )
