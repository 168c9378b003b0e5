"""The generated C steps exactly as the interpreter and the generated Python do."""

from __future__ import annotations

import random
import shutil

import pytest

from genfscheck.checker.explore.engine import Engine, Facts, fine_stops
from genfscheck.checker.explore.errors import InternalError
from genfscheck.checker.explore.interpret import Interpreter, State, ThreadState
from genfscheck.checker.explore.predicates import predicates
from genfscheck.checker.explore.probe import every_check
from genfscheck.checker.lang import ir

from ..build import (
    BIT,
    Code,
    always,
    const,
    counter,
    crossed,
    handshake,
    number,
    op,
    peterson,
    program,
    shared,
    var,
)
from ..randomised import random_program
from .harness import R_FAULT, R_STOP, Model, same_as_interpreter, subsets, walk

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)

TOYS = [
    peterson(), peterson(True), counter(2, 2, False), counter(3, 1, True), crossed(),
    handshake(True), handshake(False),
]  # fmt: skip


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


def random_walks(seed: int) -> tuple[int, set[tuple[int, int, int]]]:
    made = random_program(seed)
    chance = random.Random(seed)
    model = Model(made)
    checks = every_check(made)
    compared, strays = 0, set[tuple[int, int, int]]()
    for turn in range(4):
        stops = fine_stops(made) if turn == 0 else subsets(made, chance)
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


# ----------------------------------------------------------- expressions, lists, predicates

TYPES = [
    ir.CType("s64", 64, True), ir.CType("u64", 64, False), ir.CType("s32", 32, True),
    ir.CType("u32", 32, False), ir.CType("s8", 8, True), ir.CType("u8", 8, False), ir.BOOL,
    ir.CType("s64", 64, True), ir.CType("u64", 64, False),
]  # fmt: skip
ARITHMETIC = ["+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^", "min", "max"]
LOGIC = ["==", "!=", "<", "<=", ">", ">=", "and", "or"]
DOMAINS = [
    number((1 << 63) - 1, -(1 << 63)), number((1 << 64) - 1), number((1 << 32) - 1),
    number((1 << 31) - 1, -(1 << 31)), number(7, -8), number(3), number(300, -5), BIT,
    number((1 << 64) - 1, (1 << 63) - 2), number(1 << 64, -(1 << 64)), number(-3, -(1 << 40)),
]  # fmt: skip
CORNERS = [
    bit + near for bit in (0, 1 << 7, 1 << 8, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64)
    for near in (-2, -1, 0, 1, 2)
]  # fmt: skip
ARRAY, LIST, OUT = len(DOMAINS), len(DOMAINS) + 1, len(DOMAINS) + 2
ANYTHING = number(1 << 65, -(1 << 65))


def corner(chance: random.Random, domain: ir.Domain) -> int:
    value = chance.choice(CORNERS) * chance.choice((1, -1))
    if chance.random() < 0.2 or not domain.low <= value <= domain.high:
        value = chance.choice((domain.low, domain.high, chance.randint(domain.low, domain.high)))
    return value


def expression(chance: random.Random, depth: int) -> ir.Expr:
    kind = chance.random()
    if depth == 0 or kind < 0.1:
        which = chance.randrange(10)
        if which < 5:
            return shared(chance.randrange(len(DOMAINS)))
        if which < 7:
            return ir.Local(chance.randrange(len(DOMAINS)))
        if which == 7:
            return shared(ARRAY, expression(chance, 0))
        if which == 8:
            return ir.ListNext(ir.ListRef(LIST, const(1), 4, 9), expression(chance, 0))
        return const(corner(chance, DOMAINS[chance.randrange(2)]))
    ctype = chance.choice(TYPES)
    left = expression(chance, depth - 1)
    if kind < 0.3:
        return ir.Unary(chance.choice(("-", "~", "not", "cast", "cast")), left, ctype)
    if kind < 0.4:
        return ir.Cond(left, expression(chance, depth - 1), expression(chance, depth - 1))
    right: ir.Expr = expression(chance, depth - 1)
    name = chance.choice(ARITHMETIC + ARITHMETIC + LOGIC)
    if name in ("<<", ">>") and chance.random() < 0.7:
        right = const(chance.randint(-1, 65))
    return ir.Binary(name, left, right, ctype)


