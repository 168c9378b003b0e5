"""What the command line knows of the reference implementation (`checker.conform.subject`)."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...checker.conform.log import Entry, LogFile
from ...checker.conform.subject import Load, Validated
from ...checker.conform.validate import Outcome
from ...checker.lang.source import Source
from ...checker.trace.errors import DataError
from ..hook import Event
from .binding import HIDDEN_EVENTS, HIDDEN_LOCKS, BindingError
from .labels import hidden as hidden_steps
from .reference import replay as replay
from .runs import Bench, Run, execute
from .stress import GEOMETRIES, compiled, programs, sources

_PACKAGE = __package__.rpartition(".")[0].rpartition(".")[0]
_MODEL = Path(__file__).resolve().parents[2] / "model"
CALLS = 40  # of each thread in one run: some thousands of events


def hidden() -> Mapping[str, str]:
    """The steps and events that are compared with nothing, and why."""
    return {
        **{f"step {name}": why for name, why in hidden_steps().items()},
        **{f"event {name}": why for name, why in HIDDEN_EVENTS.items()},
        **{f"lock {name}": why for name, why in HIDDEN_LOCKS.items()},
    }


def geometries() -> Mapping[str, str]:
    return {name: geometry.about for name, geometry in GEOMETRIES.items()}


@functools.cache
def _sources() -> Source:
    return sources(_MODEL, _PACKAGE)


@functools.lru_cache(maxsize=2)
def _bench(text: str, variant: str, fixes: frozenset[str]) -> Bench:
    return compiled(_sources(), text, variant, fixes)


def known_fixes() -> frozenset[str]:
    """The names of all fixes."""
    from dataclasses import fields

    from ..config import Fixes

    return frozenset(field.name.replace("_", "-") for field in fields(Fixes))


def validate(log: LogFile, path: Path) -> Validated:
    """Follows a log in the model.  DataError for a log of another model."""
    digest = _sources().digest
    if log.model != digest:
        raise DataError(
            path, "model", f"expected {digest}, found {log.model}: made with another model"
        )
    return _validated(_bench(log.scenario_text, log.variant, frozenset(log.fixes)), log)


def _validated(bench: Bench, log: LogFile) -> Validated:
    run = Run(
        [Event(one.number, one.thread, one.kind, one.at, one.values) for one in log.events],
        log.finished,
        tuple(log.world["first_pages"]),
        int(log.world["sector_of_data"]),
        log.died,
        [(str(name), int(element), int(value)) for name, element, value in log.world["finals"]],
    )
    begun = time.process_time()
    error = ""
    outcome = Outcome(len(log.events))
    try:
        outcome = bench.validate(run)
    except BindingError as unknown:
        error = str(unknown)
    return Validated(log, bench.validator, outcome, time.process_time() - begun, error)


def log_of(bench: Bench, run: Run, seed: int, geometry: str = "") -> LogFile:
    """A run as a file would keep it."""
    entries = [Entry(one.number, one.thread, one.kind, one.at, one.values) for one in run.events]
    world = {
        "geometry": geometry,
        "first_pages": list(run.first_pages),
        "sector_of_data": run.sector_of_data,
        "finals": [list(one) for one in run.finals],
    }
    return LogFile(
        _sources().digest,
        bench.scenario.text,
        bench.program.variant,
        bench.program.fixes,
        seed,
        entries,
        run.finished,
        run.died,
        world,
    )


def stress(load: Load) -> Iterator[Validated]:
    """Runs every geometry for its part of the time, each run with a seed of its own."""
    fixes = known_fixes() if load.variant == "hardened" else frozenset()
    for name in load.geometries:
        text = GEOMETRIES[name].scenario(load.threads)
        bench = _bench(text, load.variant, fixes)
        left = load.seconds / len(load.geometries)
        seed = load.seed * 1000
        while left > 0:
            begun = time.monotonic()
            made = programs(bench, seed, CALLS, GEOMETRIES[name].suspends)
            run = execute(bench.plan, made, bench.window, seed, 0.002, program=bench.program)
            left -= time.monotonic() - begun
            yield _validated(bench, log_of(bench, run, seed, name))
            seed += 1
