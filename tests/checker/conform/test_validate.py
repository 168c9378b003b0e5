"""Logs of toy programs: those of real executions are accepted, all others are not."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from genfscheck.checker.conform.report import broken_properties, conforms, departure
from genfscheck.checker.conform.steps import HARD, HIDDEN, SOFT, Stepper
from genfscheck.checker.conform.validate import Pattern, Validator
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
            wrong += [Pattern((thread,), ends=True) for thread in range(2)]
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
