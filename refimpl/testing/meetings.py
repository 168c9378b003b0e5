"""Pairs of calls that meet in one small file: one is preempted at each of its places.

    python -m genfscheck.refimpl.testing.meetings --seconds 300

is for who changes what locks what.  A pass takes every pair of kinds of calls once: a thread
makes the first of them and is preempted, another makes the second meanwhile, and perhaps some
more.  The order of the pairs, what the calls are about, the state of the file, the geometry and
the end are drawn from the seed.  What fails is told and ends the search.
"""

from __future__ import annotations

import argparse
import errno
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import count, islice, product
from multiprocessing import get_context

from ..config import VARIANTS, Fixes
from .concurrent import Call, Fault, Task
from .programs import IO_ERROR, LAST, PROMISE, QUIET, REMOUNT, SAME_SIZE, tagged
from .records import RECORD
from .running import Run
from .systematic import explore

PAGE = 4  # records
FIXES = [field.name for field in fields(Fixes)]


@dataclass(frozen=True)
class State:
    """What the file holds before: how many records, and whether they were ever written.

    With ``cold`` nothing of it is in memory until one thread has done ``first``.
    """

    size: int
    written: bool = True
    cold: bool = True
    first: tuple[Call, ...] = ()


_STORES = Call("store", (0,)), Call("store", (PAGE,))
_LOADS = Call("load", (0,)), Call("load", (PAGE,))
_ALL = Call("msync", (0, 3 * PAGE, False))
TO_FLUSH = {
    "a dirty page": State(PAGE, first=_STORES[:1]),
    "two pages, one dirty": State(2 * PAGE, cold=False, first=_STORES[:1]),
    "two dirty pages": State(2 * PAGE, first=_STORES),
    "two clean pages": State(2 * PAGE, first=(*_STORES, _ALL)),  # that may be stored to
}
TO_FETCH = {
    "nothing": State(0),
    "a record": State(1),
    "a page": State(PAGE),
    "two pages": State(2 * PAGE),
    "a hole": State(2 * PAGE, written=False),
    "a hole in memory": State(2 * PAGE, written=False, first=_LOADS),
    "a hole that was cut": State(2 * PAGE, written=False, first=(Call("truncate", (3,)),)),
}
STATES = TO_FLUSH | TO_FETCH
FLUSHES = {"msync", "invalidate", "fsync", "dontneed"}

# Calls by kind.  Tags are given later: a count stands for them.
CALLS: dict[str, tuple[Call, ...]] = {
    "load": _LOADS,
    "store": _STORES,
    "read": (Call("read", (0, PAGE)),),
    "write": tuple(
        Call("write", span) for span in [(0, 1), (1, PAGE - 1), (0, PAGE), (PAGE, PAGE)]
    ),
    "truncate": tuple(Call("truncate", (size,)) for size in [0, 2, PAGE + 2, 2 * PAGE]),
    "msync": (_ALL, Call("msync", (0, PAGE, False))),
    "invalidate": (Call("msync", (0, 3 * PAGE, True)),),
    "fsync": (Call("fsync"),),
    "willneed": (Call("willneed", (0, 2 * PAGE)),),
    "dontneed": (Call("dontneed", (0, 2 * PAGE)),),
    "read_direct": (Call("read_direct", (0, PAGE)),),
    "write_direct": (Call("write_direct", (0, PAGE)),),
}
THIRD = Call("fsync_other")  # with a journal: it waits for all who are inside a transaction


def _faults(kinds: Sequence[str], end: str) -> list[Fault]:
    """Those after which these kinds of calls leave no doubt of what was written.

    A write that fails is told once, so nobody but one fsync may write, and the end comes with it.
    """
    found = [Fault("yield", 0), Fault("yield", 1), Fault("heap"), Fault("page")]
    short = Fault("short", errno=0, answers=IO_ERROR)
    if SAME_SIZE.issuperset(kinds):
        found.append(Fault("space", 1, answers=frozenset({errno.ENOSPC})))
        found.append(Fault("read", answers=IO_ERROR))
    if QUIET.issuperset(kinds):
        found.append(short)
    rest = set(kinds) - {"fsync"}
    if end == PROMISE and kinds.count("fsync") == 1 and (QUIET | {"store", "write"}) >= rest:
        found += 3 * [short, Fault("write", answers=IO_ERROR)]
    return found


@dataclass(frozen=True)
class Meeting:
    """A task, the machine that plays it (arguments of `Reference`), and the end."""

    task: Task
    machine: Mapping[str, object]
    end: str
    state: str

    def __str__(self) -> str:
        what = " and ".join("; ".join(map(str, calls)) for calls in self.task.programs.values())
        return f"{self.state}: {what}"

    def runs(self, **knobs: object) -> Iterator[Run]:
        """Every schedule in which the first thread is preempted once, or not at all."""
        return explore(self.task, {**self.machine, **knobs}, self.end, first="user0")


