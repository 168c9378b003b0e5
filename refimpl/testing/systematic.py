"""All schedules of a task with one preemption: no luck is needed, and nothing is drawn.

A thread runs until it waits or is preempted once, at any place where others could notice;
which thread begins is tried too.  Most mistakes of concurrent programs need no more than
that (Musuvathi and Qadeer 2007); `Drawn` goes further, at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from .concurrent import Task
from .priorities import Place, Prioritized
from .programs import POWER, REMOUNT
from .reference import Reference
from .running import Run, run_scheduled

TIMES = 3  # so often a thread is preempted before one and the same step of a loop


class Directed(Prioritized):
    """Preempts at given places; keeps those that it met."""

    def __init__(self, order: Sequence[str], preemptions: Sequence[Place] = ()) -> None:
        super().__init__(self._meets, arranged=lambda names: order)
        self._left = list(preemptions)
        self.met: list[Place] = []  # after the last preemption

    def _meets(self, place: Place) -> bool:
        if not self._left:
            self.met.append(place)
            return False
        if (place.thread, place.number) != (self._left[0].thread, self._left[0].number):
            return False
        self._left.pop(0)
        return True


def orders(names: Sequence[str], end: str = REMOUNT) -> list[list[str]]:
    """Each thread first once, the others behind it; with POWER the power is cut next."""
    found = [[*names[first:], *names[:first]] for first in range(len(names))]
    if end == POWER:
        found = [[order[0], "power", *order[1:]] for order in found]
    return found


def explore(
    task: Task,
    machine: Mapping[str, object],
    end: str = REMOUNT,
    preemptions: int = 1,
    first: str | None = None,
) -> Iterator[Run]:
    """Plays a task under every schedule with at most so many preemptions, on new machines.

    ``machine`` are arguments of `Reference`; ``first`` begins, or each thread in turn.  A
    thread is preempted before the first `TIMES` times that it takes a step of a kind, at a
    line, on a word or lock; if a loop takes the same step more often, not there.
    """
    for order in orders(sorted(task.programs), end):
        if first not in (None, order[0]):
            continue
        todo: list[tuple[Place, ...]] = [()]
        while todo:
            made = todo.pop(0)
            chooser = Directed(order, made)
            yield _play(task, machine, end, chooser)
            if len(made) < preemptions:
                todo += [(*made, place) for place in _distinct(chooser.met)]


def places(task: Task, machine: Mapping[str, object], end: str = REMOUNT) -> list[Place]:
    """Where the threads of a task can be preempted that have not been yet: for `Drawn`."""
    found: list[Place] = []
    for order in orders(sorted(task.programs), end):
        chooser = Directed(order)
        _play(task, machine, end, chooser)
        found += _distinct(chooser.met)
    return _distinct(found)


def _play(task: Task, machine: Mapping[str, object], end: str, chooser: Directed) -> Run:
    fs = Reference(**machine)  # type: ignore[arg-type]
    try:
        return run_scheduled(fs, task, chooser, end)
    finally:
        fs.close()


def _distinct(met: Sequence[Place]) -> list[Place]:
    found: list[Place] = []
    times: Counter[tuple[object, ...]] = Counter()
    for one in met:
        key = one.thread, one.kind, one.at, one.target
        times[key] += one.shared
        if one.shared and times[key] <= TIMES:
            found.append(one)
    return found
