"""``conform`` and ``stress``: a real program's logs, validated as behaviours of the model."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from ..conform.log import load
from ..conform.report import CONFORMS, DEPARTS, INCONCLUSIVE
from ..conform.subject import Conformance, Load, Validated
from ..trace.data import check_writable, write_text
from .library import HARDENED, Library, Subject
from .outcome import EXIT_HOLDS, EXIT_INCONCLUSIVE, EXIT_VIOLATED

SCHEMA = 1


def conformance(subject: Subject) -> Conformance:
    """The module that knows the implementation; a usage error where there is none."""
    if not subject.conformance:
        raise click.UsageError(f"{subject.name} has no implementation to hold against the model")
    return cast(Conformance, importlib.import_module(subject.conformance))


@dataclass(slots=True)
class _Tally:
    """What was validated so far."""

    logs: int = 0
    events: int = 0
    seconds: float = 0.0
    departed: int = 0
    given_up: int = 0
    died: int = 0
    broke: int = 0
    unsound: int = 0  # with all fixes nothing should break or end early

    def add(self, one: Validated) -> None:
        self.logs += 1
        self.events += one.events
        self.seconds += one.seconds
        self.departed += one.verdict == DEPARTS
        self.given_up += one.verdict == INCONCLUSIVE
        self.died += bool(one.died)
        self.broke += bool(one.broken)
        self.unsound += one.variant == HARDENED and bool(one.broken or one.died)

    @property
    def verdict(self) -> str:
        if self.departed:
            return DEPARTS
        return INCONCLUSIVE if self.given_up or not self.events else CONFORMS

    @property
    def status(self) -> int:
        if self.departed or self.unsound:
            return EXIT_VIOLATED
        return EXIT_HOLDS if self.verdict == CONFORMS else EXIT_INCONCLUSIVE

    def summary(self) -> str:
        rate = self.events / self.seconds if self.seconds else 0.0
        logs = f"{self.logs} log{'s' * (self.logs != 1)}"
        return (
            f"{self.verdict}: {logs}, {self.events:,} events, "
            f"validated at {rate:,.0f} events a second"
            + (f"; {self.died} ended early" if self.died else "")
            + (f"; in {self.broke} a property breaks" if self.broke else "")
        )


def _told(one: Validated) -> Iterator[str]:
    """A log's result in lines."""
    if one.error:
        yield f"{one.verdict}: {one.error}"
    elif one.verdict == CONFORMS:
        yield f"{one.verdict}: {one.events:,} events, {one.steps:,} steps of the model"
    else:
        yield f"{one.verdict}:"
        yield from one.departure
    for name, event in one.broken.items():
        yield f"  broken on the way: {name}, at event {event}"
    if one.died:
        yield f"  the program ended early: {one.died.splitlines()[0]}"
    if one.kept:
        yield f"  kept: {one.kept}"


def _record(one: Validated) -> dict[str, Any]:
    return {
        "geometry": one.where,
        "seed": one.seed,
        "variant": one.variant,
        "verdict": one.verdict,
        "events": one.events,
        "consumed": one.consumed,
        "error": one.error,
        "stopped": one.stopped,
        "broken": dict(one.broken),
        "died": one.died,
        "seconds": round(one.seconds, 3),
        "kept": one.kept,
    }


def _write(path: Path | None, tally: _Tally, records: list[dict[str, Any]]) -> None:
    if path is not None:
        report = {
            "schema": SCHEMA,
            "verdict": tally.verdict,
            "logs": tally.logs,
            "events": tally.events,
            "seconds": round(tally.seconds, 3),
            "results": records,
        }
        write_text(path, json.dumps(report, indent=2) + "\n")


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    for name, why in rows.items():
        yield f"{name:<{width}}  {why}"


@click.command()
@click.argument("log", required=False, type=click.Path(path_type=Path), metavar="LOG")
@click.option("--hidden", is_flag=True,
              help="Print what is compared with nothing, and why, instead.")
@click.option("--json", "report", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the result for a machine.")
@click.pass_obj
def conform(subject: Subject, log: Path | None, hidden: bool, report: Path | None) -> int:
    """Validate a saved log as a behaviour of the model.

    Exit status: 0 it is one; 1 it departs, or breaks a property or ends early with all fixes;
    2 bad input; 3 the search was given up.
    """
    module = conformance(subject)
    if hidden:
        for line in _table(module.hidden()):
            click.echo(line)
        return EXIT_HOLDS
    if log is None:
        raise click.UsageError("missing LOG, expected the path of a saved log")
    if report is not None:
        check_writable(report)
    one = module.validate(load(log), log)
    tally = _Tally()
    tally.add(one)
    for line in _told(one):
        click.echo(line)
    click.echo(tally.summary())
    _write(report, tally, [_record(one)])
    return tally.status


@click.command()
@click.option("--threads", type=click.IntRange(1, 6), default=4, show_default=True,
              help="Threads of users.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True,
              help="How long to run and to validate, what is compiled before not counted; the "
                   "log that is begun is finished.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--variant", type=str, default=HARDENED, metavar="NAME", show_default=True)
@click.option("--geometry", "geometries", multiple=True, metavar="NAME",
              help="Only this one; may be repeated.")
@click.option("--list", "listed", is_flag=True, help="Print the geometries instead.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True,
              help="Processes that share the geometries.")
@click.option("--save", "folder", type=click.Path(path_type=Path, file_okay=False),
              default=Path("logs"), metavar="DIRECTORY", show_default=True,
              help="Where logs are kept that depart, break a property or end early.")
@click.option("--json", "report", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the results for a machine.")
@click.pass_obj
def stress(
    subject: Subject,
    threads: int,
    seconds: float,
    seed: int,
    variant: str,
    geometries: tuple[str, ...],
    listed: bool,
    workers: int,
    folder: Path,
    report: Path | None,
) -> int:
    """Run random mixes of calls on real threads, and validate what they logged.

    Exit status: 0 every log is a behaviour of the model; 1 one departs, or breaks a property or
    ends early with all fixes; 3 inconclusive.
    """
    module = conformance(subject)
    known = module.geometries()
    if listed:
        for line in _table(known):
            click.echo(line)
        return EXIT_HOLDS
    for name in geometries:
        if name not in known:
            raise click.UsageError(
                f"unknown geometry {name!r}, expected one of: {', '.join(known)}"
            )
    if report is not None:
        check_writable(report)
    chosen = Library(subject).variant(variant)
    tally = _Tally()
    records: list[dict[str, Any]] = []
    load = Load(threads, seconds, seed, chosen, geometries or tuple(known), workers, folder)
    by_place: dict[str, _Tally] = {}
    interrupted = False
    try:
        for one in module.stress(load):
            tally.add(one)
            by_place.setdefault(one.where, _Tally()).add(one)
            records.append(_record(one))
            click.echo(f"{one.where} seed {one.seed}: " + "\n".join(_told(one)))
    except KeyboardInterrupt:  # what was validated is told all the same
        click.echo("genfscheck: interrupted", err=True)
        interrupted = True
    for where, part in by_place.items():
        click.echo(f"{where}: {part.summary()}")
    click.echo(tally.summary())
    _write(report, tally, records)
    return EXIT_INCONCLUSIVE if interrupted and not tally.departed else tally.status
