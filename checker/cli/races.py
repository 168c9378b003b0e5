"""``races``: fields whose accesses nothing common protects, with the lines."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import click

from ..explore.result import Race
from ..lang import ir
from ..lang.scenario import Scenario
from ..trace.names import line_ranges
from .library import Library, Subject
from .outcome import EXIT_INCONCLUSIVE
from .pool import Done, Failed, Report, run_jobs
from .work import Effort, search


@dataclass(frozen=True, slots=True)
class RaceTask:
    """One scenario to explore for races."""

    subject: Subject
    scenario: Scenario
    max_states: int


@dataclass(frozen=True, slots=True)
class Access:
    """One side of a race: the seed lines, or else the model's own line, and the direction."""

    place: str
    write: bool


@dataclass(frozen=True, slots=True)
class Races:
    """What one scenario showed: a field and the two accesses, for each race."""

    scenario: str
    races: tuple[tuple[str, Access, Access], ...]
    complete: bool


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--full", is_flag=True, help="Also the scenarios of the full tier.")
@click.option("--max-states", type=click.IntRange(min=1), default=5_000_000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def races(
    subject: Subject,
    names: tuple[str, ...],
    full: bool,
    max_states: int,
    workers: int,
    as_json: bool,
) -> int:
    """Accesses of two threads to one field that no lock or ownership keeps apart."""
    library = Library(subject)
    chosen = library.chosen(names, full=full)
    _ = library.source
    tasks = [RaceTask(subject, scenario, max_states) for scenario in chosen]
    found: dict[int, Races] = {}
    with closing(run_jobs(find_races, tasks, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                found[event.index] = event.result
            elif isinstance(event, Failed):
                raise click.UsageError(f"{chosen[event.index].name}: {event.message}")
    ordered = [found[index] for index in sorted(found)]
    merged = merge(ordered)
    if as_json:
        click.echo(json.dumps(merged, indent=1))
    else:
        for entry in merged:
            for line in _field(entry):
                click.echo(line)
        click.echo(f"{len(merged)} fields" if merged else "no races")
    return 0 if all(entry.complete for entry in ordered) else EXIT_INCONCLUSIVE


def find_races(task: RaceTask, tell: Report) -> Races:
    """Explore one scenario; the reduced search reports every access it had to split."""
    library = Library(task.subject)
    program = library.compile(task.scenario, task.subject.variant, ())
    result = search(program, Effort(max_states=task.max_states), tell)
    found: dict[tuple[str, Access, Access], None] = {}
    for race in result.races:
        one, two = sorted(_sides(program, race), key=_order)
        found[race.variable, one, two] = None
    return Races(task.scenario.name, tuple(found), result.complete)


def _sides(program: ir.Program, race: Race) -> Iterator[Access]:
    threads = {thread.name: thread for thread in program.threads}
    for name, instr, write in zip(race.threads, race.instrs, race.writes, strict=True):
        where = threads[name].code[instr].where
        place = line_ranges(where.lines) or f"{where.file}:{where.line}"
        yield Access(place, write)


def _order(access: Access) -> tuple[bool, str]:
    return (not access.write, access.place)


def merge(found: list[Races]) -> list[dict[str, Any]]:
    """Races by field, each pair of places once, with the scenarios that show it."""
    table: dict[str, dict[tuple[Access, Access], list[str]]] = {}
    for entry in found:
        for variable, one, two in entry.races:
            scenarios = table.setdefault(variable, {}).setdefault((one, two), [])
            if entry.scenario not in scenarios:
                scenarios.append(entry.scenario)
    return [
        {
            "variable": variable,
            "pairs": [
                {
                    "places": [one.place, two.place],
                    "writes": [one.write, two.write],
                    "scenarios": scenarios,
                }
                for (one, two), scenarios in sorted(
                    pairs.items(), key=lambda item: [_order(side) for side in item[0]]
                )
            ],
        }
        for variable, pairs in sorted(table.items())
    ]


def _field(entry: dict[str, Any]) -> Iterator[str]:
    """A field with the places that store to it and those that load it, unprotected."""
    yield entry["variable"]
    for word, write in (("stores", True), ("loads", False)):
        places: dict[str, None] = {}
        for pair in entry["pairs"]:
            for place, kind in zip(pair["places"], pair["writes"], strict=True):
                if kind is write:
                    places[place] = None
        if places:
            yield textwrap.fill(
                "; ".join(sorted(places, key=_by_number)), 96,
                initial_indent=f"    {word:7}", subsequent_indent=" " * 11,
            )
    scenarios = dict.fromkeys(name for pair in entry["pairs"] for name in pair["scenarios"])
    yield textwrap.fill(
        ", ".join(scenarios), 96, initial_indent="    in     ", subsequent_indent=" " * 11
    )


def _by_number(place: str) -> tuple[int, str]:
    digits = place.partition("-")[0].partition(",")[0]
    return (int(digits), place) if digits.isdigit() else (1 << 30, place)
