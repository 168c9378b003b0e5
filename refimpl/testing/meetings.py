"""Pairs of calls that meet in one small file: one is preempted at each of its places.

    python -m genfscheck.refimpl.testing.meetings --seconds 300

is for who changes what locks what.  A pass takes every pair of kinds of calls once: a thread
makes the first of them and is preempted, another makes the second meanwhile, and perhaps some
more.  The order of the pairs, what the calls are about, the state of the file, the geometry and
the end are drawn from the seed.  What fails is told and ends the search.
"""

from __future__ import annotations

import argparse
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
from .concurrent import Task
from .pairs import (
    CALLS,
    FLUSHES,
    WRITING,
    call,
    fault,
    machine,
    numbered,
    probes,
    state,
    third,
    without_second,
)
from .programs import LAST, PROMISE, REMOUNT, UNMOUNT, WRITES, tagged
from .running import Run
from .systematic import explore

FIXES = [field.name for field in fields(Fixes)]


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
            more = chance.choices(list(CALLS), k=chance.choice([0, 1, 1, 2, 3]))
            more += [chance.choice(FLUSHES)] if chance.random() < 0.5 else []
            yield _meeting(chance, one, [two, *more])


def _meeting(chance: random.Random, one: str, others: Sequence[str]) -> Meeting:
    """``one`` is the kind of call that is preempted, the ``others`` are made meanwhile."""
    file, knobs = state(chance), machine(chance)
    kinds = (one, *others)
    calls = without_second([call(chance, kind, file.size) for kind in kinds])
    programs = {"user0": calls[:1], "user1": calls[1:]}
    if chance.random() < 0.5:
        programs["user2"] = [third(chance, calls, file.size, bool(knobs["journal"]))]
    every = [one for program in programs.values() for one in program]
    block, journal = knobs["block_size"], bool(knobs["journal"])
    assert isinstance(block, int)
    trouble = fault(chance, every, file.size, block, journal)
    end = chance.choice([LAST, LAST, LAST, REMOUNT, UNMOUNT])
    if any(one.name == "fsync" for one in every) and chance.random() < 0.5:
        end = PROMISE
    if trouble is not None and trouble.kind in WRITES and sum(o.name in WRITING for o in every) > 1:
        # A write that fails is told to who started it; an fsync that waited for it hears nothing.
        end = LAST if end == PROMISE else end
    after = probes(chance, file.size) if chance.random() < 0.8 else []
    tags = iter(range(1, 60000))
    task = Task(
        file.made,
        tuple(next(tags) if one else 0 for one in file.written),
        {user: numbered(program, tags) for user, program in programs.items()},
        before=numbered(file.first, tags),
        after=[(user, tagged(one, tags)) for user, one in after if end in (LAST, REMOUNT)],
        fault=trouble,
    )
    return Meeting(task, knobs, end, file.name)


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
