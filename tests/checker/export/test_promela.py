"""SPIN stores as many states as the fine granularity explores, with the same verdicts."""

from __future__ import annotations

import random

import pytest

from genfscheck.checker.explore.interpret import Interpreter, State
from genfscheck.checker.export.errors import ExportError
from genfscheck.checker.export.promela import export
from genfscheck.checker.lang import ir

from ..explore.build import BIT, Code, always, const, number, op, program, shared, var
from ..explore.randomised import random_program
from ..explore.test_expressions import DOMAINS, expression
from ..explore.test_toys import TOYS, spinning
from .comparing import compare, needs_spin, promised, verify

# Seeds whose units SPIN must not find blocked in the middle: no choice without alternatives.
STRUCTURED = [0, 7, 21, 27]


QUICK = {"peterson without the flag", "counter with a mutex", "crossed locks", "no lost wakeup"}


@needs_spin
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in TOYS],
)
def test_toys(name: str) -> None:
    exported, spin, ours = compare(TOYS[name][0])
    assert exported.structured == exported.extra_states == 0
    if ours.verdict == "holds":
        assert spin.transitions == ours.transitions + 1  # SPIN counts the initial state


@needs_spin
@pytest.mark.parametrize(
    "name",
    ["lost wakeup", *(pytest.param(n, marks=pytest.mark.long) for n in TOYS if n != "lost wakeup")],
)
def test_toys_in_structured_code(name: str) -> None:
    exported, _, _ = compare(TOYS[name][0], commands=False)
    assert exported.simple == 0


@needs_spin
@pytest.mark.parametrize(
    "seed",
    [0, 27, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(28, 90))],
)
def test_random_programs(seed: int) -> None:
    compare(random_program(seed))


@needs_spin
@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.long) for s in STRUCTURED])
def test_random_programs_in_structured_code(seed: int) -> None:
    compare(random_program(seed), commands=False)


def several() -> ir.Program:
    """Three initial states, one thread."""
    setup = Code("setup")
    value = setup.local("value", number(2))
    setup.add(ir.Choose(value, const(3), "value"))
    setup.add(ir.Assign(shared(0), value))
    code = Code("t0").put(0, op("min", op("+", shared(0), 1), 3))
    return program("start", [var("x", number(3))], [code.thread()], setup=setup.thread())


@needs_spin
def test_several_initial_states() -> None:
    exported, spin, ours = compare(several())
    assert (exported.extra_states, ours.states, spin.states) == (1, 6, 7)


def resting(rest: bool, finishes: bool) -> ir.Program:
    """A user and a daemon that waits for work."""
    daemon = Code("daemon", 1)
    daemon.label("again").add(ir.Wait(op("==", shared(0), 1), "work", rest), stop=True)
    daemon.put(0, 0).goto("again")
    user = Code("user", 0).put(0, 1)
    if not finishes:
        user.add(ir.Wait(op("==", shared(0), 2), "never"), stop=True)
    return program("resting", [var("x", number(2))], [user.thread(), daemon.thread(daemon=True)])


@needs_spin
@pytest.mark.parametrize("finishes", [pytest.param(True, marks=pytest.mark.long), False])
def test_daemons_rest(finishes: bool) -> None:
    _, spin, _ = compare(resting(True, finishes))
    assert spin.deadlocks is not finishes


def failing(name: str) -> ir.Program:
    """A thread that stores, and then fails half-way in the same step; another one beside it."""
    actions: dict[str, ir.Action] = {
        "range": ir.Assign(shared(0), op("+", shared(0), 7)),
        "index": ir.Assign(shared(2, op("+", shared(0), 9)), const(0)),
        "list": ir.ListRemove(ir.ListRef(1, const(0), 2, 3), shared(0)),
        "kept": ir.Check(op("==", shared(0), 1), "kept", "it is not"),
        "divergence": ir.Nop(),
    }
    code = Code("t0")
    code.add(ir.Assign(shared(2, 1), const(1)), stop=True)
    code.label("again").add(actions[name])
    if name == "divergence":
        code.goto("again")
    other = Code("t1", 1).put(0, 1).put(0, 2)
    variables = [
        var("x", number(3)), var("l", number(3), (2, 3)), var("a", BIT, (0, 0)),
    ]  # fmt: skip
    return program(name, variables, [code.thread(), other.thread()])