def instructions(chance: random.Random, count: int) -> ir.Program:
    """One thread with a stop before every instruction, each of them live on every local."""
    code = Code("t0")
    local = [code.local(f"l{which}", domain) for which, domain in enumerate(DOMAINS)]
    for which, one in enumerate(local):
        code.get(one, which)
    ref = ir.ListRef(LIST, const(1), 4, 9)
    for at in range(count):
        kind = chance.random()
        if kind < 0.1:
            node, anchor = expression(chance, 1), expression(chance, 1)
            if chance.random() < 0.6:
                node, anchor = const(chance.randrange(10)), const(chance.randrange(10))
            where = chance.choice(("head", "tail", "before", "after", "remove"))
            if where == "remove":
                code.add(ir.ListRemove(ref, node), stop=True)
            else:
                code.add(ir.ListInsert(ref, where, node, anchor), stop=True)  # type: ignore[arg-type]
        elif kind < 0.2:
            target = chance.choice(local)
            code.add(ir.Assign(target, expression(chance, 2)), stop=True)
        elif kind < 0.3:
            code.add(
                ir.Assign(shared(ARRAY, expression(chance, 1)), expression(chance, 1)), stop=True
            )
        elif kind < 0.4:
            code.branch(expression(chance, 3), f"l{at}", stop=True)
            code.add(ir.Nop())
            code.label(f"l{at}")
        elif kind < 0.45:
            code.add(
                ir.Choose(
                    chance.choice(local),
                    ir.Binary("&", expression(chance, 2), const(7), ir.INT32),
                    "c",
                ),
                stop=True,
            )
        else:
            code.add(ir.Assign(shared(OUT), expression(chance, 3)), stop=True)
    for one in local:  # keeps every local alive
        code.add(ir.Assign(shared(OUT), one), stop=True)
    variables = [var(f"v{which}", domain, (domain.high,)) for which, domain in enumerate(DOMAINS)]
    variables += [
        var("array", DOMAINS[6], (0,) * 3), var("list", ir.Domain("ref", 0, 9), (9,) * 6),
        var("out", ANYTHING),
    ]  # fmt: skip
    return program("instructions", variables, [code.thread()])


def any_state(chance: random.Random, known: Facts, interpreter: Interpreter, stop: int) -> State:
    """Any values, of the locals those that the analysis of intervals thinks possible."""
    items = chance.sample(range(9), chance.randint(0, 4))
    values: list[tuple[int, ...]] = [(corner(chance, domain),) for domain in DOMAINS]
    values += [tuple(corner(chance, DOMAINS[6]) for _ in range(3))]
    values += [(9, *items, *[9] * (5 - len(items))), (0,)]
    env = known.envs[0][stop]
    spans = [env.get(which, (domain.low, domain.high)) for which, domain in enumerate(DOMAINS)]
    local = [(corner(chance, number(high, low)),) for low, high in spans]
    return State(tuple(values), (ThreadState(stop, interpreter.canonical(0, stop, local)),))


def compare_instructions(seed: int, count: int, states: int, *flags: str) -> set[str]:
    chance = random.Random(seed)
    made = instructions(chance, count)
    model, interpreter = Model(made, *flags), Interpreter(made)
    seen: set[str] = set()
    for stop in model.model.stops[0]:
        for _ in range(states):
            state = any_state(chance, model.known, interpreter, stop)
            steps = interpreter.fine_step(state, 0)
            same_as_interpreter(model, state, 0, steps)
            seen |= {step.violation.property if step.violation else "" for step in steps}
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_instructions(seed: int) -> None:
    assert compare_instructions(seed, 120, 12) == {"", "index", "range", "list"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 40))
def test_more_instructions(seed: int) -> None:
    undefined = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined") if seed % 2 else ()
    assert "" in compare_instructions(seed, 300, 40, *undefined)


