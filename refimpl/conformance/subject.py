"""What the command line knows of the reference implementation (`checker.conform.subject`)."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...checker.conform.log import Entry, LogFile, save
from ...checker.conform.report import CONFORMS, DEPARTS, broken_properties, departure, verdict
from ...checker.conform.streams import streams
from ...checker.conform.subject import Load, Validated
from ...checker.conform.validate import Outcome
from ...checker.explore.errors import SetupError
from ...checker.lang.errors import ModelError, ScenarioError
from ...checker.lang.scenario import parse
from ...checker.trace.errors import DataError
from ..config import VARIANTS
from ..hook import Event
from . import compiled
from .binding import HIDDEN_CASES, HIDDEN_EVENTS, HIDDEN_LOCKS, BindingError
from .labels import hidden as hidden_steps
from .reference import replay as replay
from .runs import Bench, Run, execute
from .stress import GEOMETRIES, programs

_, HARDENED = VARIANTS
CALLS = 40  # of each thread in one run: some thousands of events
RATE = 0.002  # of steps before which a thread stops for a moment
PATIENCE = 60.0  # seconds that a thread may wait: the machine may have much else to do
TURN = 5.0  # seconds of runs on one geometry before the next one's turn
BENCHES = 8  # compiled geometries in memory, some 200 MB each


def hidden() -> Mapping[str, str]:
    """The steps and events that are compared with nothing, and why."""
    return {
        **{f"step {name}": why for name, why in hidden_steps().items()},
        **{f"event {name}": why for name, why in HIDDEN_EVENTS.items()},
        **{f"case {name}": why for name, why in HIDDEN_CASES.items()},
        **{f"lock {name}": why for name, why in HIDDEN_LOCKS.items()},
    }


def geometries() -> Mapping[str, str]:
    return {name: geometry.about for name, geometry in GEOMETRIES.items()}


@functools.lru_cache(BENCHES)
def _bench(text: str, variant: str, fixes: frozenset[str]) -> Bench:
    scenario = parse(text, "stress")
    stepper = compiled.stepper(scenario, variant, fixes)
    return Bench(scenario, stepper.program, stepper)


def known_fixes() -> frozenset[str]:
    """The names of all fixes."""
    from dataclasses import fields

    from ..config import Fixes

    return frozenset(field.name.replace("_", "-") for field in fields(Fixes))


def validate(log: LogFile, path: Path) -> Validated:
    """Follows a log in the model.  DataError for a log of another model."""
    digest = compiled.sources().digest
    if log.model != digest:
        raise DataError(
            path, "model", f"expected {digest}, found {log.model}: made with another model"
        )
    unknown = sorted(set(log.fixes) - known_fixes())
    if unknown:
        raise DataError(path, "fixes", f"no fix is called {unknown[0]!r}")
    hardened = set(log.fixes) == known_fixes()
    if log.variant not in VARIANTS or (log.variant == HARDENED) != hardened:
        raise DataError(path, "variant", f"{log.variant!r} does not go with these fixes")
    try:
        run = _run_of(log)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(path, "world", f"not this implementation's: {error}") from None
    try:
        bench = _bench(log.scenario_text, log.variant, frozenset(log.fixes))
    except (ScenarioError, ModelError, SetupError) as error:
        raise DataError(path, "scenario_text", str(error)) from None
    return _validated(bench, run, log)


def _run_of(log: LogFile) -> Run:
    return Run(
        [Event(one.number, one.thread, one.kind, one.at, one.values) for one in log.events],
        log.finished,
        tuple(log.world["first_pages"]),
        int(log.world["sector_of_data"]),
        log.died,
        [(str(name), int(element), int(value)) for name, element, value in log.world["finals"]],
    )


def _validated(bench: Bench, run: Run, log: LogFile, folder: Path | None = None) -> Validated:
    """What comes of a log; in ``folder`` it is kept unless there is nothing to say of it."""
    begun = time.process_time()
    error = ""
    outcome = Outcome()
    try:
        outcome = bench.validate(run)
    except BindingError as unknown:
        error = str(unknown)
    seconds = time.process_time() - begun
    said = DEPARTS if error else verdict(outcome)
    where = str(log.world.get("geometry", ""))
    found = Validated(
        where, log.seed, log.variant, said, len(log.events),
        min(outcome.consumed, len(log.events)), outcome.steps, seconds,
        () if error or outcome.whole else tuple(departure(bench.validator, outcome, log.events)),
        broken_properties(bench.validator, outcome), outcome.stopped, log.died, error,
    )  # fmt: skip
    if folder is None or (said == CONFORMS and not found.broken and not log.died):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{where or 'log'}-{log.seed}.log"
    save(log, path)
    return replace(found, kept=str(path))


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
        compiled.sources().digest,
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
    """Runs every geometry in turn, each run with a seed of its own."""
    shares = [_Share(load, number) for number in range(load.workers)]
    return streams(_runs, shares)


@dataclass(frozen=True)
class _Share:
    """What one of several processes does."""

    load: Load
    number: int

    @property
    def geometries(self) -> list[str]:
        """This process's; which come first depends on the seed."""
        names = self.load.geometries
        own = list(names[self.number :: self.load.workers] or names)
        first = self.load.seed % len(own)
        return own[first:] + own[:first]


def _runs(share: _Share) -> Iterator[Validated]:
    """One run on each geometry, then in turn some seconds of runs, as long as there is time."""
    load = share.load
    fixes = known_fixes() if load.variant == HARDENED else frozenset()
    left, turn = load.seconds, 0.0
    seeds = itertools.count(load.seed * 100_000 + share.number, load.workers)
    while left > 0:
        for name in share.geometries:
            geometry = GEOMETRIES[name]
            bench = _bench(geometry.scenario(load.threads), load.variant, fixes)
            until, before = left - turn, bench.stepper.written
            while True:
                begun = time.monotonic()
                seed = next(seeds)
                made = programs(bench, seed, CALLS, geometry)
                run = execute(
                    bench.plan, made, bench.window, seed, RATE, PATIENCE, bench.program
                )
                found = _validated(bench, run, log_of(bench, run, seed, name), load.folder)
                left -= time.monotonic() - begun
                yield found
                if left <= until or left <= 0:
                    break
            if bench.stepper.written > 1.1 * before:
                compiled.keep_written(bench.stepper, bench.scenario, load.variant, fixes)
            if turn and left <= 0:
                break
        turn = TURN
