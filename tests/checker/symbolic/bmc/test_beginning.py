"""What is left out at the beginning: both kinds of engines, and every choice by itself, agree."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product

import pytest

from genfscheck.checker.explore.errors import SetupError
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import Interpreter
from genfscheck.checker.explore.native.build import NativeUnavailable
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import INPUT
from genfscheck.checker.symbolic.bmc.run import explore_bounded
from genfscheck.checker.symbolic.bmc.states import Bounds

from ...explore.build import Code, const, number, op, program, shared, var
from .agree import followed, reported

UNBOUNDED = Bounds()
WIDE = ir.Domain("int", 0, 3)
SMALL = ir.Invariant("small", op("<", shared(0), 2), ir.Const(1))


def setting(label: str, steps: list[ir.Action], count: int = 4) -> Code:
    """A setup that puts a choice into n, after some steps on the choice (the local 0)."""
    code = Code("setup")
    which = code.local("choice", number(count - 1))
    code.add(ir.Choose(which, const(count), label))
    for step in steps:
        code.add(step)
    return code.add(ir.Assign(shared(0), which))


def over(setup: Code, *invariants: ir.Invariant, bad: int = 9) -> ir.Program:
    """A thread that finds n to be ``bad``, after such a setup."""
    code = Code("t0")
    code.add(ir.Check(op("!=", shared(0), bad), "bad", "n is bad"), stop=True)
    code.add(ir.Assign(shared(0), op("&", shared(0), 3)), stop=True)
    made = program("p", [var("n", WIDE)], [code.thread()], list(invariants))
    return replace(made, setup=setup.thread())


def fails(below: int) -> ir.Action:
    return ir.Check(op("<", ir.Local(0), below), "low", "it is too large")


@dataclass(frozen=True, slots=True)
class Case:
    """What both kinds of engines must say: properties broken, whether choices are left out."""

    made: ir.Program
    violated: set[str]
    left_out: int
    refused: str = ""


OPEN, PLAIN = INPUT + "n", "plain"
CASES = {
    # An invariant is broken at the beginning.
    "constant": Case(over(Code("setup").add(ir.Assign(shared(0), const(3))), SMALL), {"small"}, 0),
    "plain-breaks": Case(over(setting(PLAIN, []), SMALL), {"small"}, 0),
    "open-breaks": Case(over(setting(OPEN, []), SMALL), set(), 2),
    "open-always-breaks": Case(
        over(setting(OPEN, []), replace(SMALL, test=op(">", shared(0), 3))), {"small"}, 0
    ),
    # The setup fails.
    "plain-fails": Case(over(setting(PLAIN, [fails(2)])), set(), 0, "setup: low: it is too large"),
    "open-fails": Case(over(setting(OPEN, [fails(2)]), bad=3), set(), 2),
    "open-fails-else-bad": Case(over(setting(OPEN, [fails(2)]), bad=1), {"bad"}, 2),
    "open-always-fails": Case(over(setting(OPEN, [fails(0)])), set(), 0, "too large"),
    # The setup does not come to its end.
    "plain-blocks": Case(
        over(setting(PLAIN, [ir.Wait(op("<", ir.Local(0), 2), "r")]), bad=3), set(), 0
    ),
    "open-blocks": Case(
        over(setting(OPEN, [ir.Wait(op("<", ir.Local(0), 2), "r")]), bad=3), set(), 2
    ),
    "open-always-blocks": Case(
        over(setting(OPEN, [ir.Wait(const(0), "r")])), set(), 0, "no way to its end"
    ),
    # Some choices are refused, and all others break the invariant.
    "fails-or-breaks": Case(
        over(setting(OPEN, [fails(3)]), replace(SMALL, test=op(">", shared(0), 2))), {"small"}, 1
    ),
}


@pytest.mark.parametrize("joining", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_cases(name: str, joining: bool) -> None:
    case = CASES[name]
    if case.refused:
        with pytest.raises(SetupError, match=case.refused):
            prepare(case.made)
        with pytest.raises(SetupError, match=case.refused):
            explore_bounded(case.made, UNBOUNDED, joining=joining)
        return
    prepared = prepare(case.made)
    explicit = explore(prepared)
    assert {found.property for found in explicit.violations} == case.violated
    assert explicit.left_out == case.left_out
    symbolic = explore_bounded(case.made, UNBOUNDED, joining=joining)
    assert symbolic.complete and symbolic.program == prepared
    assert symbolic.refused == (case.left_out > 0)
    assert followed(symbolic) == reported(explicit)


# -------------------------------------------------------- against every choice by itself


def drawn(chance: random.Random) -> ir.Program:
    """Two open choices, an ordinary one; checks, waits and invariants on them and on memory."""
    code = Code("setup")
    labels = [INPUT + "a", INPUT + "b", "plain"]
    places = [code.local(label, number(2)) for label in labels]
    order = [0, 1, 2]
    chance.shuffle(order)

    def test(among: list[ir.Expr]) -> ir.Expr:
        one, two = chance.choice(among), chance.choice(among)
        sum_ = op("+", one, op("*", two, chance.randint(1, 2)))
        return op(chance.choice(["<", "!=", ">="]), sum_, chance.randint(0, 4))

    known: list[ir.Expr] = []
    for which in order:
        code.add(ir.Choose(places[which], const(3), labels[which]))
        known.append(places[which])
        if chance.random() < 0.3:
            code.add(ir.Check(test(known), "setup", "it is wrong"))
        if chance.random() < 0.2:
            code.add(ir.Wait(test(known), "r"))
    for at, place in enumerate(places):
        code.add(ir.Assign(shared(at), place))
    cells: list[ir.Expr] = [shared(at) for at in range(3)]
    thread = Code("t0")
    thread.add(ir.Check(test(cells), "check", "it is wrong"), stop=True)
    thread.add(ir.Assign(shared(chance.randrange(3)), const(chance.randint(0, 2))), stop=True)
    thread.add(ir.Check(test(cells), "later", "it is wrong"), stop=True)
    always = const(1)
    invariants = [
        ir.Invariant(f"inv{at}", test(cells), always if chance.random() < 0.6 else test(cells))
        for at in range(chance.randint(0, 2))
    ]
    variables = [var(name, number(2)) for name in "xyz"]
    return replace(program("p", variables, [thread.thread()], invariants), setup=code.thread())


def fixed(made: ir.Program, values: dict[str, int]) -> ir.Program:
    """The program with its open choices made."""
    code = []
    for instr in made.setup.code:
        match instr.action:
            case ir.Choose(target, _, label) if label in values:
                code.append(replace(instr, action=ir.Assign(target, const(values[label]))))
            case _:
                code.append(instr)
    return replace(made, setup=replace(made.setup, code=code))


def one_by_one(made: ir.Program) -> tuple[set[tuple[str, tuple[int, ...]]], int] | None:
    """What is broken for the choices that count, and how many do not; None: it is refused."""
    accepted: list[ir.Program] = []
    for one, two in product(range(3), repeat=2):
        closed = fixed(made, {INPUT + "a": one, INPUT + "b": two})
        try:
            Interpreter(closed).run_setup()
        except SetupError:
            continue
        accepted.append(closed)
    if not accepted:
        return None
    good = [
        closed for closed in accepted
        if not any(map(Interpreter(closed).breaks, Interpreter(closed).run_setup()))
    ]  # fmt: skip
    kept = good or accepted
    return {found for one in kept for found in reported(explore(prepare(one)))}, 9 - len(kept)


def agree(seed: int) -> str:
    """Compare all three; which kind of case it was."""
    made = drawn(random.Random(seed))
    expected = one_by_one(made)
    if expected is None:
        for search in (lambda: prepare(made), lambda: explore_bounded(made, UNBOUNDED)):
            with pytest.raises(SetupError):
                search()
        return "refused"
    violated, left_out = expected
    prepared = prepare(made)
    for joining in (False, True):
        symbolic = explore_bounded(made, UNBOUNDED, joining=joining)
        assert symbolic.complete and symbolic.program == prepared
        assert symbolic.refused == (left_out > 0)
        assert {one.property for one in symbolic.candidates} == {name for name, _ in violated}
        assert followed(symbolic) <= violated
    explicit = explore(prepared)
    assert reported(explicit) == violated
    assert explicit.left_out == left_out
    return "some left out" if left_out else "all kept"


def test_drawn_beginnings() -> None:
    # 1597: what only some of the setup's paths can be is folded all the same.
    kinds = {agree(seed) for seed in (*range(50), 1597)}
    assert kinds == {"refused", "some left out", "all kept"}


@pytest.mark.long
@pytest.mark.parametrize("begin", range(0, 3000, 500))
def test_more_drawn_beginnings(begin: int) -> None:
    for seed in range(1000 + begin, 1500 + begin):
        agree(seed)


@pytest.mark.parametrize("name", ["open-breaks", "open-fails-else-bad"])
def test_the_native_engine_leaves_out_the_same(name: str) -> None:
    case = CASES[name]
    try:
        native = explore(prepare(case.made), engine="native")
    except NativeUnavailable as error:
        pytest.skip(str(error))
    assert native.left_out == case.left_out
    assert {found.property for found in native.violations} == case.violated
