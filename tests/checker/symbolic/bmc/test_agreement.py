"""The bounded engine without a bound sees what the explicit engines see, inputs or not."""

from __future__ import annotations

import random

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.explore.result import Granularity
from genfscheck.checker.lang import ir
from genfscheck.checker.symbolic.bmc.guards import Guard, Guards, Undecided
from genfscheck.checker.symbolic.bmc.run import explore_bounded
from genfscheck.checker.symbolic.bmc.states import Bounds

from ...explore.build import Code, counter, op, program, shared, var
from ...explore.oracle import decoded
from ...explore.randomised import DATA, LOOSE, X, random_program
from ...explore.test_expressions import expressions
from ...explore.test_toys import TOYS, spinning
from .agree import chooses, followed, reported, states

UNBOUNDED = Bounds()
# Values for which no invariant of a random program is broken at the beginning.
OPEN = {X: (0, 1, 2), DATA: (0, 2), LOOSE: (1, 0)}


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
@pytest.mark.parametrize("name", TOYS)
def test_toys(name: str, granularity: Granularity) -> None:
    toy, fine, reduced, violated = TOYS[name]
    result = explore_bounded(toy, UNBOUNDED, granularity=granularity)
    assert result.complete and result.search is not None
    assert len(result.search.entries) == (fine if granularity == "fine" else reduced)[0]
    assert {one.property for one in result.candidates} == violated
    assert followed(result) == reported(explore(toy, granularity=granularity))


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_a_thread_that_can_never_finish(granularity: Granularity) -> None:
    for nobody, properties in ((False, []), (True, ["progress"])):
        result = explore_bounded(spinning(nobody), UNBOUNDED, granularity=granularity)
        assert result.complete
        assert [one.property for one in result.candidates] == properties


def compare(made: ir.Program, granularity: Granularity, joining: bool) -> None:
    symbolic = explore_bounded(made, UNBOUNDED, granularity=granularity, joining=joining)
    prepared = prepare(made)
    assert symbolic.program == prepared
    explicit = explore(prepared, granularity=granularity, keep_states=True)
    assert symbolic.complete
    properties = {found.property for found in explicit.violations}
    assert {one.property for one in symbolic.candidates} == properties
    # What is followed is blamed in fine steps, on a line that a search of fine steps names.
    lines = reported(explicit)
    if granularity == "reduced" and not followed(symbolic) <= lines:
        lines |= reported(explore(prepared, granularity="fine"))
    assert followed(symbolic) <= lines
    if granularity == "fine":
        assert states(symbolic) == decoded(prepared, explicit)


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int) -> None:
    made = random_program(seed)
    compare(made, "fine", False)
    compare(made, "reduced", False)


@pytest.mark.parametrize("joining", [False, True])
# Two seeds that once showed evidence of a second search that looked like the first one's.
@pytest.mark.parametrize("seed", [4023, 4166, *range(6)])
def test_random_programs_with_inputs(seed: int, joining: bool) -> None:
    made = chooses(random_program(1000 + seed), OPEN)
    compare(made, "fine", joining)
    compare(made, "reduced", joining)


@pytest.mark.parametrize("joining", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_expressions_of_inputs(seed: int, joining: bool) -> None:
    """Arithmetic, lazy operands, symbolic indices and lists."""
    chance = random.Random(seed)
    options = {0: (-8, 0, 7), 2: (0, 999), 5: (2, -3), 6: (4, 1)}
    compare(chooses(expressions(chance), options), "fine", joining)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(400))
def test_more_random_programs(seed: int) -> None:
    made = chooses(random_program(5000 + seed), OPEN)
    for joining in (False, True):
        compare(made, "fine", joining)
        compare(made, "reduced", joining)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(150))
def test_more_expressions_of_inputs(seed: int) -> None:
    options = {0: (-8, 0, 7), 2: (0, 999), 5: (2, -3), 6: (4, 1)}
    made = chooses(expressions(random.Random(100 + seed)), options)
    for joining in (False, True):
        compare(made, "fine", joining)


# ------------------------------------------------------------------------------- bounds


def test_switches_are_counted() -> None:
    """The lost update of two counters needs two switches: fewer are not enough."""
    toy = counter(2, 1, False)
    for switches, found in ((0, 0), (1, 0), (2, 1)):
        result = explore_bounded(toy, Bounds(switches=switches), granularity="fine")
        assert len(result.candidates) == found
        assert [one.switches for one in result.candidates] == [2] * found
        assert result.complete == (switches == 2)


def test_steps_are_counted() -> None:
    toy = counter(2, 1, False)
    for steps in range(6):
        result = explore_bounded(toy, Bounds(steps=steps), granularity="fine")
        assert not result.complete and not result.candidates
    result = explore_bounded(toy, Bounds(steps=6), granularity="fine")
    assert result.complete and len(result.candidates) == 1


@pytest.mark.parametrize("seed", range(8))
def test_fewest_switches(seed: int) -> None:
    """A violation is found with as many switches as the best schedule has, not with fewer."""
    made = random_program(200 + seed)
    best = explore_bounded(made, UNBOUNDED, granularity="fine").candidates
    fewest: dict[str, int] = {}
    for one in best:
        if one.kind != "progress":
            fewest[one.property] = min(fewest.get(one.property, 99), one.switches)
    for name, switches in fewest.items():
        enough = explore_bounded(made, Bounds(switches=switches), granularity="fine")
        assert name in {one.property for one in enough.candidates}
        if switches:
            less = explore_bounded(made, Bounds(switches=switches - 1), granularity="fine")
            assert name not in {one.property for one in less.candidates}


def test_inputs_that_break_an_invariant_are_left_out() -> None:
    code = Code("t0")
    code.add(ir.Check(op("!=", shared(0), 2), "two", "it is 2"), stop=True)
    wide = ir.Domain("int", 0, 3)
    small = ir.Invariant("small", op("<", shared(0), 2), ir.Const(1))
    made = chooses(program("p", [var("n", wide)], [code.thread()], [small]), {0: (0, 1, 2, 3)})
    result = explore_bounded(made, UNBOUNDED)
    assert result.complete and result.refused
    assert result.candidates == []


@pytest.mark.parametrize("bounds", [Bounds(seconds=0), Bounds(states=10)])
def test_no_verdict_where_a_bound_ends_it(bounds: Bounds) -> None:
    result = explore_bounded(counter(4, 2, True), bounds, granularity="fine")
    assert result.bound and not result.complete and not result.candidates


def test_no_verdict_where_z3_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(self: Guards, guard: Guard) -> None:
        raise Undecided("z3: timeout")

    monkeypatch.setattr(Guards, "_ask", unknown)
    made = chooses(expressions(random.Random(1)), {0: (-8, 0, 7), 2: (0, 999), 5: (2, -3)})
    result = explore_bounded(made, UNBOUNDED, granularity="fine")
    assert result.bound == "undecided (z3: timeout)" and not result.complete
