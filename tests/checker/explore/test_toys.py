"""Exact counts and verdicts on small programs, in both granularities."""

from __future__ import annotations

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.result import Granularity, Result
from genfscheck.checker.lang import ir

from .build import (
    BIT,
    Code,
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
)  # fmt: skip
from .oracle import at_stops, both, causes, decoded, exhaust

# name: program, fine (states, transitions, depth), reduced (the same), violated properties
TOYS = {
    "peterson": (peterson(), (48, 80, 10), (48, 80, 10), set()),
    "peterson without the flag": (peterson(True), (41, 64, 8), (41, 64, 8), {"exclusion"}),
    "counter": (counter(2, 2, False), (68, 102, 10), (68, 102, 10), {"sum"}),
    "counter with a mutex": (counter(3, 1, True), (108, 189, 15), (27, 54, 6), set()),
    "four counters": (counter(4, 2, True), (1792, 3456, 36), (256, 768, 12), set()),
    "crossed locks": (crossed(), (19, 22, 8), (9, 10, 4), {"deadlock"}),
    "locks one by one": (crossed(False), (23, 32, 8), (9, 12, 4), set()),
    "lost wakeup": (handshake(True), (21, 25, 7), (8, 8, 3), {"deadlock"}),
    "no lost wakeup": (handshake(False), (17, 18, 8), (5, 5, 2), set()),
}


def size(result: Result) -> tuple[int, int, int]:
    return result.states, result.transitions, result.depth


@pytest.mark.parametrize("name", TOYS)
def test_counts(name: str) -> None:
    toy, fine_size, reduced_size, violated = TOYS[name]
    fine, reduced = both(toy)
    assert (size(fine), size(reduced)) == (fine_size, reduced_size)
    assert {one.property for one in fine.violations} == violated
    assert fine.verdict == reduced.verdict == ("violated" if violated else "holds")
    assert causes(fine) == causes(reduced)
    states = decoded(toy, fine)
    assert at_stops(states, reduced.stops) == decoded(toy, reduced)
    known = exhaust(toy)
    assert (known.states, known.transitions) == (states, fine.transitions)


def test_shortest_path_has_the_fewest_switches() -> None:
    (found,) = explore(counter(2, 1, False), granularity="fine").violations
    assert (found.kind, found.depth, found.path.switches) == ("invariant", 6, 2)


def spinning(nobody_sets_it: bool) -> ir.Program:
    """A thread that spins on a flag."""
    waiter = Code("waiter", 0)
    flag = waiter.local("flag")
    waiter.label("again").get(flag, 0)
    waiter.branch(flag, "again")
    setter = Code("setter", 1)
    setter.put(0, 0 if nobody_sets_it else 1)
    return program("spinning", [var("flag")], [waiter.thread(), setter.thread()])


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_a_thread_that_can_never_finish(granularity: Granularity) -> None:
    assert explore(spinning(False), granularity=granularity).verdict == "holds"
    (found,) = explore(spinning(True), granularity=granularity).violations
    assert (found.kind, found.property, found.thread, found.depth) == ("progress", "progress", 0, 0)


def test_divergence() -> None:
    code = Code("t0")
    code.put(0, 1)
    code.label("again").add(ir.Nop()).goto("again")
    (found,) = explore(program("diverges", [var("x")], [code.thread()])).violations
    assert (found.property, found.depth) == ("divergence", 1)


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_range_index_and_list(granularity: Granularity) -> None:
    actions: dict[str, ir.Action] = {
        "range": ir.Assign(shared(0), op("+", shared(0), 7)),
        "index": ir.Assign(shared(0, op("+", shared(0), 9)), const(0)),
        "list": ir.ListRemove(ir.ListRef(1, const(0), 2, 3), const(1)),
    }
    for name, action in actions.items():
        code = Code("t0").add(action, stop=True)
        variables = [var("x", number(3)), var("l", number(3), (3, 3))]
        result = explore(program(name, variables, [code.thread()]), granularity=granularity)
        assert [(one.property, one.depth) for one in result.violations] == [(name, 1)]


