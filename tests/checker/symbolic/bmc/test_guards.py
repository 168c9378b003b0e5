"""Guards: simplification changes nothing, and z3 agrees with enumeration in every encoding."""

from __future__ import annotations

import random
from itertools import product
from typing import get_args

import pytest

from genfscheck.checker.symbolic.bmc.guards import Encoding, Guard, Guards, Undecided

COUNTS = (2, 3, 4, 1)


def formula(guards: Guards, chance: random.Random, depth: int) -> tuple[Guard, frozenset[int]]:
    """A random formula, and the numbers of the assignments for which it is true."""
    everything = list(product(*(range(count) for count in COUNTS)))
    if depth == 0:
        which = chance.randrange(len(COUNTS))
        mask = chance.randrange(1 << COUNTS[which])
        true = {n for n, values in enumerate(everything) if mask >> values[which] & 1}
        return guards.literal(which, mask), frozenset(true)
    one, first = formula(guards, chance, depth - 1)
    two, second = formula(guards, chance, depth - 1)
    match chance.randrange(4):
        case 0:
            return guards.both(one, two), first & second
        case 1:
            return guards.either(one, two), first | second
        case 2:
            return guards.without(one, two), first - second
    return guards.negation(one), frozenset(range(len(everything))) - first


@pytest.mark.parametrize("encoding", get_args(Encoding))
@pytest.mark.parametrize("seed", range(12))
def test_against_enumeration(encoding: Encoding, seed: int) -> None:
    chance = random.Random(seed)
    guards = Guards(encoding)
    for number, count in enumerate(COUNTS):
        guards.input(f"i{number}", count)
    everything = list(product(*(range(count) for count in COUNTS)))
    for _ in range(8):
        made, true = formula(guards, chance, 4)
        condition, where = formula(guards, chance, 2)
        for number, values in enumerate(everything):
            inputs = dict(enumerate(values))
            assert guards.holds(made, inputs) == (number in true)
            if number in where:
                assert guards.holds(guards.restrict(made, condition), inputs) == (number in true)
        assert guards.possible(made) == bool(true)
        inputs_found = guards.assignment(made)
        assert (inputs_found is None) == (not true)
        if inputs_found is not None:
            assert everything.index(tuple(inputs_found[n] for n in range(len(COUNTS)))) == min(true)


def test_equal_formulas_are_one() -> None:
    guards = Guards()
    one, two = (guards.input(name, 3).number for name in "ab")
    low, high = guards.literal(one, 1), guards.literal(one, 6)
    assert guards.negation(low) is high
    assert guards.either(low, high) is guards.true
    assert guards.both(low, high) is guards.false
    other = guards.literal(two, 1)
    assert guards.both(low, other) is guards.both(other, low)
    assert guards.without(guards.both(low, other), other) is guards.false
    assert guards.queries == 0


def test_one_input_never_needs_z3() -> None:
    guards = Guards()
    which = guards.input("size", 40).number
    made = guards.true
    for value in range(30):
        made = guards.without(made, guards.literal(which, 1 << value))
    assert guards.possible(made)
    assert made.kind == "literal"
    assert guards.queries == 0


def test_no_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    guards = Guards()
    chance = random.Random(3)
    for number, count in enumerate(COUNTS):
        guards.input(f"i{number}", count)

    def unknown(guard: Guard) -> None:
        raise Undecided("z3: timeout")

    monkeypatch.setattr(guards, "_ask", unknown)
    with pytest.raises(Undecided):
        for _ in range(50):
            guards.possible(formula(guards, chance, 4)[0])


@pytest.mark.parametrize("encoding", get_args(Encoding))
def test_an_input_made_later(encoding: Encoding) -> None:
    guards = Guards(encoding)
    one, two = (guards.input(name, 3).number for name in "ab")
    both = guards.either(
        guards.both(guards.literal(one, 1), guards.literal(two, 1)),
        guards.both(guards.literal(one, 6), guards.literal(two, 6)),
    )
    other = guards.either(
        guards.both(guards.literal(one, 6), guards.literal(two, 1)),
        guards.both(guards.literal(one, 1), guards.literal(two, 4)),
    )
    assert not guards.possible(guards.both(both, guards.both(other, guards.literal(two, 1))))
    mixed = guards.either(both, other)
    assert guards.possible(guards.both(mixed, guards.negation(both)))
    late = guards.input("late", 2).number
    assert guards.possible(guards.both(guards.both(mixed, guards.negation(both)),
                                       guards.literal(late, 2)))


def test_formulas_that_share_parts_are_not_written_out() -> None:
    """A formula whose tree has 2**60 leaves: deciding it takes a step for each of its parts."""
    guards = Guards()
    names = [guards.input(name, 3).number for name in "abcdef"]
    made = guards.either(*(guards.literal(name, 1) for name in names[:2]))
    for step in range(60):
        one, two = names[2 + step % 2], names[4 + step % 2]
        made = guards.either(
            guards.both(made, guards.literal(one, 3)), guards.both(made, guards.literal(two, 3))
        )
    assert not guards.holds(made, dict.fromkeys(names, 1))
    assert guards.holds(made, dict.fromkeys(names, 0))
    assert guards.possible(made)
    assert guards.assignment(made) == dict.fromkeys(names, 0)
