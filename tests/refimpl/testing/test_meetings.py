"""Pairs of calls that meet: which there are, and that a search finds what is wrong and tells it."""

from __future__ import annotations

from collections import Counter
from itertools import islice, product

import pytest

from genfscheck.refimpl.testing import Call
from genfscheck.refimpl.testing.meetings import CALLS, STATES, main, meetings, play, search

from .support import without

PASS = len(CALLS) ** 2


def _kind(call: Call) -> str:
    return "invalidate" if call.name == "msync" and call.arguments[-1] else call.name


def test_a_pass_has_every_pair_once() -> None:
    for seed in (0, 1):
        two = list(islice(meetings(seed), 2 * PASS))
        for part in (two[:PASS], two[PASS:]):
            pairs = Counter(
                (_kind(one.task.programs["user0"][0]), _kind(one.task.programs["user1"][0]))
                for one in part
            )
            assert pairs == Counter(product(CALLS, repeat=2))
            assert {one.state for one in part} == set(STATES)
        assert str(two[0]) != str(two[PASS])


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
            elif call.name in ("write", "write_direct"):
                tags += call.arguments[1]  # type: ignore[arg-type]
        assert len(tags) == len(set(tags))


def test_hardened_passes() -> None:
    for one in islice(meetings(7), 6):
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