def meetings(seed: int = 0) -> Iterator[Meeting]:
    """Without end: pass after pass, each with every pair of kinds of calls once."""
    pairs = list(product(CALLS, repeat=2))
    for number in count():
        chance = random.Random(f"{seed} {number}")
        for one, two in chance.sample(pairs, len(pairs)):
            more = chance.choices(list(CALLS), k=chance.choice([0, 1, 2]))
            more += [chance.choice(["invalidate", "fsync"])] if chance.random() < 0.5 else []
            yield _meeting(chance, one, [two, *more])


def _meeting(chance: random.Random, one: str, others: Sequence[str]) -> Meeting:
    """``one`` is the kind of call that is preempted, the ``others`` are made meanwhile."""
    journal = chance.random() < 0.5
    programs = {
        "user0": [chance.choice(CALLS[one])],
        "user1": [chance.choice(CALLS[kind]) for kind in others],
    }
    if journal and chance.random() < 0.2:
        programs["user2"] = [THIRD]
    kinds = [call.name for calls in programs.values() for call in calls]
    fitting = TO_FLUSH if one in FLUSHES else TO_FETCH
    name = chance.choice([*(fitting if chance.random() < 0.85 else STATES)])
    state = STATES[name]
    tags = iter(range(1, 60000))
    first = tuple(next(tags) for _ in range(state.size)) if state.written else ()
    end = chance.choice([PROMISE, LAST] if "fsync" in kinds else [LAST, LAST, REMOUNT])
    after: list[tuple[str, Call]] = []
    if end != PROMISE and chance.random() < 0.4:
        after = [("user0", Call("store", (1,))), ("user1", Call("store", (2,)))]
    possible = _faults(kinds, end)
    fault = chance.choice(possible) if chance.random() < len(possible) / 20 else None
    block_size = chance.choice([512, 1024, 2048])
    task = Task(
        state.size,
        first,
        {user: [tagged(call, tags) for call in calls] for user, calls in programs.items()},
        cold=state.cold,
        before=[tagged(call, tags) for call in state.first],
        after=[(user, tagged(call, tags)) for user, call in after],
        fault=fault,
    )
    machine: dict[str, object] = {
        "size": 32 * 1024,
        "files": 2,
        "block_size": block_size,
        "page_size": PAGE * RECORD,
        "memory_pages": 64,
        "maxphys": 4096,
        "window_pages": 2,
        "array_on_stack": 1,
        "io_threads": 1,
        "journal": journal,
        "debug": True,
        "page_junk": b"\xee",
        "patience": 2.0,
    }
    return Meeting(task, machine, end, name)


def play(meeting: Meeting, knobs: Mapping[str, object]) -> tuple[int, str]:
    """How many schedules a meeting had until one failed, and the failure told."""
    schedules = 0
    for run in meeting.runs(**knobs):
        schedules += 1
        if run.failure is not None:
            return schedules, f"{meeting}, {meeting.end}\n{run}"
    return schedules, ""


@dataclass
class Search:
    """What a search did."""

    tasks: int = 0
    schedules: int = 0
    seconds: float = 0.0
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.tasks} tasks, {self.schedules} schedules, {self.seconds:.0f} seconds"


def search(
    seconds: float,
    seed: int = 0,
    workers: int = 1,
    tasks: int | None = None,
    knobs: Mapping[str, object] | None = None,
) -> Search:
    """Plays meetings until one fails, the time is over, or there were so many ``tasks``.

    Which one fails first depends, with several ``workers``, on none of them: they are taken
    in order.
    """
    began, found = time.monotonic(), Search()
    ahead: deque[Future[tuple[int, str]]] = deque()
    todo = islice(meetings(seed), tasks)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        while not found.failure:
            if time.monotonic() - began < seconds:
                more = islice(todo, 2 * workers - len(ahead))
                ahead.extend(pool.submit(play, meeting, knobs or {}) for meeting in more)
            if not ahead:
                break
            schedules, found.failure = ahead.popleft().result()
            found.tasks += 1
            found.schedules += schedules
        pool.shutdown(cancel_futures=True)
    found.seconds = time.monotonic() - began
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if nothing failed, 1 if something did."""
    parser = argparse.ArgumentParser(
        prog="python -m genfscheck.refimpl.testing.meetings", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--variant", choices=VARIANTS, default="hardened")
    parser.add_argument("--without", action="append", default=[], metavar="FIX", choices=FIXES)
    chosen = parser.parse_args(arguments)
    fixes = replace(Fixes.of(chosen.variant), **dict.fromkeys(chosen.without, False))
    found = search(chosen.seconds, chosen.seed, chosen.workers, knobs={"fixes": fixes})
    print(found)
    if found.failure:
        print(found.failure)
    return 1 if found.failure else 0


if __name__ == "__main__":
    sys.exit(main())
