"""Deciding the theorems of the arithmetic in several processes.

A unit's obligations are dealt out in slices; when all of them are back its theorems are
judged.  What is decided depends on z3's effort alone, neither on time nor on the processes.
"""

from __future__ import annotations

import functools
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from .source import source
from .theorem import BATCH, EFFORT, Outcome, Proving, Theorem, Unit, prove

SLICES = 8
Answers = dict[int, str]
Progress = Callable[[int, int], None]
# How the theorems are found again in another process: by a function of a module.
Library = Callable[[], tuple[Theorem, ...]]


@functools.lru_cache(maxsize=2)
def _proving(library: Library, unit: str, effort: int) -> Proving:
    found = next(each.unit for each in library() if each.unit.name == unit)
    return Proving(found, source(), effort)


def _slice(
    library: Library, unit: str, names: tuple[str, ...], number: int, effort: int
) -> tuple[Answers, float]:
    """Decide one slice of what the theorems need."""
    started = time.perf_counter()
    proving = _proving(library, unit, effort)
    chosen = [each for each in library() if each.name in names]
    needed = {proving.number(each) for theorem in chosen for each in proving.selected(theorem)}
    order = sorted(needed)
    mine = [place for start in range(number * BATCH, len(order), SLICES * BATCH)
            for place in order[start : start + BATCH]]
    proving.decide([proving.conditions.obligations[place] for place in mine])
    answers = {place: proving.answers[place] for place in mine}
    return answers, time.perf_counter() - started


def _judge(
    library: Library, unit: str, names: tuple[str, ...], answers: Answers, effort: int
) -> list[Outcome]:
    proving = _proving(library, unit, effort)
    proving.answers.update(answers)
    return [prove(each, proving) for each in library() if each.name in names]


def _quiet() -> None:
    """An interrupt is for the process that hands out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which an error or an interrupt here ends at once."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet)
    try:
        yield pool
    except BaseException:
        for process in list(pool._processes.values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run(
    library: Library,
    chosen: Sequence[Theorem],
    workers: int = 1,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> Iterator[tuple[Theorem, Outcome]]:
    """Decide theorems, each as its unit is done.  ``seconds`` are those of the whole unit."""
    units: dict[Unit, list[Theorem]] = {}
    for each in chosen:
        units.setdefault(each.unit, []).append(each)
    jobs = {unit.name: tuple(each.name for each in found) for unit, found in units.items()}
    by_name = {each.name: each for each in chosen}
    total, done = len(jobs) * (SLICES + 1), 0
    waiting: deque[tuple[str, int]] = deque(
        (unit, number) for unit in jobs for number in range(SLICES)
    )
    answers: dict[str, Answers] = {unit: {} for unit in jobs}
    left = dict.fromkeys(jobs, SLICES)
    seconds = dict.fromkeys(jobs, 0.0)
    slices: dict[Future[tuple[Answers, float]], str] = {}
    judging: dict[Future[list[Outcome]], str] = {}
    with processes(workers) as pool:
        while waiting or slices or judging:
            # No more than there are workers: a unit that is done is judged before others start.
            while waiting and len(slices) + len(judging) < workers:
                unit, number = waiting.popleft()
                job = pool.submit(_slice, library, unit, jobs[unit], number, effort)
                slices[job] = unit
            pending: list[Future[Any]] = [*slices, *judging]
            ready, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in ready:
                done += 1
                if progress is not None:
                    progress(done, total)
                if future in slices:
                    unit = slices.pop(future)
                    found, took = future.result()
                    answers[unit] |= found
                    seconds[unit] += took
                    left[unit] -= 1
                    if not left[unit]:
                        judge = pool.submit(
                            _judge, library, unit, jobs[unit], answers[unit], effort
                        )
                        judging[judge] = unit
                else:
                    unit = judging.pop(future)
                    for outcome in future.result():
                        yield by_name[outcome.name], outcome.after(seconds[unit])
