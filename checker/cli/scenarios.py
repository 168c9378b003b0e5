"""``scenarios``: list them, with what each exercises."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from .library import Library, Subject, runs


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def scenarios(subject: Subject, names: tuple[str, ...], as_json: bool) -> int:
    """List the scenarios: what each asks, whom it lets run, which lines it exercises."""
    library = Library(subject)
    chosen = library.chosen(names, full=True)
    if as_json:
        document = [
            {
                "name": scenario.name,
                "tier": scenario.tier,
                "question": scenario.question,
                "exercises": list(scenario.exercises),
                "threads": runs(scenario),
                "file": scenario.file,
            }
            for scenario in chosen
        ]
        click.echo(json.dumps(document, indent=1))
        return 0
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("scenario", no_wrap=True)
    table.add_column("tier")
    table.add_column("question", overflow="fold", ratio=3)
    table.add_column("threads", overflow="fold", ratio=2)
    table.add_column("exercises", overflow="fold", ratio=2)
    for scenario in chosen:
        table.add_row(
            scenario.name,
            scenario.tier,
            scenario.question,
            ", ".join(runs(scenario).values()),
            ", ".join(scenario.exercises),
        )
    Console(highlight=False).print(table)
    return 0
