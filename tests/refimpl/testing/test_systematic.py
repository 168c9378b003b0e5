"""Every schedule with so many preemptions: which those are, and that none is left out."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from genfscheck.refimpl.testing import (
    POWER,
    Call,
    Directed,
    Reference,
    Run,
    Task,
    explore,
    orders,
    places,
    run_scheduled,
)
from genfscheck.refimpl.testing.systematic import TIMES

MACHINE: dict[str, object] = {
    "size": 32 * 1024,
    "files": 2,
    "page_size": 1024,
    "memory_pages": 64,
    "maxphys": 4096,
    "io_threads": 1,
    "patience": 2.0,
}
# In memory already: nobody waits, so that only a preemption lets another thread go on.
READS = Task(
    4, (1, 2, 3, 4), {"a": [Call("read", (0, 1))], "b": [Call("read", (1, 1))]}, cold=False
)


def turns(run: Run) -> list[str]:
    """The threads of the task in the order in which they ran."""
    users = [event.thread for event in run.events if event.thread in run.task.programs]
    return [thread for thread, _events in groupby(users)]


def test_orders() -> None:
    assert orders(["a", "b", "c"]) == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]
    assert orders(["a", "b"], POWER) == [["a", "power", "b"], ["b", "power", "a"]]


def test_one_schedule_for_each_place_and_each_order() -> None:
    runs = list(explore(READS, MACHINE))
    where = places(READS, MACHINE)
    assert all(run.failure is None for run in runs)
    assert len(runs) == 2 + len(where)
    assert len({(one.thread, one.number) for one in where}) == len(where)
    steps = Counter((one.thread, one.kind, one.at, one.target) for one in where)
    assert max(steps.values()) <= TIMES
    seen = [turns(run) for run in runs]
    assert seen.count(["a", "b"]) == seen.count(["b", "a"]) == 1
    assert seen.count(["a", "b", "a"]) == sum(one.thread == "a" for one in where) > 2


def test_a_thread_is_preempted_before_the_step_that_was_named() -> None:
    for place in places(READS, MACHINE):
        other = "b" if place.thread == "a" else "a"
        fs = Reference(**MACHINE)  # type: ignore[arg-type]
        try:
            run = run_scheduled(fs, READS, Directed([place.thread, other], [place]))
        finally:
            fs.close()
        first = next(n for n, one in enumerate(run.events) if one.thread == other)
        assert run.events[first].kind == "call"
        rest = [one for one in run.events[first:] if one.thread == place.thread]
        assert (rest[0].kind, rest[0].at) == (place.kind, place.at)
        # The other one ended before it went on.
        assert [one.thread for one in run.events[first:] if one.thread in "ab"].index(
            place.thread
        ) == sum(one.thread == other for one in run.events)


def test_two_preemptions() -> None:
    seen = [turns(run) for run in explore(READS, MACHINE, preemptions=2)]
    assert ["a", "b", "a", "b"] in seen and ["b", "a", "b", "a"] in seen
    assert not any(len(one) > 4 for one in seen)


def test_the_power_is_cut_at_each_place() -> None:
    runs = list(explore(READS, MACHINE, POWER))
    assert len(runs) == 2 + len(places(READS, MACHINE, POWER))
    assert all(run.failure is None for run in runs)
    assert {tuple(turns(run)) for run in runs} == {("a",), ("b",)}
    ended = [{one.thread for one in run.history.operations if one.returned} for run in runs]
    assert sum(bool(one & {"a", "b"}) for one in ended) == 2  # where nobody was preempted
