"""Generated code and the interpreter compute the same, on random expressions and states."""

from __future__ import annotations

import random

import pytest

from genfscheck.checker.explore.engine import Engine, facts, fine_stops
from genfscheck.checker.explore.interpret import Interpreter, State, ThreadState
from genfscheck.checker.explore.semantics import list_insert, list_next, list_remove
from genfscheck.checker.lang import ir

from .build import Code, const, program, shared, var

TYPES = [
    ir.CType("int", 32, True), ir.CType("unsigned", 32, False), ir.CType("long", 64, True),
    ir.CType("size_t", 64, False), ir.CType("char", 8, True), ir.CType("uchar", 8, False),
    ir.BOOL,
]  # fmt: skip
OPS = [
    "+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^", "min", "max",
    "==", "!=", "<", "<=", ">", ">=", "and", "or",
]  # fmt: skip
WIDE = ir.Domain("int", -(1 << 64), 1 << 64)
DOMAINS = [
    ir.Domain("int", -8, 7), ir.Domain("int", 0, 3), ir.Domain("int", 0, 999),
    ir.Domain("int", -5, 70_000), ir.Domain("bool", 0, 1),
]  # fmt: skip


def expression(chance: random.Random, depth: int) -> ir.Expr:
    if depth == 0 or chance.random() < 0.1:
        which = chance.randrange(8)
        if which < 4:
            return shared(chance.randrange(len(DOMAINS)))
        if which == 4:
            return const(chance.choice((-9, -2, -1, 0, 1, 2, 3, 7, 255, 1 << 31)))
        if which == 5:
            return shared(5, ir.Binary("&", expression(chance, 0), const(1), ir.INT32))
        if which == 6:
            return ir.ListNext(ir.ListRef(6, const(0), 3, 4), expression(chance, 0))
        return ir.Local(chance.randrange(2))
    kind = chance.random()
    ctype = chance.choice(TYPES)
    left = expression(chance, depth - 1)
    if kind < 0.2:
        return ir.Unary(chance.choice(("-", "~", "not", "cast", "cast")), left, ctype)
    if kind < 0.3:
        return ir.Cond(left, expression(chance, depth - 1), expression(chance, depth - 1))
    return ir.Binary(chance.choice(OPS), left, expression(chance, depth - 1), ctype)


def expressions(chance: random.Random) -> ir.Program:
    code = Code("t0")
    one, two = code.local("one", DOMAINS[0]), code.local("two", DOMAINS[3])
    code.add(ir.Assign(one, shared(0)), stop=True)
    code.add(ir.Assign(two, shared(3)), stop=True)
    for target in range(7, 12):
        code.branch(expression(chance, 2), f"skip{target}", stop=True)
        code.add(ir.Assign(shared(target), expression(chance, 3)))
        code.label(f"skip{target}")
    variables = [var(f"v{number}", domain) for number, domain in enumerate(DOMAINS)]
    variables += [var("array", DOMAINS[0], (0, 0)), var("list", ir.Domain("ref", 0, 4), (4, 4, 4))]
    variables += [var(f"out{number}", WIDE) for number in range(5)]
    return program("expressions", variables, [code.thread()])


@pytest.mark.parametrize("seed", range(150))
def test_expressions(seed: int) -> None:
    chance = random.Random(seed)
    made = expressions(chance)
    engine = Engine(facts(made), fine_stops(made))
    interpreter = Interpreter(made)
    start = interpreter.run_setup()[0]
    for _ in range(6):
        values: list[tuple[int, ...]]
        values = [(chance.randint(domain.low, domain.high),) for domain in DOMAINS]
        items = chance.sample(range(4), chance.randint(0, 3))
        values += [(chance.randint(-8, 7), chance.randint(-8, 7))]
        values += [tuple(items + [4] * (3 - len(items)))]
        state = State(tuple(values) + start.shared[7:], start.threads)
        while state.threads[0].pc >= 0:
            (outcome,) = engine.outcomes(engine.layout.encode(state), 0)
            (step,) = interpreter.fine_step(state, 0)
            if step.state is None:
                assert outcome.violation == step.violation
                break
            assert outcome.after is not None
            assert engine.layout.decode(outcome.after) == step.state
            assert engine.executed(0, outcome.leaves) == list(step.executed)
            state = step.state


def lists(chance: random.Random) -> ir.Program:
    ref = ir.ListRef(0, const(3), 3, 9)
    code = Code("t0")
    for _ in range(8):
        node, anchor = const(chance.randrange(4)), const(chance.randrange(4))
        where = chance.choice(("head", "tail", "before", "after", "remove"))
        if where == "remove":
            code.add(ir.ListRemove(ref, node), stop=True)
        else:
            code.add(ir.ListInsert(ref, where, node, anchor), stop=True)  # type: ignore[arg-type]
    return program("lists", [var("l", ir.Domain("ref", 0, 9), (9,) * 9)], [code.thread()])


@pytest.mark.parametrize("seed", range(60))
def test_lists(seed: int) -> None:
    made = lists(random.Random(seed))
    engine = Engine(facts(made), fine_stops(made))
    interpreter = Interpreter(made)
    state = interpreter.run_setup()[0]
    while state.threads[0] != ThreadState(-1, ()):
        (outcome,) = engine.outcomes(engine.layout.encode(state), 0)
        (step,) = interpreter.fine_step(state, 0)
        assert outcome.violation == step.violation
        if step.state is None or outcome.after is None:
            break
        assert engine.layout.decode(outcome.after) == step.state
        state = step.state


def test_list_operations() -> None:
    assert list_insert([1, 2, 9], "before", 3, 2, 9) == [1, 3, 2]
    assert list_insert([1, 2, 9], "after", 3, 2, 9) == [1, 2, 3]
    assert list_insert([1, 2, 9], "head", 3, None, 9) == [3, 1, 2]
    assert list_insert([1, 2, 9], "tail", 2, None, 9) is None
    assert list_insert([1, 2, 3], "tail", 4, None, 9) is None
    assert list_insert([1, 2, 9], "after", 3, 4, 9) is None
    assert list_remove([1, 2, 9], 1, 9) == [2, 9, 9]
    assert list_remove([1, 2, 9], 3, 9) is None
    assert [list_next([1, 2, 9], node, 9) for node in (1, 2, 9, 5)] == [2, 9, 9, 9]
