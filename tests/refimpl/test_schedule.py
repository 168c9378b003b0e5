"""A chooser owns every thread: the same choices give the same run, and nothing hangs."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from genfscheck.refimpl import Chooser, Event, FileSystem, Outcome, Ready, Stuck
from genfscheck.refimpl.sync import WRITER, Mutex, RwLock, Want

from .support import formatted, mounted

WRITERS = ["first", "second", "third"]
Choose = Callable[[Sequence[Ready]], Ready]


def first(ready: Sequence[Ready]) -> Ready:
    return ready[0]


def session(
    image: Path, choose: Choose, seed: int, **knobs: object
) -> tuple[list[Event], Outcome, bytes]:
    """Two writers and a reader of one file, everything under the chooser's control."""
    chooser = Chooser(choose, limit=20_000)
    chosen: dict[str, object] = {"hook": chooser, "patience": None, "io_seed": seed}
    fs = mounted(image, **(chosen | knobs))

    def write(fs: FileSystem, text: bytes) -> Callable[[], object]:
        def body() -> None:
            with fs.open("file", "r+") as file:
                file.pwrite(text * 300, 700)
                file.fsync()

        return body

    def read() -> bytes:
        with fs.open("file") as file:
            return file.pread(5000, 0)

    def create() -> None:
        with fs.open("file", "w") as file:
            file.write(b"-" * 6000)

    assert chooser.run(fs, {"setup": create}).returned == {"setup": None}
    bodies = {"a": write(fs, b"aaaa"), "b": write(fs, b"bb"), "reader": read}
    outcome = chooser.run(fs, bodies)
    got = outcome.returned.get("reader", b"")
    assert isinstance(got, bytes)
    fs.crash()
    return chooser.events, outcome, got


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_choices_give_the_same_steps(tmp_path: Path, seed: int) -> None:
    runs = []
    for attempt in range(2):
        (folder := tmp_path / str(attempt)).mkdir()
        choose = random.Random(seed).choice
        knobs: dict[str, object] = {"syncer_period": 0.02, "syncer_delay": 0.01}
        runs.append(session(formatted(folder), choose, seed, **knobs))
    (events, outcome, got), (again, _, got_again) = runs
    outcome.check()
    assert [str(event) for event in events] == [str(event) for event in again]
    assert got == got_again
    assert {event.thread for event in events} >= {"a", "b", "reader", "disk0", "aiodone"}


def test_other_choices_give_other_steps(tmp_path: Path) -> None:
    seen = set()
    for seed in range(4):
        (folder := tmp_path / str(seed)).mkdir()
        events, outcome, _ = session(formatted(folder), random.Random(seed).choice, 0)
        outcome.check()
        seen.add(tuple((event.thread, event.kind) for event in events))
    assert len(seen) == 4


def test_without_a_switch_one_thread_runs_after_the_other(tmp_path: Path) -> None:
    events, outcome, got = session(formatted(tmp_path), first, 0)
    outcome.check()
    order = [event.thread for event in events if event.kind in ("call", "return")]
    assert order == sorted(order, key=["setup", "a", "b", "reader"].index)
    assert got == b"-" * 700 + b"bb" * 300 + b"aaaa" * 150 + b"-" * 3100


def test_a_thread_that_runs_on_is_not_asked_about(tmp_path: Path) -> None:
    """The same run as when the first is always chosen, with a fraction of the choices."""
    logs: list[list[str]] = []
    asked: list[int] = []
    for runs_on in (None, lambda _ready: True):
        (folder := tmp_path / str(len(logs))).mkdir()
        chooser = Chooser(first, runs_on=runs_on)
        fs = mounted(formatted(folder), hook=chooser, patience=None)

        def body(fs: FileSystem = fs) -> None:
            with fs.open("file", "w+") as file:
                file.write(b"x" * 3000)
                file.fsync()

        outcome = chooser.run(fs, {"one": body, "two": lambda: None})
        outcome.check()
        logs.append([str(event) for event in chooser.events])
        asked.append(chooser.choices)
        fs.crash()
    assert logs[0] == logs[1]
    assert asked[1] < asked[0] / 5


def locks(fs: FileSystem) -> tuple[Mutex, Mutex]:
    return Mutex(fs.kernel.machine, "left"), Mutex(fs.kernel.machine, "right")


def test_a_deadlock_is_reported(tmp_path: Path) -> None:

    def alternate(ready: Sequence[Ready]) -> Ready:
        return min(ready, key=lambda one: sum(e.thread == one.thread for e in chooser.events))

    chooser = Chooser(alternate)
    fs = mounted(formatted(tmp_path), hook=chooser)
    left, right = locks(fs)

    def cross(mine: Mutex, other: Mutex) -> Callable[[], object]:
        def body() -> None:
            mine.enter("test")
            other.enter("test")

        return body

    outcome = chooser.run(fs, {"one": cross(left, right), "two": cross(right, left)})
    assert outcome.waiting == {
        "one": "waits for right of two at test",
        "two": "waits for left of one at test",
    }
    assert isinstance(outcome.dead, Stuck) and "one: waits for right" in outcome.stuck
    assert set(outcome.raised) == {"one", "two"}
    with pytest.raises(Stuck):
        outcome.check()
    fs.crash()


def test_a_sleep_without_a_wakeup_is_reported(tmp_path: Path) -> None:
    chooser = Chooser(first)
    fs = mounted(formatted(tmp_path), hook=chooser)
    lock, _ = locks(fs)

    def body() -> None:
        lock.enter("test")
        fs.kernel.machine.sleep("nothing", lock, "test")

    outcome = chooser.run(fs, {"sleeper": body})
    assert outcome.waiting == {"sleeper": "sleeps on nothing at test"}
    fs.crash()


