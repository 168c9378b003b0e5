"""``findings``: what the checked revision allows to go wrong."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator

import click
from rich.console import Console
from rich.table import Table

from ..trace.findings import Finding
from ..trace.names import line_ranges
from .library import Library, Subject


@click.command()
@click.argument("name", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def findings(subject: Subject, name: str | None, as_json: bool) -> int:
    """List what was found, or explain one finding."""
    library = Library(subject)
    entries = library.findings.entries
    if name is not None:
        entry = library.findings.get(name)
        if entry is None:
            known = ", ".join(entry.id for entry in entries) or "none"
            raise click.UsageError(f"unknown finding {name!r}, expected one of: {known}")
        entries = (entry,)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1))
    elif name is not None:
        for line in _explain(entries[0]):
            click.echo(line)
    else:
        _table(entries)
    return 0


def _table(entries: tuple[Finding, ...]) -> None:
    if not entries:
        click.echo("no findings are recorded")
        return
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in ("id", "consequence", "lines", "property", "scenario", "fix"):
        table.add_column(column, no_wrap=column != "lines")
    for entry in entries:
        table.add_row(
            entry.id,
            entry.consequence,
            line_ranges(entry.lines),
            entry.property,
            entry.scenario,
            entry.fix or "-",
        )
    console = Console(highlight=False)
    console.print(table)
    console.print()
    for entry in entries:
        console.print(f"{entry.id}  {entry.title}", markup=False)
    console.print("\nTo read one: genfscheck findings ID; its trace: genfscheck show ID")


def _explain(entry: Finding) -> Iterator[str]:
    yield f"{entry.id}: {entry.title}"
    yield ""
    yield f"lines        {line_ranges(entry.lines)}"
    yield f"actors       {', '.join(entry.actors)}"
    yield f"property     {entry.property}"
    yield f"consequence  {entry.consequence}"
    yield from textwrap.wrap(entry.seen, 88, initial_indent="             ",
                             subsequent_indent="             ")
    yield f"scenario     {entry.scenario}"
    if entry.trace:
        yield f"trace        genfscheck show {entry.id}"
    if entry.fix:
        outside = f" (outside the checked file: {entry.fix_outside})" if entry.fix_outside else ""
        yield f"fix          --fix {entry.fix}{outside}"
    yield ""
    for paragraph in entry.explanation.split("\n\n"):
        yield from textwrap.wrap(" ".join(paragraph.split()), 88)
        yield ""
