"""Other ways to search than breadth first in one go: their options, and how a task uses them."""

from __future__ import annotations

import functools
import signal
import types
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from ..explore import swarm
from ..explore.hashed import explore_hashed
from ..explore.kept import explore_kept
from ..explore.native.checkpoint import CheckpointError, Keeping, is_checkpoint
from ..explore.result import Granularity, ProgressCallback, Result
from ..explore.search import Bounds
from ..lang import ir
from ..trace.data import check_writable
from ..trace.errors import DataError


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the z3 engine looks: context switches and steps of a schedule, seconds in all."""

    switches: int | None = None
    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """How a scenario is searched; the default is the usual way.

    ``checkpoint`` is saved to every ``every`` seconds, and ``resume`` gone on from.  ``swarm``:
    walk at random instead.  ``fingerprints``: keep nothing else of a visited state.  ``limits``
    are those of the z3 engine.
    """

    checkpoint: Path | None = None
    every: float = 60.0
    resume: Path | None = None
    swarm: swarm.Effort | None = None
    fingerprints: bool = False
    limits: Limits = Limits()

    @property
    def kept(self) -> bool:
        return self.checkpoint is not None or self.resume is not None

    @property
    def usual(self) -> bool:
        return not self.kept and self.swarm is None and not self.fingerprints


_WALKS = swarm.Effort()
_SWITCHES = 4
_OPTIONS = (
    click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE",
                 help="Save the search of one scenario, now and then and when it is stopped."),
    click.option("--checkpoint-every", type=click.FloatRange(min=0), default=60.0,
                 metavar="SECONDS", show_default=True),
    click.option("--resume", type=click.Path(path_type=Path), metavar="FILE",
                 help="Go on from a checkpoint of the same scenario, options and model."),
    click.option("--storage", type=click.Choice(("lossless", "fingerprint")), default="lossless",
                 show_default=True, help="`fingerprint`: keep only 64 bits of a visited state."),
    click.option("--swarm", "walking", is_flag=True,
                 help="Walk at random instead of searching: never `holds`."),
    click.option("--walks", type=click.IntRange(min=1), default=None, metavar="N",
                 help=f"With --swarm: how many walks.  [default: {_WALKS.walks}]"),
    click.option("--steps", type=click.IntRange(min=1), default=None, metavar="N",
                 help=f"With --swarm: steps of a walk at most.  [default: {_WALKS.steps}]  "
                 "With --engine z3: steps of a schedule.  [default: any number]"),
    click.option("--switches", type=click.IntRange(min=0), default=None, metavar="N",
                 help="With --engine z3: context switches of a schedule at most.  "
                 f"[default: {_SWITCHES}]"),
    click.option("--seed", type=click.IntRange(0, (1 << 64) - 1), default=None, metavar="K",
                 help=f"With --swarm: other walks.  [default: {_WALKS.seed}]"),
    click.option("--seconds", type=click.FloatRange(min=0), default=None, metavar="S",
                 help="With --swarm or --engine z3: end after this time.  [default: none]"),
)  # fmt: skip


def mode_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of the modes, as one argument ``mode``."""

    @functools.wraps(command)
    def packed(
        *args: Any, checkpoint: Path | None, checkpoint_every: float, resume: Path | None,
        storage: str, walking: bool, walks: int | None, steps: int | None, seed: int | None,
        seconds: float | None, switches: int | None, **others: Any,
    ) -> int:  # fmt: skip
        if others["engine"] == "z3":
            usual = checkpoint is None and resume is None and storage == "lossless"
            if walking or not usual or walks is not None or seed is not None:
                raise click.UsageError("the z3 engine has no other modes, only --switches, "
                                       "--steps and --seconds")
            limits = Limits(_SWITCHES if switches is None else switches, steps, seconds)
            return command(*args, mode=Mode(limits=limits), **others)
        if switches is not None:
            raise click.UsageError("--switches is for --engine z3")
        given = {"walks": walks, "steps": steps, "seed": seed, "seconds": seconds}
        given = {name: value for name, value in given.items() if value is not None}
        if given and not walking:
            raise click.UsageError(f"--{next(iter(given))} is for --swarm")
        effort = replace(_WALKS, **given) if walking else None  # type: ignore[arg-type]
        mode = Mode(checkpoint, checkpoint_every, resume, effort, storage == "fingerprint")
        return command(*args, mode=mode, **others)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def check_mode(mode: Mode, scenarios: int, engine: str) -> None:
    """Refuse what cannot be: raises UsageError or DataError before anything is begun."""
    if mode.usual:
        return
    if engine == "python":
        raise click.UsageError("this needs the native engine, and so a C compiler")
    if mode.swarm is not None and mode.kept:
        raise click.UsageError("random walks leave nothing to save: --swarm has no checkpoints")
    if mode.fingerprints and (mode.kept or mode.swarm is not None):
        what = "checkpoints" if mode.kept else "--swarm"
        raise click.UsageError(f"--storage fingerprint does not go together with {what}")
    if not mode.kept:
        return
    if scenarios != 1:
        raise click.UsageError(f"a checkpoint is of one scenario, not of {scenarios}")
    path = mode.checkpoint
    if path is not None:
        check_writable(path)
        if path.exists() and not _is_checkpoint(path):
            raise DataError(path, "", "exists and is not a checkpoint: it is not overwritten")
        if path.exists() and path != mode.resume:
            raise DataError(
                path, "", "is the checkpoint of another run: go on with --resume, or remove it"
            )


