"""The checker of histories, on histories whose answer is known."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import pytest

from genfscheck.refimpl.testing import History, Operation, check, linearizable

Register = int


def step(state: Register, operation: Operation) -> Iterable[Register]:
    if operation.name == "write":
        value = operation.arguments[0]
        assert isinstance(value, int)
        return [value]
    if operation.returned is None or operation.result == state:
        return [state]
    return []


def write(thread: str, value: int, called: int, returned: int | None) -> Operation:
    return Operation(thread, "write", (value,), None, called, returned)


def read(thread: str, value: int, called: int, returned: int | None) -> Operation:
    return Operation(thread, "read", (), value, called, returned)


@pytest.mark.parametrize(
    ("operations", "right"),
    [
        ([], True),
        ([write("a", 1, 1, 2), read("b", 1, 3, 4)], True),
        ([write("a", 1, 1, 2), read("b", 0, 3, 4)], False),  # stale
        ([write("a", 1, 1, 4), read("b", 0, 2, 3)], True),  # not yet
        ([write("a", 1, 1, 4), read("b", 1, 2, 3)], True),
        # New, then old again.
        ([write("a", 1, 1, 9), read("b", 1, 2, 3), read("b", 0, 4, 5)], False),
        # Two readers see two writes in different orders.
        (
            [
                write("a", 1, 1, 10),
                write("b", 2, 2, 11),
                read("c", 1, 3, 4),
                read("c", 2, 5, 6),
                read("d", 2, 3, 4),
                read("d", 1, 5, 6),
            ],
            False,
        ),
        # A write that never returned may have happened, or not, but not both.
        ([write("a", 1, 1, None), read("b", 1, 2, 3)], True),
        ([write("a", 1, 1, None), read("b", 0, 2, 3)], True),
        ([write("a", 1, 1, None), read("b", 1, 2, 3), read("b", 0, 4, 5)], False),
    ],
)
def test_known_histories(operations: Sequence[Operation], right: bool) -> None:
    assert linearizable(operations, 0, step) == right
    assert (check(operations, 0, step) is None) == right


def brute_force(operations: Sequence[Operation]) -> bool:
    """Tries every order of every choice of the operations that never returned."""
    pending = [one for one in operations if one.returned is None]
    for count in range(len(pending) + 1):
        for left_out in itertools.combinations(pending, count):
            chosen = [one for one in operations if one not in left_out]
            for order in itertools.permutations(chosen):
                if any(
                    later.returned is not None and later.returned < earlier.called
                    for index, earlier in enumerate(order)
                    for later in order[index + 1 :]
                ):
                    continue
                state = 0
                for one in order:
                    if one.name == "read" and one.returned is not None and one.result != state:
                        break
                    if one.name == "write":
                        state = int(str(one.arguments[0]))
                else:
                    return True
    return False


def test_against_every_order() -> None:
    answers = []
    for seed in range(150):
        chance = random.Random(seed)
        times = list(range(12))
        chance.shuffle(times)
        operations = []
        for number in range(5):
            called, returned = sorted(times[2 * number : 2 * number + 2])
            end = None if chance.random() < 0.15 else returned
            thread = f"t{number}"
            if chance.random() < 0.5:
                operations.append(write(thread, number + 1, called, end))
            else:
                operations.append(read(thread, chance.randrange(6), called, end))
        answers.append(brute_force(operations))
        assert linearizable(operations, 0, step) == answers[-1], seed
    assert 20 < sum(answers) < 130  # both answers are met often


def test_the_shortest_beginning_is_shown() -> None:
    operations = [
        write("a", 1, 1, 2),
        read("b", 7, 3, 4),
        write("a", 2, 5, 6),
        read("b", 2, 7, 8),
    ]
    wrong = check(operations, 0, step)
    assert wrong is not None
    assert [str(one.name) for one in wrong.operations] == ["write", "read"]
    assert "no order of these operations" in str(wrong) and "read() -> 7" in str(wrong)


def test_long_histories_are_quick() -> None:
    """Without the cache of configurations this would take for ever."""
    history = History()
    chance = random.Random(1)
    for number in range(300):
        history.note("a", "write", (number,), None, history.now())
        history.note("b", "read", (), number, history.now())
    operations = list(history.operations)
    # Eight writers that all end late, and a reader that no order can please.
    base = history.now()
    operations += [write(f"w{n}", 1000 + n, base + n, base + 100) for n in range(8)]
    operations.append(read("r", 5, base + 50, base + 60))
    chance.shuffle(operations)
    assert not linearizable(operations, 0, step)


def test_what_raises_never_returned() -> None:
    history = History()

    def fail() -> None:
        raise OSError("no")

    with pytest.raises(OSError):
        history.run("a", "write", (1,), fail)
    assert history.operations[0].returned is None
