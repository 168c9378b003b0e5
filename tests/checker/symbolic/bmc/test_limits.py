"""What ends a search, what is confirmed, and what counts as covered."""

from __future__ import annotations

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.lang import ir
from genfscheck.checker.symbolic.bmc import search
from genfscheck.checker.symbolic.bmc.concrete import Schedule
from genfscheck.checker.symbolic.bmc.follow import Follower, Lost
from genfscheck.checker.symbolic.bmc.guards import Undecided
from genfscheck.checker.symbolic.bmc.run import explore_bounded
from genfscheck.checker.symbolic.bmc.search import Search
from genfscheck.checker.symbolic.bmc.states import Bounds, Candidate

from ...explore.build import Code, const, counter, op, program, shared, var
from ...explore.randomised import random_program
from ...explore.test_toys import TOYS, spinning
from .agree import followed

UNBOUNDED = Bounds()


# ------------------------------------------------------------------ what is confirmed


@pytest.mark.parametrize("made", [counter(2, 1, True), spinning(False), TOYS["crossed locks"][0]])
def test_a_thread_that_can_finish_is_no_violation(made: ir.Program) -> None:
    """Nor is one that a deadlock or a failed check keeps from it: those are reported."""
    follower = Follower(made)
    (state,) = follower.interpreter.run_setup()
    for thread in made.threads:
        claimed = Schedule("progress", "progress", {}, state.shared, (), subject=thread.name)
        with pytest.raises(Lost):
            follower.found(claimed)


def test_a_thread_that_cannot_finish_is_confirmed() -> None:
    assert {name for name, _ in followed(explore_bounded(spinning(True), UNBOUNDED))} == \
        {name.property for name in explore(spinning(True)).violations} == {"progress"}


# ------------------------------------------------------------------ what ends a search


def gives_up(search: Search) -> None:
    if search.candidates:
        raise Undecided("z3: timeout")


def test_what_was_found_before_z3_gave_up_is_kept() -> None:
    result = explore_bounded(
        counter(2, 1, False), UNBOUNDED, granularity="fine", progress=gives_up
    )
    assert result.bound == "undecided (z3: timeout)" and not result.complete
    assert len(followed(result)) == 1


def test_what_was_found_before_z3_gave_up_on_progress_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(self: Search) -> list[Candidate]:
        raise Undecided("z3: timeout")

    monkeypatch.setattr(Search, "never", never)
    result = explore_bounded(counter(2, 1, False), UNBOUNDED, granularity="fine")
    assert result.bound and not result.complete and len(result.candidates) == 1


class Clock:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def restarting() -> ir.Program:
    """A program whose reduction is refined, so that the search begins again."""
    for seed in range(50):
        made = random_program(seed)
        if explore_bounded(made, UNBOUNDED).restarts:
            return made
    raise AssertionError("no search begins again")


def test_searches_that_begin_again_have_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = restarting()
    begun: list[float] = []
    whole = Search.run

    def noted(self: Search) -> None:
        begun.append(self.started)
        whole(self)

    monkeypatch.setattr(Search, "run", noted)
    explore_bounded(made, Bounds(seconds=60))
    assert len(begun) > 1 and len(set(begun)) == 1


def test_the_time_holds_for_what_comes_after_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search itself has all the time; looking for threads that never finish takes too long."""
    made = spinning(True)
    assert explore_bounded(made, Bounds(seconds=60)).candidates
    clock = Clock()
    whole = Search.never

    def late(self: Search) -> list[Candidate]:
        monkeypatch.setattr(search, "time", clock)
        clock.now = self.started + 61
        return list(whole(self))

    monkeypatch.setattr(Search, "never", late)
    result = explore_bounded(made, Bounds(seconds=60))
    assert result.bound == "max_seconds" and not result.complete and not result.candidates


# ------------------------------------------------------------------ what is covered


def straight() -> ir.Program:
    code = Code("t0")
    code.add(ir.Nop(), stop=True)
    code.add(ir.Assign(shared(0), const(1)), stop=True)
    code.add(ir.Assign(shared(0), const(0)), stop=True)
    return program("p", [var("n")], [code.thread()], [])


@pytest.mark.parametrize(("steps", "covered"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2, 3})])
def test_what_lies_beyond_the_steps_is_not_covered(steps: int, covered: set[int]) -> None:
    result = explore_bounded(straight(), Bounds(steps=steps), granularity="fine")
    assert result.covered == [covered]
    assert result.complete == (steps == 3)


def test_what_lies_beyond_the_switches_is_not_covered() -> None:
    """Where a thread waits it is asked whether another could go on: that is not a step."""
    first, other = Code("t0", 0), Code("t1", 1)
    first.put(0, 1).add(ir.Wait(op("==", shared(0), 0), "r"), stop=True)
    other.add(ir.Wait(shared(0), "r"), stop=True).put(0, 0)
    made = program("p", [var("n")], [first.thread(), other.thread()], [])
    for switches, covered in enumerate(([{0}, set()], [{0}, {0, 1, 2}], [{0, 1, 2}, {0, 1, 2}])):
        result = explore_bounded(made, Bounds(switches=switches), granularity="fine")
        assert result.covered == covered
        assert result.complete == (switches == 2) and not result.candidates
