"""Logs of toy programs: those of real executions are accepted, all others are not."""

from __future__ import annotations

import itertools
import random
import weakref
from collections.abc import Iterator
from dataclasses import fields, replace

import pytest

from genfscheck.checker.conform import validate
from genfscheck.checker.conform.report import (
    DEPARTS,
    INCONCLUSIVE,
    broken_properties,
    conforms,
    departure,
    verdict,
)
from genfscheck.checker.conform.steps import HARD, HIDDEN, SOFT, Stepper
from genfscheck.checker.conform.validate import BROKEN, ENDED, STUCK, Pattern, Validator
from genfscheck.checker.lang import ir

from ..explore.build import BIT, Code, const, counter, number, op, program, shared, var


class Words:
    """Every store must have an event, a load may have one; waits and choices are hidden."""

    services: frozenset[str] = frozenset()

    def level(self, name: str) -> int:
        verb = name.partition(" ")[0]
        return {"store": HARD, "load": SOFT, "wait": HIDDEN, "choose": HIDDEN}[verb]

    def by_effect(self, service: str) -> bool:
        return False

    def touched(self, service: str, variable: str, write: bool) -> bool:
        return False


def validator(toy: ir.Program) -> Validator:
    return Validator(Stepper(toy, Words()))


def executed(tested: Validator, seed: int, loads: bool = True) -> list[Pattern]:
    """A random execution as a log: who stored, or loaded, what in which variable."""
    stepper = tested.stepper
    chance = random.Random(seed)
    (state,) = stepper.initial()
    log: list[Pattern] = []
    while True:
        ways = [
            (thread, step)
            for thread in range(len(stepper.program.threads))
            for step in stepper.steps(state, thread)
        ]
        if not ways:
            return log
        thread, step = chance.choice(ways)
        assert step.after is not None
        state = step.after
        if step.label.level == HIDDEN or (step.label.level == SOFT and not loads):
            continue
        name = step.label.name
        touch = step.touched[-1]
        slot = stepper.layout.shared[touch[0]]
        start = slot.at(touch[2])
        holds = ((start, state[start : start + slot.width]),)
        optional = step.label.level == SOFT
        log.append(Pattern((thread,), frozenset({name}), (touch,), holds=holds, optional=optional))


# Unlocked, a store says nothing about when the load before it was.
@pytest.mark.parametrize(("locked", "loads"), [(True, True), (True, False), (False, True)])
def test_executions_are_accepted(locked: bool, loads: bool) -> None:
    tested = validator(counter(3, 2, locked))
    for seed in range(20):
        log = executed(tested, seed, loads)
        assert len(log) >= 6
        outcome = tested.validate(log)
        assert outcome.whole and conforms(outcome)


def test_what_did_not_happen_is_not_accepted() -> None:
    """Of a locked counter: an event left out, doubled, another's, or with another value."""
    tested = validator(counter(2, 2, True))
    log = executed(tested, 1)
    tested_ways = 0
    for place, event in enumerate(log):
        if event.optional:
            continue
        start = event.holds[0][0]
        for wrong in (
            [*log[:place], *log[place + 1 :]],
            [*log[: place + 1], event, *log[place + 1 :]],
            [*log[:place], replace(event, threads=(1 - event.threads[0],)), *log[place + 1 :]],
            [*log[:place], replace(event, holds=((start, b"\x09"),)), *log[place + 1 :]],
        ):
            wrong += [Pattern((thread,), end=ENDED) for thread in range(2)]
            outcome = tested.validate(wrong)
            assert not conforms(outcome)
            assert place - 1 <= outcome.consumed <= len(wrong)
            tested_ways += 1
    assert tested_ways >= 40


def test_a_lost_update_needs_the_early_load() -> None:
    """The load is not in the log: the search comes back and takes it before the other's store."""
    tested = validator(counter(2, 1, False))
    (state,) = tested.stepper.initial()
    slot = tested.stepper.layout.shared[1]

    def stored(thread: int, value: int) -> Pattern:
        raw = (value - slot.low).to_bytes(slot.width, "little")
        holds = ((slot.offset, raw),)
        return Pattern((thread,), frozenset({"store n"}), ((1, True, 0),), holds=holds)

    def loaded(thread: int, value: int) -> Pattern:
        raw = (value - slot.low).to_bytes(slot.width, "little")
        return Pattern(
            (thread,), frozenset({"load n"}), ((1, False, 0),), holds=((slot.offset, raw),),
            optional=True,
        )  # fmt: skip

    assert tested.validate([stored(0, 1), stored(1, 2)]).whole
    # Without the event nothing says when the load was: it is taken as late as possible.
    assert not tested.validate([stored(0, 1), stored(1, 1)]).whole
    assert tested.validate([loaded(1, 0), stored(0, 1), stored(1, 1)]).whole
    assert not tested.validate([loaded(1, 1), stored(0, 1), stored(1, 1)]).whole


