"""Deciding theorems in several processes.

A large unit's obligations are dealt out in slices; when all of them are back its theorems are
judged.  Neither the number of processes nor the order in which they end matters.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from ..checker.symbolic.solve import Answer
from .source import source
from .theorem import BATCH, EFFORT, Outcome, Proving, Theorem, Unit, prove

Answers = dict[int, Answer]
Progress = Callable[[int, int], None]
# How the theorems are found again in another process: by a function of a module.
Library = Callable[[], tuple[Theorem, ...]]


def _proving(library: Library, unit: str, effort: int) -> Proving:
    found = next(each.unit for each in library() if each.unit.name == unit)
    return Proving(found, source(), effort)


def _slice(
    library: Library, unit: str, names: tuple[str, ...], effort: int, number: int
) -> tuple[Answers, float]:
    """Decide one slice of what the theorems need."""
    started = time.process_time()
    proving = _proving(library, unit, effort)
    chosen = [each for each in library() if each.name in names]
    needed = {proving.number(each) for theorem in chosen for each in proving.selected(theorem)}
    mine = dealt(sorted(needed), number, proving.unit.slices)
    proving.decide([proving.conditions.obligations[place] for place in mine])
    answers = {place: proving.answers[place] for place in mine}
    return answers, time.process_time() - started


def dealt(places: Sequence[int], number: int, slices: int) -> list[int]:
    """Every so many batches are a slice's."""
    return [place for start in range(number * BATCH, len(places), slices * BATCH)
            for place in places[start : start + BATCH]]


def _judge(
    library: Library, unit: str, names: tuple[str, ...], effort: int, answers: Answers
) -> list[Outcome]:
    """The verdicts; what has no answer yet is decided here."""
    started = time.process_time()
    proving = _proving(library, unit, effort)
    proving.answers.update(answers)
    outcomes = [prove(each, proving) for each in library() if each.name in names]
    return [replace(each, seconds=time.process_time() - started) for each in outcomes]


def _run(connection: Connection, function: Callable[..., object], *given: object) -> None:
    # An interrupt is for the process that hands out the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.send(function(*given))


class Processes:
    """A process for each task.  Leaving the block ends those that still run."""

    def __init__(self) -> None:
        self._context = get_context("spawn")
        self._running: dict[Connection, tuple[BaseProcess, Any]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, key: object, function: Callable[..., object], *given: object) -> None:
        """Call a module's function there."""
        here, there = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(there, function, *given), daemon=True)
        self._running[here] = (process, key)
        process.start()
        there.close()

    def ready(self) -> list[tuple[Any, Any]]:
        """Wait for results, each with its task's key.  RuntimeError: one ended without any."""
        found = []
        for each in wait(list(self._running)):
            assert isinstance(each, Connection)
            process, key = self._running[each]
            try:
                found.append((key, each.recv()))
            except EOFError:
                raise RuntimeError(f"no result from the process of {key}") from None
            del self._running[each]
            process.join()
        return found

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process, _key in self._running.values():
            if process.pid is not None:
                process.terminate()
                process.join()


@dataclass(frozen=True, slots=True)
class Task:
    """A call of a module's function, in a process of its own.

    ``seconds``: what it took on some machine, about: the longest begin first, so that no
    processor is left with a long one at the end.
    """

    key: Any
    function: Callable[..., object]
    given: tuple[object, ...]
    seconds: float = 0.0


class Work(Protocol):
    """Theorems to decide, as tasks."""

    def tasks(self) -> list[Task]:
        """What can begin at once."""
        ...

    def done(self, key: Any, result: Any) -> tuple[list[Task], list[tuple[Any, Outcome]]]:
        """A task's result: what can begin now, and what is decided."""
        ...

    def total(self) -> int:
        """How many tasks there will be."""
        ...


def together(
    works: Sequence[Work], workers: int = 1, progress: Progress | None = None
) -> Iterator[tuple[Any, Outcome]]:
    """Do all of it on so many processors; theorems come as they are decided."""
    waiting: list[tuple[Work, Task]] = [(work, task) for work in works for task in work.tasks()]
    total, done = sum(work.total() for work in works), 0
    with Processes() as processes:
        while waiting or len(processes):
            waiting.sort(key=lambda each: -each[1].seconds)  # (stable)
            while waiting and len(processes) < workers:
                work, task = waiting.pop(0)
                processes.start((work, task.key), task.function, *task.given)
            for (work, key), result in processes.ready():
                done += 1
                if progress is not None:
                    progress(done, total)
                further, decided = work.done(key, result)
                waiting += [(work, task) for task in further]
                yield from decided


class Arithmetic:
    """Theorems of :mod:`.theorem`.  ``seconds`` are those of processors, of the whole unit."""

    def __init__(self, library: Library, chosen: Sequence[Theorem], effort: int = EFFORT) -> None:
        self._library, self._effort = library, effort
        self._units: dict[str, Unit] = {each.unit.name: each.unit for each in chosen}
        self._names: dict[str, tuple[str, ...]] = {
            unit: tuple(each.name for each in chosen if each.unit.name == unit)
            for unit in self._units
        }
        self._by_name = {each.name: each for each in chosen}
        self._answers: dict[str, Answers] = {unit: {} for unit in self._units}
        self._left = {name: unit.slices for name, unit in self._units.items()}
        self._took = dict.fromkeys(self._units, 0.0)

    def total(self) -> int:
        # (a unit of one slice is decided where it is judged)
        return sum(1 + (unit.slices if unit.slices > 1 else 0) for unit in self._units.values())

    def tasks(self) -> list[Task]:
        found = []
        for name, unit in self._units.items():
            given = (self._library, name, self._names[name], self._effort)
            if unit.slices == 1:
                found.append(self._judged(name))
            found += [Task((name, number), _slice, (*given, number), unit.seconds / unit.slices)
                      for number in range(unit.slices if unit.slices > 1 else 0)]
        return found

    def _judged(self, name: str) -> Task:
        given = (self._library, name, self._names[name], self._effort, self._answers[name])
        seconds = self._units[name].seconds if self._units[name].slices == 1 else math.inf
        return Task((name, None), _judge, given, seconds)

    def done(
        self, key: tuple[str, int | None], result: Any
    ) -> tuple[list[Task], list[tuple[Any, Outcome]]]:
        unit, number = key
        if number is None:
            return [], [(self._by_name[each.name], each.after(self._took[unit]))
                        for each in result]
        found, took = result
        self._answers[unit] |= found
        self._took[unit] += took
        self._left[unit] -= 1
        return ([] if self._left[unit] else [self._judged(unit)]), []


def run(
    library: Library,
    chosen: Sequence[Theorem],
    workers: int = 1,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> Iterator[tuple[Theorem, Outcome]]:
    """Decide theorems of the arithmetic, each as its unit is done."""
    yield from together([Arithmetic(library, chosen, effort)], workers, progress)
