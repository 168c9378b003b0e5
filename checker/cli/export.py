"""``export``: a scenario as a model for another tool."""

from __future__ import annotations

from pathlib import Path

import click

from ..export.errors import ExportError
from ..export.promela import export as export_promela
from ..trace.data import check_writable, write_text
from .library import Library, Subject

TARGETS = ("promela",)


@click.command()
@click.argument("name", metavar="SCENARIO")
@click.option("--to", "target", type=click.Choice(TARGETS), required=True,
              help="The language of the model.")
@click.option("--variant", default=None, metavar="NAME",
              help="The revision: as it is, or with all fixes (hardened).")
@click.option("--fix", "fixes", multiple=True, metavar="NAME", help="Switch on one fix.")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE",
              help="Write to a file instead of the terminal.")
@click.pass_obj
def export(
    subject: Subject,
    name: str,
    target: str,
    variant: str | None,
    fixes: tuple[str, ...],
    output: Path | None,
) -> int:
    """Write a scenario as a Promela model, for SPIN: one transition for each fine step.

    SPIN stores the same states that `check --granularity fine` explores.
    """
    library = Library(subject)
    if output is not None:
        check_writable(output)
    (scenario,) = library.chosen((name,), full=True)
    program = library.compile(scenario, library.variant(variant), library.fixes(fixes))
    try:
        text = export_promela(program).text
    except ExportError as error:
        raise click.ClickException(f"{scenario.name}: {target}: {error}") from None
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
    return 0
