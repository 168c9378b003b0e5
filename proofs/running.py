"""Deciding the theorems of the arithmetic in several processes.

A large unit's obligations are dealt out in slices; when all of them are back its theorems are
judged.  Neither the number of processes nor the order in which they end matters.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

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


def run(
    library: Library,
    chosen: Sequence[Theorem],
    workers: int = 1,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> Iterator[tuple[Theorem, Outcome]]:
    """Decide theorems, each as its unit is done.

    ``seconds`` are those of processors, and of the whole unit.
    """
    units: dict[Unit, list[Theorem]] = {}
    for each in chosen:
        units.setdefault(each.unit, []).append(each)
    jobs = {unit.name: tuple(each.name for each in found) for unit, found in units.items()}
    by_name = {each.name: each for each in chosen}
    # (a unit of one slice is decided where it is judged)
    left = {unit.name: unit.slices if unit.slices > 1 else 0 for unit in units}
    total, done = sum(left.values()) + len(left), 0
    answers: dict[str, Answers] = {unit: {} for unit in jobs}
    seconds = dict.fromkeys(jobs, 0.0)
    # What to do next, a unit's slices together: None is its verdict.
    waiting: deque[tuple[str, int | None]] = deque(
        (unit, number) for unit, slices in left.items()
        for number in (range(slices) if slices else (None,))
    )
    with Processes() as processes:
        while waiting or len(processes):
            while waiting and len(processes) < workers:
                unit, number = waiting.popleft()
                task = (library, unit, jobs[unit], effort)
                if number is None:
                    processes.start((unit, True), _judge, *task, answers[unit])
                else:
                    processes.start((unit, False), _slice, *task, number)
            for (unit, judged), result in processes.ready():
                done += 1
                if progress is not None:
                    progress(done, total)
                if judged:
                    for outcome in result:
                        yield by_name[outcome.name], outcome.after(seconds[unit])
                    continue
                found, took = result
                answers[unit] |= found
                seconds[unit] += took
                left[unit] -= 1
                if not left[unit]:
                    waiting.appendleft((unit, None))