@needs_spin
@pytest.mark.parametrize(
    "name",
    ["range", "list", "divergence", *(
        pytest.param(name, marks=pytest.mark.long) for name in ("index", "kept")
    )],
)  # fmt: skip
def test_a_failed_step_leaves_no_state(name: str) -> None:
    made = failing(name)
    exported, spin, ours = compare(made, commands=name != "range")
    assert promised(exported, spin) == {name}
    assert ours.states < 9


@needs_spin
@pytest.mark.long
def test_progress_is_not_exported() -> None:
    """SPIN is not told to look for threads that never finish."""
    made = spinning(True)
    exported = export(made)
    assert verify(exported).verdict == "none"


# ----------------------------------------------------------------------- expressions

INT = ir.Domain("int", -(1 << 31) + 1, (1 << 31) - 1)
FIRST_OUT = 7


def computing(chance: random.Random, outs: int) -> ir.Program:
    """A thread that stores random expressions: those that can be exported and do not fail."""
    variables: list[ir.SharedVar] = [
        var(f"v{at}", domain, (chance.randint(domain.low, domain.high),))
        for at, domain in enumerate(DOMAINS)
    ]
    items = chance.sample(range(4), chance.randint(0, 3))
    variables.append(var("array", DOMAINS[0], (chance.randint(-8, 7), chance.randint(-8, 7))))
    variables.append(var("list", ir.Domain("ref", 0, 4), tuple(items + [4] * (3 - len(items)))))
    variables += [var(f"out{at}", INT) for at in range(outs)]

    def storing(values: list[ir.Expr]) -> ir.Program:
        code = Code("t0")
        one, two = code.local("one", DOMAINS[0]), code.local("two", DOMAINS[3])
        code.add(ir.Assign(one, shared(0)), stop=True).add(ir.Assign(two, shared(3)))
        for at, value in enumerate(values):
            code.add(ir.Assign(shared(FIRST_OUT + at), value), stop=True)
        return program("computing", variables, [code.thread()])

    done: list[ir.Expr] = []
    while len(done) < outs:
        value = expression(chance, 3)
        try:
            export(storing([value]))
        except ExportError:
            continue
        if last_state(storing([value])) is not None:
            done.append(value)
    return storing(done)


def last_state(made: ir.Program) -> State | None:
    """Where a single thread ends; None where a step is a violation."""
    interpreter = Interpreter(made)
    (state,) = interpreter.run_setup()
    while state.threads[0].pc >= 0:
        (step,) = interpreter.fine_step(state, 0)
        if step.state is None:
            return None
        state = step.state
    return state


@needs_spin
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))]
)
def test_expressions(seed: int) -> None:
    """What SPIN computes is what the interpreter computes; and it would say if it were not."""
    made = computing(random.Random(seed), 25)
    state = last_state(made)
    assert state is not None
    final = state.shared[FIRST_OUT:]
    for wrong in (False, True):
        made.invariants = [
            ir.Invariant(
                f"out{at}", op("==", shared(FIRST_OUT + at), value + wrong), const(1),
                terminal_only=True,
            )
            for at, (value,) in enumerate(final)
        ]  # fmt: skip
        exported = export(made)
        spin = verify(exported)
        assert spin.complete
        assert len(spin.broken) == (len(final) if wrong else 0), promised(exported, spin)


def test_what_an_int_cannot_hold_is_refused() -> None:
    code = Code("t0").put(0, 1)
    wide = program("wide", [var("x", ir.Domain("int", 0, 1 << 40))], [code.thread()])
    with pytest.raises(ExportError, match="x ranges over 0 to"):
        export(wide)
    product = ir.Binary("*", shared(0), shared(0), ir.CType("long", 64, True))
    over = ir.Binary(">", product, const(5), ir.BOOL)
    made = program("over", [var("x", number(1 << 20))], [Code("t0").put(0, 1).thread()],
                   [always("small", over)])  # fmt: skip
    with pytest.raises(ExportError, match="the invariant small"):
        export(made)


def test_the_same_text_every_time() -> None:
    assert export(random_program(5)).text == export(random_program(5)).text


def test_names_and_keywords() -> None:
    """Variables called like keywords, threads like variables."""
    code = Code("timeout").put(0, 1).put(1, 1)
    variables = [var("active"), var("timeout"), var("a.b"), var("a_b")]
    text = export(program("names", variables, [code.thread()])).text
    for line in ("bit v_active;", "bit v_timeout;", "bit a_b;", "bit a_b_2;"):
        assert line in text
    assert "active proctype v_timeout_2() {" in text