def guess(count: int) -> ir.Program:
    """A thread that chooses ``count`` bits, then stores them one after the other."""
    code = Code("guesser")
    chosen = [code.local(f"bit{place}") for place in range(count)]
    for place in range(count):
        code.add(ir.Choose(chosen[place], const(2), f"bit {place}"), stop=True)
    for place in range(count):
        code.put(0, chosen[place], place)
    return program("guess", [var("bits", BIT, (0,) * count)], [code.thread()])


def test_choices_are_found_by_coming_back() -> None:
    tested = validator(guess(6))
    slot = tested.stepper.layout.shared[0]
    for bits in itertools.product((0, 1), repeat=6):
        log = [
            Pattern((0,), frozenset({"store bits"}), ((0, True, place),),
                    holds=((slot.at(place), bytes([bit])),))
            for place, bit in enumerate(bits)
        ]  # fmt: skip
        assert tested.validate(log).whole
    told = {f"bit {place}": 1 for place in range(6)}
    only = [replace(event, decisions=told) for event in log]
    assert tested.validate(only).steps <= 24  # nothing but the way that the log tells


def test_broken_properties_are_noted_and_passed() -> None:
    code = Code("checker")
    code.put(0, 1)
    code.add(ir.Check(op("==", shared(0), 0), "zero", "is not zero"), stop=True)
    code.put(0, 0)
    tested = validator(program("checked", [var("x")], [code.thread()]))
    slot = tested.stepper.layout.shared[0]
    log = [
        Pattern((0,), frozenset({"store x"}), ((0, True, 0),), holds=((slot.offset, bytes([one])),))
        for one in (1, 0)
    ]
    outcome = tested.validate(log)
    assert outcome.whole
    assert broken_properties(tested, outcome) == {"zero": 1}


def test_time_is_linear() -> None:
    """Twice the log, twice the steps: at most some for each event."""
    code = Code("worker")
    left, value = code.local("left", number(2000)), code.local("value", number(1))
    code.add(ir.Assign(left, const(2000)))
    code.label("loop").branch(op(">", left, 0), "end")
    code.get(value, 0)
    code.put(0, op("-", 1, value))
    code.add(ir.Assign(left, op("-", left, 1))).goto("loop")
    code.label("end")
    tested = validator(program("worker", [var("x")], [code.thread()]))
    log = executed(tested, 0)
    assert len(log) == 4000
    half, whole = tested.validate(log[:2000]), tested.validate(log)
    assert half.whole and whole.whole
    assert whole.steps <= 2.2 * half.steps <= 2.2 * 4 * 2000
    assert not tested.validate([*log[:3998], log[3999]]).exhausted


def test_a_departure_is_told() -> None:
    tested = validator(counter(2, 1, True))
    log = executed(tested, 0)
    store = next(place for place, event in enumerate(log) if not event.optional)
    outcome = tested.validate([*log[:store], *log[store + 1 :]])
    assert not outcome.whole
    told = list(departure(tested, outcome, []))
    assert any("allows" in line for line in told) and any("t0" in line for line in told)


# How the program ended.

EVERYBODY = (0, 1)


def test_a_program_that_stops_must_be_stuck_in_the_model_too() -> None:
    """Of two that count under a lock: stuck nowhere, though the log up to there is possible."""
    tested = validator(counter(2, 1, True))
    log = executed(tested, 3)
    assert tested.validate(log).whole
    for length in range(len(log)):
        assert tested.validate(log[:length]).whole
        outcome = tested.validate([*log[:length], Pattern(EVERYBODY, end=STUCK)])
        assert not conforms(outcome) and outcome.consumed == length
    # At the end nobody can go on; if one may rest where it is, neither can the other.
    assert conforms(tested.validate([*log, Pattern(EVERYBODY, end=STUCK)]))
    (state,) = tested.stepper.initial()
    names = frozenset(label.name for _, label in tested.allowed(state))
    assert conforms(tested.validate([Pattern(EVERYBODY, names, end=STUCK)]))