def test_going_round_for_ever_is_reported(tmp_path: Path) -> None:
    chooser = Chooser(first, limit=500)
    fs = mounted(formatted(tmp_path), hook=chooser)
    lock, _ = locks(fs)

    def body() -> None:
        while True:
            lock.enter("test")
            lock.exit("test")

    outcome = chooser.run(fs, {"spinner": body})
    assert "no end after 500 steps" in outcome.stuck
    fs.crash()


def test_who_cannot_take_the_step_is_not_offered(tmp_path: Path) -> None:
    offered: list[set[str]] = []

    def choose(ready: Sequence[Ready]) -> Ready:
        offered.append({one.thread for one in ready if one.kind != "nap"})
        return next((one for one in ready if one.thread == "holder"), ready[0])

    chooser = Chooser(choose)
    fs = mounted(formatted(tmp_path), hook=chooser)
    lock, _ = locks(fs)
    done: list[str] = []

    def holder() -> None:
        lock.enter("test")
        fs.kernel.machine.step("call", "test", op="hold", vp=None)
        done.append("holder")
        lock.exit("test")

    def waiter() -> None:
        lock.enter("test")
        done.append("waiter")
        lock.exit("test")

    chooser.run(fs, {"holder": holder, "waiter": waiter}).check()
    assert done == ["holder", "waiter"]
    assert {"holder", "waiter"} in offered  # before the first took it
    assert {"holder"} in offered and {"waiter"} in offered
    fs.unmount()


def test_time_passes_by_choice(tmp_path: Path) -> None:
    chooser = Chooser(first)
    fs = mounted(formatted(tmp_path), hook=chooser, syncer_period=0.0, pagedaemon=False)
    machine = fs.kernel.machine

    def body() -> float:
        machine.nap(body, lambda: False, 1000.0, "test")
        return machine.now()

    outcome = chooser.run(fs, {"napper": body})
    assert outcome.returned["napper"] == pytest.approx(1000.0)
    fs.unmount()


def test_time_alone_does_not_help(tmp_path: Path) -> None:
    """Daemons that look around for ever do not hide that a user waits in vain."""
    chooser = Chooser(first)
    fs = mounted(formatted(tmp_path), hook=chooser, syncer_period=0.1)
    want = Want("never", lambda: False, "something impossible")

    def body() -> None:
        with fs.kernel.machine.service("memory", "test", want):
            pass

    outcome = chooser.run(fs, {"user": body})
    assert outcome.waiting["user"] == "waits for something impossible at test"
    fs.crash()


def test_a_body_that_fails(tmp_path: Path) -> None:
    chooser = Chooser(first)
    with mounted(formatted(tmp_path), hook=chooser) as fs:
        outcome = chooser.run(fs, {"opener": lambda: fs.open("absent")})
        with pytest.raises(FileNotFoundError):
            outcome.check()


@pytest.mark.parametrize("outcome", [0, 1])
def test_whether_a_fault_happens_is_a_choice(tmp_path: Path, outcome: int) -> None:
    asked: list[tuple[str, str, int]] = []

    def pick(thread: str, label: str, count: int) -> int:
        asked.append((thread, label, count))
        return outcome

    chooser = Chooser(first, pick=pick)
    with mounted(formatted(tmp_path), hook=chooser) as fs:
        fs.faults.arm("space", maybe=True)

        def write() -> int:
            with fs.open("file", "w") as file:
                return file.write(b"x")

        done = chooser.run(fs, {"writer": write})
        assert asked[0] == ("writer", "fault: space", 2)
        assert fs.faults.fired["space"] == outcome
        if outcome:
            with pytest.raises(OSError, match="No space"):
                done.check()
        else:
            assert done.returned == {"writer": 1}


def test_which_waiting_writer_is_a_choice(tmp_path: Path) -> None:
    order: list[list[str]] = []
    for wanted in (0, 1):
        (folder := tmp_path / str(wanted)).mkdir()

        def choose(ready: Sequence[Ready]) -> Ready:
            users = [one for one in ready if one.kind == "rw_enter" and one.thread in WRITERS]
            return min(users or ready, key=lambda one: (WRITERS.index(one.thread) if users else 0))

        def pick(_thread: str, label: str, _count: int, wanted: int = wanted) -> int:
            return wanted if label == "which waiting writer" else 0

        chooser = Chooser(choose, pick=pick)
        fs = mounted(formatted(folder), hook=chooser)
        lock = RwLock(fs.kernel.machine, "lock")
        entered: list[str] = []

        def body(name: str, lock: RwLock = lock, entered: list[str] = entered) -> None:
            lock.enter(WRITER, "test")
            entered.append(name)
            lock.exit("test")

        bodies = {name: functools.partial(body, name) for name in WRITERS}
        chooser.run(fs, bodies).check()
        order.append(entered)
        fs.crash()
    assert order == [["first", "second", "third"], ["first", "third", "second"]]


def test_to_rest_asks_until_nothing_is_under_way(tmp_path: Path) -> None:
    """The run goes on behind the bodies' ends, as long as a transfer is not finished."""
    asked: list[int] = []
    for to_rest in (False, True):
        (folder := tmp_path / str(to_rest)).mkdir()
        chooser = Chooser(first, always=True, to_rest=to_rest)
        fs = mounted(formatted(folder), hook=chooser, pagedaemon=False, syncer_period=0.0)

        def body(fs: FileSystem = fs) -> None:
            with fs.open("file", "w+") as file:
                file.write(b"x" * 4096)
                with file.mmap() as mapped:
                    mapped.sync(wait=False)

        chooser.run(fs, {"user": body}).check()
        assert not fs.kernel.bufs.live  # settled, by choice or without
        asked.append(chooser.choices)
        fs.crash()
    assert asked[0] < asked[1]
