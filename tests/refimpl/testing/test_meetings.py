"""Pairs of calls that meet: which there are, and that a search finds what is wrong and tells it."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, product

import pytest

from genfscheck.refimpl.testing import LAST, REMOUNT, Call
from genfscheck.refimpl.testing.meetings import main, meetings, play, search
from genfscheck.refimpl.testing.pairs import CALLS, LARGEST, SAME_SIZE, WRITING, state
from genfscheck.refimpl.testing.programs import WRITES

from .support import without

PASS = len(CALLS) ** 2


def _kinds(call: Call) -> set[str]:
    """Those kinds that a call may be of."""
    name = call.name
    if name == "msync":
        name = "invalidate" if call.arguments[-1] else "msync"
    if name == "fsync_other":  # a second suspension would have been there
        name = "suspend"
    return {kind for kind, names in CALLS.items() if name in names}


def test_a_pass_has_every_pair_once() -> None:
    for seed in (0, 1):
        two = list(islice(meetings(seed), 2 * PASS))
        for part in (two[:PASS], two[PASS:]):
            pairs: Counter[tuple[str, str]] = Counter()
            for one in part:
                first, second = (one.task.programs[user][0] for user in ("user0", "user1"))
                pairs.update((a, b) for a in _kinds(first) for b in _kinds(second))
            assert set(pairs) == set(product(CALLS, repeat=2))
            exact = set(CALLS) - {"invalidate", "kernel"}  # both have the page daemon
            assert all(pairs[pair] == 1 for pair in product(exact, exact))
        assert str(two[0]) != str(two[PASS])


def test_what_is_drawn() -> None:
    """Each kind of state, end and fault; faults only where they leave no doubt."""
    many = list(islice(meetings(2), 8 * PASS))
    assert {one.end for one in many} == {"last", "remount", "promise", "unmount"}
    faults = {one.task.fault.kind for one in many if one.task.fault is not None}
    assert faults >= {"heap", "page", "nomem", "full", "read", "write", "short", "bmap"}
    assert faults >= {"space", "journal", "user"}
    names = {call.name for one in many for part in one.task.programs.values() for call in part}
    assert names >= {"pageout", "background", "suspend", "revoke", "lock", "write_sync"}
    for one in many:
        calls = [call for part in one.task.programs.values() for call in part]
        assert sum(call.name == "suspend" for call in calls) <= 1
        if any(call.name == "revoke" for call in calls):
            assert not any(call.name in ("read", "write", "fsync", "truncate") for call in calls)
        if one.task.fault is not None and one.task.fault.kind == "write":
            assert {call.name for call in calls} <= SAME_SIZE
        assert one.end in (LAST, REMOUNT) or not one.task.after
        if one.end == "promise" and one.task.fault is not None and one.task.fault.kind in WRITES:
            assert sum(call.name in WRITING for call in calls) == 1


def test_states() -> None:
    chance = random.Random(1)
    many = [state(chance) for _ in range(400)]
    assert {one.size for one in many} >= {0, 1, 4, LARGEST}
    for what in ("absent", "clean", "dirty", "clean and listed", "a hole", "cut from", "nothing"):
        assert any(what in one.name for one in many)
    for one in many:
        records = [call.arguments[0] for call in one.first if call.name in ("store", "load")]
        assert all(isinstance(record, int) and record < one.size for record in records)
        assert len(one.written) == one.made >= one.size


def test_the_seed_decides_everything() -> None:
    one, same, other = (list(islice(meetings(seed), 50)) for seed in (3, 3, 4))
    assert one == same != other


def test_each_write_has_a_tag_of_its_own() -> None:
    for one in islice(meetings(), PASS):
        tags = [tag for tag in one.task.tags if tag]
        calls = [*one.task.before, *(call for _user, call in one.task.after)]
        for program in one.task.programs.values():
            calls += program
        for call in calls:
            if call.name == "store":
                tags.append(call.arguments[1])  # type: ignore[arg-type]
            elif call.name in ("write", "write_direct", "write_sync"):
                tags += call.arguments[1]  # type: ignore[arg-type]
        assert len(tags) == len(set(tags))


def test_hardened_passes() -> None:
    for one in islice(meetings(7), 3):
        schedules, failure = play(one, {})
        assert schedules > 1 and not failure, failure


def test_only_the_first_thread_is_preempted() -> None:
    begins = set()
    for one in islice(meetings(8), 2):
        for run in one.runs():
            begins.add(run.events[0].thread)
    assert begins == {"user0"}


@pytest.mark.long
def test_a_search_ends_with_the_first_failure() -> None:
    """F1, with nothing said of it; the number of workers changes nothing but the time."""
    found = [
        search(600.0, 1, workers, knobs={"fixes": without("glock_held")}) for workers in (1, 2)
    ]
    assert found[0].failure == found[1].failure
    assert "schedule:" in found[0].failure and "at 319" in found[0].failure
    assert (found[0].tasks, found[0].schedules) == (found[1].tasks, found[1].schedules)


@pytest.mark.long
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "5"]) == 0
    assert " tasks, " in capsys.readouterr().out
    assert main(["--seed", "1", "--without", "glock_held"]) == 1
    assert "schedule:" in capsys.readouterr().out


@pytest.mark.long
def test_hardened_passes_for_long() -> None:
    found = search(3600.0, 11, tasks=PASS)
    assert found.tasks == PASS and not found.failure, found.failure
