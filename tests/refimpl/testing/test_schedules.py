"""Hypothesis chooses the schedule: what it finds, how it tells it, and that it can be repeated."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Sequence

import pytest

from genfscheck.refimpl import Event, File
from genfscheck.refimpl.schedule import Chooser, Ready
from genfscheck.refimpl.testing import (
    ENDS,
    FEATURES,
    Broken,
    Call,
    Reference,
    Task,
    random_task,
    run_scheduled,
    schedule,
)
from genfscheck.refimpl.testing.records import encode

from .support import Schedules, looking, without


def turns(text: str) -> int:
    """How often a told schedule goes from one thread to another."""
    return len(text.partition("schedule:\n")[2].partition("\nnobody")[0].splitlines())


def test_1_18_is_found_out_and_shrunk() -> None:
    """Nothing says what to look for; what is found becomes a short interleaving."""
    search = Schedules({"variant": "1.18"}, threads=2, shrinking=25)
    found = search.hunt(looking(400, shrink=True))
    assert found is not None and search.first is not None
    assert "schedule:" in str(found) and " lines " in str(found)
    assert search.examples > search.first
    assert turns(str(found)) <= 12, str(found)


def test_hardened_is_not() -> None:
    search = Schedules({})
    assert search.hunt(looking(25)) is None
    assert search.steps > 1000


def test_the_same_choices_are_the_same_run() -> None:
    texts = []
    for _ in range(2):
        fs = Reference(page_size=1024, block_size=512, maxphys=4096, io_threads=2, patience=None)
        task = random_task(5, features=FEATURES - {"direct"})
        chooser = Chooser(random.Random(11).choice)
        try:
            run = run_scheduled(fs, task, chooser)
        finally:
            fs.close()
        assert run.failure is None
        texts.append("\n".join(map(str, (run, *run.history.operations, *run.events))))
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) > 300


def test_a_choice_that_fails_ends_the_run_at_once() -> None:
    """As when Hypothesis wants no more of an example: threads that sleep must not be waited for."""

    class Enough(Exception):
        pass

    def choose(ready: Sequence[Ready]) -> Ready:
        if any(one.thread == "disk0" for one in ready):
            raise Enough  # somebody sleeps, and waits for the device
        return ready[0]

    fs = Reference(page_size=1024, block_size=512, maxphys=4096, io_threads=1, patience=None)
    task = Task(4, (1, 2, 3, 4), {name: [Call("load", (0,))] for name in ("user0", "user1")})
    began = time.monotonic()
    try:
        with pytest.raises(Enough):
            run_scheduled(fs, task, Chooser(choose, always=True))
    finally:
        fs.close()
    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize("end", ENDS)
def test_what_a_thread_raises_is_a_failure(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that does less and says nothing, and errors that no fault explains."""
    programs = {"user0": [Call("write", (0, (9,)))], "user1": [Call("fsync")]}
    task = Task(4, (1, 2, 3, 4), programs)

    def first(ready: Sequence[Ready]) -> Ready:
        """User0 as far as it goes, then user1; with nobody left the power, if there is one."""
        return min(ready, key=lambda one: one.thread.replace("power", "zzz"))

    def played() -> object:
        fs = Reference(page_size=1024, maxphys=4096, patience=2.0)
        try:
            return run_scheduled(fs, task, Chooser(first), end).failure
        finally:
            fs.close()

    assert played() is None
    right = File.pwrite

    def less(self: File, data: bytes, offset: int) -> int:
        return right(self, data, offset) // (2 if data[:2] == encode(9)[:2] else 1)

    def fails(self: File, data: bytes, offset: int) -> int:
        if data[:2] == encode(9)[:2]:
            raise OSError(errno.EIO, "for no reason")
        return right(self, data, offset)

    monkeypatch.setattr(File, "pwrite", less)
    failure = played()
    assert isinstance(failure, Broken) and "128 of 256 bytes" in str(failure)
    monkeypatch.setattr(File, "pwrite", fails)
    assert "for no reason" in str(played())
    monkeypatch.setattr(File, "pwrite", right)
    whole = File.fsync

    def hears(self: File) -> None:
        whole(self)
        if threading.current_thread().name == "user1":
            raise OSError(errno.EIO, "an fsync for no reason")

    monkeypatch.setattr(File, "fsync", hears)
    assert "an fsync for no reason" in str(played())


def test_a_schedule_is_told_by_lines_of_the_source() -> None:
    events = [
        Event(0, "a", "call", "load", {"op": "load"}),
        *(Event(n, "a", "load", at, {}) for n, at in enumerate([144, 144, 202, 252], 1)),
        Event(5, "b", "mutex_enter", "truncate", {}),
        *(Event(n, "a", "load", at, {}) for n, at in enumerate(range(300, 320), 6)),
        Event(26, "a", "return", "load", {"op": "load"}),
    ]
    first, second, third = schedule(events).splitlines()
    assert first == "  a             5 steps  begins load  lines 144, 202, 252  (last: load at 252)"
    assert second == "  b             1 steps  (last: mutex_enter at truncate)"
    assert "300, 301, 302, 303 ... 316, 317, 318, 319  ends load" in third


@pytest.mark.long
def test_hardened_for_long() -> None:
    search = Schedules({})
    found = search.hunt(looking(2500, derandomize=False))
    assert found is None, str(found)


# Findings, each with everything else mended; how many examples it took is in docs/testing.md.
@pytest.mark.long
@pytest.mark.parametrize(
    ("fix", "says"),
    [
        ("glock_held", "g_glock"),  # F1: a hang
    ],
)
def test_one_finding(fix: str, says: str) -> None:
    found = Schedules({"fixes": without(fix)}).hunt(looking(6000))
    assert found is not None and says in str(found)