def waits_for_ever() -> ir.Program:
    code = Code("waiter")
    code.put(0, 1)
    code.add(ir.Wait(op("==", shared(0), 0), "nothing"), stop=True)
    code.put(0, 0)
    return program("waits", [var("x")], [code.thread()])


def stored(tested: Validator, value: int) -> Pattern:
    slot = tested.stepper.layout.shared[0]
    holds = ((slot.offset, bytes([value - slot.low])),)
    return Pattern((0,), frozenset({"store x"}), ((0, True, 0),), holds=holds)


def test_a_deadlock_of_both_conforms() -> None:
    tested = validator(waits_for_ever())
    assert conforms(tested.validate([stored(tested, 1), Pattern((0,), end=STUCK)]))
    assert not conforms(tested.validate([Pattern((0,), end=STUCK)]))
    assert not conforms(tested.validate([stored(tested, 1), Pattern((0,), end=BROKEN)]))
    assert not conforms(tested.validate([stored(tested, 1), Pattern((0,), end=ENDED)]))


def test_a_panic_must_be_one_of_the_model() -> None:
    code = Code("checker")
    code.put(0, 1)
    code.add(ir.Check(op("==", shared(0), 0), "zero", "is not zero"), stop=True)
    code.put(0, 0)
    tested = validator(program("checked", [var("x")], [code.thread()]))
    panic = Pattern((0,), end=BROKEN)
    assert conforms(tested.validate([stored(tested, 1), panic]))
    assert not conforms(tested.validate([panic]))
    both = [stored(tested, 1), stored(tested, 0)]
    assert not conforms(tested.validate([*both, panic]))
    assert conforms(tested.validate([*both, replace(panic, since=1)]))
    assert not conforms(tested.validate([*both, replace(panic, since=2)]))
    unasserted = replace(panic, names=frozenset({"zero"}))
    assert not conforms(tested.validate([stored(tested, 1), unasserted]))
    assert not conforms(tested.validate([*both, replace(unasserted, since=1)]))


def test_where_the_model_cannot_go_on_nothing_is_said_of_the_rest() -> None:
    """A choice that leads out of range, and one that gets further and fails there."""
    code = Code("stopper")
    chosen = code.local("chosen")
    code.add(ir.Choose(chosen, const(2), "which"), stop=True)
    code.put(0, op("*", chosen, 5))
    code.put(0, 1)
    tested = validator(program("stops", [var("x")], [code.thread()]))
    zero, one = stored(tested, 0), stored(tested, 1)
    assert conforms(tested.validate([zero, one]))
    for rest in ([zero, zero], [zero, one, one], [zero, one, *[zero] * 50]):
        outcome = tested.validate(rest)
        assert not outcome.whole and not outcome.stopped and verdict(outcome) == DEPARTS
        assert outcome.consumed >= 1
    outcome = tested.validate([one, one])
    assert outcome.stopped and outcome.consumed == 0 and verdict(outcome) == INCONCLUSIVE


def test_a_search_that_was_cut_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = validator(counter(2, 2, True))
    log = executed(tested, 1)
    wrong = [*log, log[-1]]
    assert verdict(tested.validate(wrong)) == DEPARTS
    assert verdict(tested.validate(wrong, budget=3)) == INCONCLUSIVE
    monkeypatch.setattr(validate, "WINDOW", 4)
    assert conforms(tested.validate(log))
    assert verdict(tested.validate(wrong)) == INCONCLUSIVE


class Tracked(Pattern):
    __slots__ = ("__weakref__",)


def test_patterns_are_taken_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validator asks for no pattern before it needs it, and forgets those behind."""
    monkeypatch.setattr(validate, "WINDOW", 4)
    tested = validator(counter(2, 2, True))
    log = executed(tested, 1)
    alive: list[weakref.ref[Pattern]] = []
    most = 0

    def read() -> Iterator[Pattern | None]:
        nonlocal most
        for event in log:
            fresh = Tracked(*(getattr(event, one.name) for one in fields(event)))
            alive.append(weakref.ref(fresh))
            most = max(most, sum(one() is not None for one in alive))
            yield fresh
            del fresh
            yield None

    assert conforms(tested.validate(read()))
    assert len(alive) == len(log) > 10 and most <= 8
