"""``scenarios``: list them, with what each exercises."""

from __future__ import annotations

import json
import textwrap

import click

from .library import Library, Subject, runs


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def scenarios(subject: Subject, names: tuple[str, ...], as_json: bool) -> int:
    """List the scenarios: what each asks, whom it lets run, which lines it exercises."""
    library = Library(subject)
    chosen = library.chosen(names, large=True)
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
    for scenario in chosen:
        tier = "" if scenario.tier == "default" else f"  ({scenario.tier})"
        click.echo(f"{scenario.name}{tier}")
        click.echo(_wrapped(scenario.question))
        for name, calls in runs(scenario).items():
            click.echo(_wrapped(f"{name}: {calls}"))
        click.echo(_wrapped("exercises " + ", ".join(scenario.exercises)))
    return 0


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="        ")
