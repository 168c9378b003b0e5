"""The generated C steps exactly as the interpreter and the generated Python do."""

from __future__ import annotations

import random
import shutil

import pytest

from genfscheck.checker.explore.engine import Engine, Outcome, fine_stops
from genfscheck.checker.explore.interpret import Interpreter, State, StepResult
from genfscheck.checker.explore.probe import every_check
from genfscheck.checker.lang import ir

from ..build import counter, crossed, handshake, peterson
from ..randomised import random_program
from .harness import R_BLOCKED, R_BROKEN, R_FAULT, R_STOP, Model, Result

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)

TOYS = [
    peterson(), peterson(True), counter(2, 2, False), counter(3, 1, True), crossed(),
    handshake(True), handshake(False),
]  # fmt: skip


def same_as_interpreter(model: Model, state: State, thread: int, steps: list[StepResult]) -> None:
    layout = model.model.layout
    found = [one for one in model.outcomes(layout.encode(state), thread) if one.kind != R_BLOCKED]
    assert [one.choices for one in found] == [step.choices for step in steps]
    for one, step in zip(found, steps, strict=True):
        assert one.executed == step.executed
        if step.state is not None:
            assert one.kind == R_STOP
            assert layout.decode(one.after) == step.state
            assert one.after == layout.encode(step.state)  # whatever is dead is zero
        else:
            assert one.kind == R_FAULT and one.fault is not None and step.violation is not None
            assert one.fault[:3] == (thread, step.violation.instr, step.violation.property)


def everywhere(program: ir.Program) -> int:
    """Compare with the interpreter in every reachable state; how many transitions there are."""
    model, interpreter = Model(program), Interpreter(program)
    todo = interpreter.run_setup()
    seen = set(todo)
    compared = 0
    while todo:
        state = todo.pop()
        for thread in range(len(program.threads)):
            steps = interpreter.fine_step(state, thread)
            same_as_interpreter(model, state, thread, steps)
            for step in steps:
                compared += 1
                if step.state is not None and step.state not in seen:
                    seen.add(step.state)
                    todo.append(step.state)
    return compared


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_toys(toy: ir.Program) -> None:
    assert everywhere(toy) > 15


# --------------------------------------------------------------- against the python engine


def as_python(one: Result) -> tuple[object, ...]:
    if one.kind == R_STOP:
        return ("stop", one.choices)
    assert one.fault is not None
    node = -1 if one.fault.name == "divergence" else one.fault.node
    if one.kind == R_BROKEN:
        return ("broken", one.choices, node)
    return ("fault", one.choices, node, one.fault.name)


def as_native(one: Outcome) -> tuple[object, ...]:
    if one.after is not None:
        return ("stop", one.choices)
    if one.broken is not None:
        return ("broken", one.choices, one.broken.node)
    assert one.violation is not None
    name = one.violation.property
    return ("fault", one.choices, -1 if name == "divergence" else one.violation.instr, name)


def same_as_python(model: Model, engine: Engine, state: State, thread: int) -> list[State]:
    """Compare all outcomes; the states that follow."""
    layout = model.model.layout
    runs = model.outcomes(layout.encode(state), thread)
    found = [one for one in runs if one.kind != R_BLOCKED]
    outcomes = engine.outcomes(engine.layout.encode(state), thread)
    assert [as_python(one) for one in found] == [as_native(one) for one in outcomes]
    following: list[State] = []
    for one, outcome in zip(found, outcomes, strict=True):
        unfinished = outcome.violation is not None and outcome.violation.property in (
            "index", "divergence"
        )  # fmt: skip  (the leaves end before the block where it happened)
        if not unfinished:
            assert list(one.executed) == engine.executed(thread, outcome.leaves)
        if outcome.after is not None:
            decoded = engine.layout.decode(outcome.after)
            assert layout.decode(one.after) == decoded
            assert one.after == layout.encode(decoded)
            following.append(decoded)
    return following


def walk(
    model: Model, engine: Engine, chance: random.Random, walks: int, steps: int
) -> tuple[int, set[tuple[int, int, int]]]:
    """Compare along random walks; how many steps, and the strays of the race checks."""
    threads = range(len(engine.program.threads))
    compared = 0
    strays: set[tuple[int, int, int]] = set()
    for code in engine.threads:
        code.strays.clear()
    for _ in range(walks):
        state = chance.choice(engine.known.initial)
        for _ in range(steps):
            following: list[State] = []
            for thread in threads:
                following += same_as_python(model, engine, state, thread)
                native = model.noted()
                python = {(thread, node, code) for code, node in engine.threads[thread].strays}
                engine.threads[thread].strays.clear()
                assert native == python
                strays |= native
            compared += 1
            if not following:
                break
            state = chance.choice(following)
    return compared, strays


def subsets(program: ir.Program, chance: random.Random) -> list[list[int]]:
    """Some of the fine stops, always those where a thread begins and those that wait."""
    chosen: list[list[int]] = []
    for thread, stops in zip(program.threads, fine_stops(program), strict=True):
        chosen.append([
            stop for stop in stops
            if stop == thread.entry or chance.random() < 0.5
        ])  # fmt: skip
    return chosen


def random_walks(seed: int) -> tuple[int, set[tuple[int, int, int]]]:
    made = random_program(seed)
    chance = random.Random(seed)
    model = Model(made)
    checks = every_check(made)
    compared, strays = 0, set[tuple[int, int, int]]()
    for number in range(4):
        stops = fine_stops(made) if number == 0 else subsets(made, chance)
        model.set_stops(stops)
        steps, found = walk(model, Engine(model.known, stops, checks), chance, 6, 60)
        compared += steps
        strays |= found
    return compared, strays


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_random_programs(first: int) -> None:
    codes: set[int] = set()
    for seed in range(first, first + 6):
        compared, strays = random_walks(seed)
        assert compared > 20
        codes |= {code for _, _, code in strays}
    assert codes  # the race checks that must fail somewhere do


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1300, 20))
def test_more_random_programs(first: int) -> None:
    for seed in range(first, first + 20):
        assert random_walks(seed)[0] > 20