def _is_checkpoint(path: Path) -> bool:
    try:
        return is_checkpoint(path)
    except OSError as error:
        raise DataError(path, "", f"cannot be read: {(error.strerror or '').lower()}") from None


@dataclass(frozen=True, slots=True)
class Subtask:
    """What a mode must know of a task: the names, and the usual bounds (memory in bytes)."""

    scenario: str
    variant: str
    fixes: tuple[str, ...]
    granularity: Granularity
    threads: int
    bounds: Bounds
    reduction: bool = True


def search_in_mode(
    mode: Mode, task: Subtask, program: ir.Program, progress: ProgressCallback
) -> Result:
    """Search a program in a mode that is not the usual one."""
    if mode.swarm is not None:
        return swarm.explore_swarm(
            program, mode.swarm, granularity=task.granularity, workers=task.threads,
            progress=progress,
        )  # fmt: skip
    if mode.fingerprints:
        return explore_hashed(
            program, granularity=task.granularity, workers=task.threads, bounds=task.bounds,
            progress=progress,
        )  # fmt: skip
    return _kept(mode, task, program, progress)


# ------------------------------------------------------------------------- checkpoints


def _kept(
    mode: Mode, task: Subtask, program: ir.Program, progress: ProgressCallback
) -> Result:
    def warn(line: str) -> None:
        click.echo(f"genfscheck: {line}", err=True)

    def ended(saved: bool) -> None:
        if saved:
            warn(f"the search is saved: go on with --resume {mode.checkpoint}")
        if keeping.stopped:  # nobody waits for the report
            raise SystemExit

    keeping = Keeping(
        task.scenario, task.variant, task.fixes, mode.checkpoint, mode.resume, mode.every,
        warn, ended,
    )  # fmt: skip
    try:
        with _stopping(keeping):
            return explore_kept(
                program, keeping, granularity=task.granularity, workers=task.threads,
                bounds=task.bounds, progress=progress, reduction=task.reduction,
            )  # fmt: skip
    except CheckpointError as error:
        raise DataError(error.file, "", error.message) from None


@contextmanager
def _stopping(keeping: Keeping) -> Generator[None, None, None]:
    """Let the signal that ends a job (see :mod:`.pool`) stop the search, to be saved first."""

    def stop(number: int, frame: types.FrameType | None) -> None:
        keeping.stopped = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
