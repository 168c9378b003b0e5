"""``races``: fields whose accesses nothing common protects, with the lines."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import click

from ..explore.result import Race
from ..lang.scenario import Scenario
from ..trace.names import line_ranges
from .library import Library, Subject
from .outcome import EXIT_INCONCLUSIVE
from .pool import Done, Failed, Report, run_jobs
from .work import search


@dataclass(frozen=True, slots=True)
class RaceTask:
    """One scenario to explore for races."""

    subject: Subject
    scenario: Scenario
    max_states: int


@dataclass(frozen=True, slots=True)
class Races:
    """What one scenario showed."""

    scenario: str
    races: tuple[Race, ...]
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
            click.echo(f"{entry['variable']}")
            for pair in entry["pairs"]:
                kinds = " and ".join(
                    f"{'writes' if write else 'reads'} at {line_ranges(tuple(lines)) or '?'}"
                    for write, lines in zip(pair["writes"], pair["lines"], strict=True)
                )
                click.echo(f"    {kinds}  ({', '.join(pair['scenarios'])})")
        click.echo(f"{len(merged)} fields" if merged else "no races")
    return 0 if all(entry.complete for entry in ordered) else EXIT_INCONCLUSIVE


def find_races(task: RaceTask, tell: Report) -> Races:
    """Explore one scenario; the reduced search reports every access it had to split."""
    library = Library(task.subject)
    program = library.compile(task.scenario, task.subject.variant, ())
    result = search(program, "reduced", task.max_states, tell)
    return Races(task.scenario.name, tuple(result.races), result.complete)


def merge(found: list[Races]) -> list[dict[str, Any]]:
    """Races by field, each pair of places once, with the scenarios that show it."""
    table: dict[str, dict[tuple[tuple[tuple[int, ...], bool], ...], list[str]]] = {}
    for entry in found:
        for race in entry.races:
            sides = sorted(zip(race.lines, race.writes, strict=True))
            key = tuple(sides)
            scenarios = table.setdefault(race.variable, {}).setdefault(key, [])
            if entry.scenario not in scenarios:
                scenarios.append(entry.scenario)
    return [
        {
            "variable": variable,
            "pairs": [
                {
                    "lines": [list(lines) for lines, _ in key],
                    "writes": [write for _, write in key],
                    "scenarios": scenarios,
                }
                for key, scenarios in sorted(pairs.items())
            ],
        }
        for variable, pairs in sorted(table.items())
    ]