def test_daemons_may_rest() -> None:
    def daemon(rest: bool) -> ir.Thread:
        code = Code("daemon", 1)
        code.label("again").add(ir.Wait(op("==", shared(0), 1), "work", rest), stop=True)
        code.put(0, 0).goto("again")
        return code.thread(daemon=True)

    for finishes in (True, False):
        code = Code("user", 0).put(0, 1)
        if not finishes:
            code.add(ir.Wait(op("==", shared(0), 2), "never"), stop=True)
        made = program("daemon", [var("x", number(2))], [code.thread(), daemon(True)])
        found = explore(made).violations
        assert [one.message for one in found] == ([] if finishes else ["user waits for never"])


def test_initial_states_and_witnesses() -> None:
    setup = Code("setup")
    value = setup.local("value", number(2))
    setup.add(ir.Choose(value, const(3), "value"))
    setup.add(ir.Assign(shared(0), value))
    code = Code("t0").put(0, op("min", op("+", shared(0), 1), 3))
    made = program(
        "start", [var("x", number(3))], [code.thread()], setup=setup.thread(),
        witnesses=[
            ir.Witness("three", op("==", shared(0), 3)), ir.Witness("four", op("==", shared(0), 4))
        ],
    )  # fmt: skip
    result = explore(made)
    assert (result.states, result.transitions) == (6, 3)
    three = result.witnesses["three"]
    assert three is not None and len(three.blocks) == 1
    assert result.witnesses["four"] is None


def test_bounds_and_interruption() -> None:
    toy = counter(4, 2, True)
    result = explore(toy, granularity="fine", max_states=10)
    assert (result.verdict, result.bound) == ("inconclusive", "max_states")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    result = explore(toy, progress=interrupt)
    assert (result.verdict, result.bound, result.complete) == ("inconclusive", "interrupted", False)
    assert explore(toy, max_seconds=0.0).bound == "max_seconds"
    assert explore(toy, max_memory=1).bound == "max_memory"


def test_coverage_is_exact() -> None:
    code = Code("t0")
    flag = code.local("flag", BIT)
    code.get(flag, 0)
    code.branch(flag, "end")
    code.put(0, 0)
    code.label("end")
    result = explore(program("covered", [var("x")], [code.thread()]))
    assert result.covered == [{0, 1, 3}]


def owned(honest: bool) -> ir.Program:
    """Two threads that claim a record under a mutex, use it without, and give it back.

    Variables: mutex, ghost owner, data.
    """
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        value = code.local("value", number(3))
        busy = code.local("busy", BIT)
        code.label("again").enter(0, 2)
        code.add(ir.Assign(busy, shared(3)), stop=True)
        code.branch(busy, "mine")
        code.exit(0, 2)
        code.add(ir.Wait(op("==", shared(3), 0), "the record"), stop=True).goto("again")
        code.label("mine")
        if honest or me == 0:
            code.put(3, 1)
        code.add(ir.Assign(shared(1), const(me)))
        code.exit(0, 2)
        code.get(value, 2)
        code.put(2, op("+", value, 1))
        code.get(value, 2)
        code.enter(0, 2)
        code.put(3, 0)
        code.add(ir.Assign(shared(1), const(2)))
        code.exit(0, 2)
        made.append(code.thread())
    phase = ir.Phase(1, 2, 0)
    variables = [
        ir.SharedVar("m.owner", ir.Domain("thread", 0, 2), 1, (2,), pure_sync=True),
        ir.SharedVar("r.owner", ir.Domain("thread", 0, 2), 1, (2,), ghost=True, phase=phase),
        ir.SharedVar("r.data", number(3), 1, (0,), phase=phase),
        var("r.busy"),
    ]
    done = ir.Invariant("both", op("==", shared(2), 2), const(1), terminal_only=True)
    return program("owned", variables, made, [done])


def test_ownership_merges_and_its_breach_does_not() -> None:
    for honest in (True, False):
        toy = owned(honest)
        fine, reduced = both(toy)
        assert fine.verdict == reduced.verdict == ("holds" if honest else "violated")
        assert at_stops(decoded(toy, fine), reduced.stops) == decoded(toy, reduced)
        assert any(race.variable == "r.data" for race in reduced.races) != honest
        if honest:
            assert reduced.states * 5 < fine.states
