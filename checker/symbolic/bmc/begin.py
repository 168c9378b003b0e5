"""Initial states: the model's own setup, executed for all inputs at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...explore.engine import Facts
from ...explore.errors import SetupError
from ...explore.interpret import (
    Interpreter,
    State,
    ThreadState,
    Violation,
    fault_message,
    setup_failure,
)
from ...explore.intervals import analyse
from ...explore.liveness import liveness
from ...lang import ir
from ...lang.prune import drop_ghosts, freeze
from .expressions import Places
from .guards import Guard, Guards
from .instructions import Outcome
from .segment import Machine
from .values import Cases, Value, Values

_SAMPLES = 48


@dataclass(frozen=True, slots=True)
class Beginning:
    """Memory after the setup, for each way its choices fall, with the inputs it is for.

    ``refused``: inputs for which the setup fails, or has no way to its end; the states are not
    for those (:mod:`...explore.openings` says what is left out, and why).
    """

    states: tuple[tuple[tuple[Value, ...], Guard], ...]
    refused: Guard


def begin(program: ir.Program, values: Values) -> Beginning:
    """Execute the setup.  Raises SetupError where no input leads to its end without a failure."""
    guards = values.guards
    machine = Machine(program, program.setup, values, (), whole=True)
    memory: tuple[Value, ...] = tuple(value for var in program.shared for value in var.initial)
    outcomes = machine.run(program.setup.entry, memory, machine.initial, guards.true)
    failed = guards.any(outcome.condition for outcome in outcomes if outcome.failed)
    ended = guards.any(outcome.condition for outcome in outcomes if not outcome.failed)
    accepted = guards.without(ended, failed)
    if not guards.possible(accepted):
        raise SetupError(setup_failure(program, _failure(program, outcomes)))
    states: dict[tuple[Value, ...], Guard] = {}
    for outcome in outcomes:
        condition = guards.both(outcome.condition, accepted)
        if not outcome.failed and guards.possible(condition):
            shared = tuple(_within(value, condition, values) for value in outcome.shared)
            states[shared] = guards.either(states.get(shared, guards.false), condition)
    return Beginning(tuple(states.items()), guards.negation(accepted))


def _within(value: Value, condition: Guard, values: Values) -> Value:
    """The value with those of its cases only that are possible under a condition."""
    if not isinstance(value, Cases):
        return value
    guards = values.guards
    kept = values.of(
        (one, guard) for one, guard in value.cases
        if guards.possible(guards.both(guard, condition))
    )  # fmt: skip
    return values.under(kept, condition)


def _failure(program: ir.Program, outcomes: Iterable[Outcome]) -> Violation | None:
    """The first check of the setup that fails, if one does."""
    for outcome in outcomes:
        if outcome.failed:
            instr, name = program.setup.code[outcome.node], outcome.failed
            if isinstance(instr.action, ir.Check) and instr.action.name == name:
                message = instr.action.message
            else:
                message = fault_message(program, instr, name)
            return Violation(name, message, program.setup.index, outcome.node)
    return None


def specialise(program: ir.Program, beginning: Beginning) -> ir.Program:
    """Fold what is the same for all inputs and never written (:mod:`...explore.prepare`)."""
    places = Places.of([var.length for var in program.shared])
    initial: list[tuple[int | None, ...]] = []
    for first, length in zip(places.first, places.length, strict=True):
        cells = [
            {shared[at] for shared, _ in beginning.states} for at in range(first, first + length)
        ]
        initial.append(tuple(_same(found) for found in cells))
    return drop_ghosts(freeze(program, initial))


def _same(found: set[Value]) -> int | None:
    if len(found) > 1:
        return None
    (value,) = found
    return None if isinstance(value, Cases) else value


def known(program: ir.Program, beginning: Beginning, values: Values) -> Facts:
    """What the reduction begins with: like :func:`...explore.engine.facts`, from sampled states.

    They only feed its first guess at what can be executed, which every search verifies.
    """
    live = [liveness(thread) for thread in program.threads]
    envs = [
        analyse(program, thread, own) for thread, own in zip(program.threads, live, strict=True)
    ]
    interpreter = Interpreter(program)
    threads = tuple(
        ThreadState(
            thread.entry,
            interpreter.canonical(
                number, thread.entry, [[var.initial] * var.length for var in thread.locals]
            ),
        )
        for number, thread in enumerate(program.threads)
    )
    states: dict[State, None] = {}
    for shared, condition in beginning.states:
        for inputs in _samples(values.guards, condition):
            rows = memory(program, shared, values.guards, inputs)
            states.setdefault(State(rows, threads))
    return Facts(program, live, envs, list(states))


def _samples(guards: Guards, condition: Guard) -> Iterator[dict[int, int]]:
    """Assignments in which every value of every input occurs, if not too many."""
    found = 0
    for one in guards.inputs:
        for value in range(one.count):
            inputs = guards.assignment(
                guards.both(condition, guards.literal(one.number, 1 << value))
            )
            if inputs is not None and found < _SAMPLES:
                found += 1
                yield inputs
    if not found:
        inputs = guards.assignment(condition)
        if inputs is not None:
            yield inputs


def memory(
    program: ir.Program, shared: tuple[Value, ...], guards: Guards, inputs: dict[int, int]
) -> tuple[tuple[int, ...], ...]:
    """Memory for one choice of inputs, by variables."""
    places = Places.of([var.length for var in program.shared])
    true: dict[int, bool] = {}
    flat = [concrete(value, guards, inputs, true) for value in shared]
    return tuple(
        tuple(flat[first : first + length])
        for first, length in zip(places.first, places.length, strict=True)
    )


def concrete(
    value: Value, guards: Guards, inputs: dict[int, int], known: dict[int, bool] | None = None
) -> int:
    """The value for one choice of inputs (0 where it is not defined).

    ``known``: formulas decided for this choice before (:meth:`Guards.holds`).
    """
    if isinstance(value, Cases):
        for one, guard in value.cases:
            if guards.holds(guard, inputs, known):
                return one
        return 0
    return value