def without_stops(chance: random.Random, me: int, size: int) -> ir.Thread:
    """A thread of one unit that asks the same few questions again and again.

    Variables: three plain ones, an array of two, a list of three.
    """
    code = Code(f"t{me}", me)
    one, two = code.local("one", number(2)), code.local("two", number(1))
    ref = ir.ListRef(4, const(0), 3, 9)
    simple: list[ir.Expr] = [
        op("==", one, 1), op("<", one, shared(0)), op("!=", two, 0), op("==", shared(1), shared(2)),
        op("==", shared(3, two), 1), op("==", shared(3, 0), one), op("!=", shared(3, 1), 0),
        op("==", ir.ListNext(ref, one), 9),
    ]  # fmt: skip

    def question(depth: int = 2) -> ir.Expr:
        kind = chance.random()
        if depth == 0 or kind < 0.5:
            return chance.choice(simple)
        if kind < 0.65:
            return ir.Unary("not", question(depth - 1), ir.BOOL)
        return op(chance.choice(("and", "or")), question(depth - 1), question(depth - 1))

    def change() -> None:
        kind = chance.randrange(8)
        if kind < 3:
            code.add(ir.Assign(chance.choice((one, two)), const(chance.randrange(2))))
        elif kind < 5:
            code.add(
                ir.Assign(shared(chance.randrange(3)), chance.choice((const(0), const(1), one)))
            )
        elif kind < 6:
            index = chance.choice((const(0), const(1), two))
            code.add(ir.Assign(shared(3, index), const(chance.randrange(2))))
        elif kind < 7:
            code.add(ir.Choose(chance.choice((one, two)), const(2), "c"))
        else:
            code.branch(op("==", ir.ListNext(ref, const(0)), 9), f"list{len(code.instrs)}")
            label = code.fixups[-1][1]
            where = chance.choice(("before", "after"))
            code.add(ir.ListInsert(ref, where, one, const(0)))  # type: ignore[arg-type]
            code.add(ir.Nop())
            code.label(label)

    code.get(one, 0)
    code.add(ir.Assign(two, ir.Cond(op("==", shared(1), 0), const(0), const(1))))
    for at in range(size):
        code.branch(question(), f"skip{at}")
        change()
        if chance.random() < 0.3:
            code.branch(question(), f"skip{at}")
            change()
        code.add(ir.Nop())
        code.label(f"skip{at}")
        if chance.random() < 0.3:
            change()
        if chance.random() < 0.15:
            code.add(ir.Check(op("or", question(), question()), "check", ""))
    return code.thread()


def compare_units(seed: int, threads: int, size: int, states: int) -> set[str]:
    chance = random.Random(seed)
    made = program(
        "units",
        [
            var("x", number(2)), var("y", number(2)), var("z", number(2)),
            var("array", number(2), (0, 0)), var("list", ir.Domain("ref", 0, 9), (9, 9, 9)),
        ],
        [without_stops(chance, me, size) for me in range(threads)],
    )  # fmt: skip
    model, interpreter = Model(made), Interpreter(made)
    start = model.known.initial[0]
    seen: set[str] = set()
    for _ in range(states):
        plain = [(chance.randrange(3),) for _ in range(3)]
        items = chance.sample(range(3), chance.randint(0, 3))
        array = (chance.randrange(3), chance.randrange(3))
        state = State((*plain, array, (*items, *[9] * (3 - len(items)))), start.threads)
        for thread in range(threads):
            steps = interpreter.fine_step(state, thread)
            same_as_interpreter(model, state, thread, steps)
            seen |= {step.violation.property if step.violation else "" for step in steps}
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_what_is_known_is_forgotten_in_time(seed: int) -> None:
    assert compare_units(seed, 8, 12, 40) >= {"", "check", "list"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_more_units(seed: int) -> None:
    assert "" in compare_units(seed, 8, 16, 150)


def test_predicates() -> None:
    chance = random.Random(5)
    made = program(
        "asked", [var(f"v{which}", number(5, -2), (0, 0)) for which in range(4)],
        [Code("t0").add(ir.Nop()).thread()],
    )  # fmt: skip

    def test() -> ir.Expr:
        one, two, three = (shared(chance.randrange(4), chance.randrange(2)) for _ in range(3))
        return op(chance.choice(("<", "!=", "and", "or")), op("+", one, two), three)

    made.invariants = [
        ir.Invariant(f"i{n}", test(), test() if n % 3 else const(1), terminal_only=n % 4 == 3)
        for n in range(24)
    ]
    made.witnesses = [ir.Witness(f"w{n}", test()) for n in range(6)]
    model = Model(made)
    asked = predicates(made, model.model.layout.shared)
    values: set[tuple[int, ...]] = set()
    for _ in range(200):
        rows = tuple((chance.randint(-2, 5), chance.randint(-2, 5)) for _ in range(4))
        state = model.model.layout.encode(State(rows, model.known.initial[0].threads))
        wanted = (
            asked.broken(state), asked.unseen(state), asked.broken_at_end(state),
            sum(1 << n for n, one in enumerate(asked.witnesses) if one(state)),
        )  # fmt: skip
        assert tuple(model.ask(which, state) for which in range(4)) == wanted
        values.add(wanted)
    assert len(values) > 100
    assert model.library.gm_misread() == 0


def test_a_predicate_that_reads_outside_is_noticed() -> None:
    made = program("wild", [var("v", number(9), (5, 0))], [Code("t0").add(ir.Nop()).thread()])
    made.invariants = [always("tame", const(1)), always("wild", shared(0, shared(0)))]
    model = Model(made)
    assert model.library.gm_misread() == 0
    model.ask(0, model.model.layout.encode(model.known.initial[0]))
    assert model.model.places[model.library.gm_misread() - 1] == "wild"


# ------------------------------------------------------------------------- odd programs


def test_a_loop_without_a_stop_is_given_up() -> None:
    code = Code("t0")
    value = code.local("value", number(3))
    code.get(value, 0)
    code.label("again").branch(op("!=", value, 3), "end")
    code.add(ir.Assign(value, op("^", value, 1))).goto("again")
    code.label("end")
    made = program("endless", [var("x")], [code.thread()])
    model = Model(made)
    state = model.model.layout.encode(model.known.initial[0])
    (one,) = model.outcomes(state, 0)
    assert one.kind == R_FAULT and one.fault is not None and one.overflow
    assert one.fault[:3] == (0, 1, "divergence")
    assert set(one.executed) == {0, 1, 2}


def test_a_long_path_forgets_no_block() -> None:
    code = Code("t0")
    left, value = code.local("left", number(3000)), code.local("value", number(1))
    code.get(value, 0)
    code.branch(op("==", value, 0), "zero")
    code.add(ir.Nop())
    code.label("zero").add(ir.Assign(left, const(3000)))
    code.label("again").branch(op(">", left, 0), "end")
    code.branch(op("==", left, 1500), "odd")
    code.add(ir.Nop())
    code.label("odd").add(ir.Assign(left, op("-", left, 1))).goto("again")
    code.label("end")
    made = program("long", [var("x")], [code.thread()])
    model, interpreter = Model(made), Interpreter(made)
    state = model.known.initial[0]
    (one,), (step,) = (
        model.outcomes(model.model.layout.encode(state), 0),
        interpreter.fine_step(state, 0),
    )
    assert one.kind == R_STOP and one.overflow
    assert set(one.executed) == set(step.executed)
    assert len(step.executed) > 1024


def chooser(first: ir.Expr, second: ir.Expr, times: int = 1) -> ir.Program:
    code = Code("t0")
    value = code.local("value", number(3))
    code.add(ir.Choose(value, first, "one"), stop=True)
    code.put(0, value)
    for _ in range(times):
        code.add(ir.Choose(value, second, "two"))
    code.put(1, value)
    return program("chooser", [var("x", number(3)), var("y", number(3))], [code.thread()])


@pytest.mark.parametrize("first, second", [(3, 2), (0, 2), (3, 0), (5, 5), (1, 1)])
def test_choices(first: int, second: int) -> None:
    made = chooser(const(first), const(second))
    everything = [[0], [0]]
    for stops in (fine_stops(made), everything[:1]):
        model = Model(made)
        model.set_stops(stops)
        engine = Engine(model.known, stops)
        walk(model, engine, random.Random(1), 5, 4)


def test_too_many_choices_are_a_fault() -> None:
    made = chooser(const(1), const(1), 70)
    model = Model(made)
    model.set_stops([[0]])
    (one,) = model.outcomes(model.model.layout.encode(model.known.initial[0]), 0)
    assert one.kind == R_FAULT and one.fault is not None and one.fault.name == "choices"
    assert len(one.choices) == 64


def test_a_wait_behind_a_store_is_refused() -> None:
    code = Code("t0").put(0, 1).add(ir.Wait(shared(0), "x"))
    made = program("late", [var("x")], [code.thread()])
    with pytest.raises(InternalError, match="t0: a wait after a store in one step"):
        Model(made)


def test_the_text_is_the_same_every_time() -> None:
    texts = {Model(random_program(seed)).model.text for seed in (3, 3)}
    assert len(texts) == 1
