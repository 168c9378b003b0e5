"""``replay``: a trace, done again by a real implementation."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import cast

import click

from ..conform.reference import Reference, Unlike
from ..trace.data import check_writable, write_text
from ..trace.record import load
from ..trace.replay import reexecute
from .library import HARDENED, Library, Subject
from .outcome import EXIT_HOLDS, EXIT_INCONCLUSIVE

EXIT_DEPARTS = 1


@click.command()
@click.argument("trace", metavar="TRACE")
@click.option("--variant", default=None, metavar="NAME",
              help="Give the implementation this variant instead of the trace's.")
@click.option("--fix", "fixes", multiple=True, metavar="NAME",
              help="Give it this fix instead of the trace's; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Every step of every thread.")
@click.option("--json", "output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the result to a file, for a machine.")
@click.pass_obj
def replay(
    subject: Subject,
    trace: str,
    variant: str | None,
    fixes: tuple[str, ...],
    everything: bool,
    output: Path | None,
) -> int:
    """Drive the reference implementation's threads through a trace, and show the damage.

    TRACE is the path of a file that `check` saved, or the id of a finding.  The state is
    compared after every step.  Exit status: 0 it went as the trace says; 1 it departs from
    it; 2 bad input; 3 the implementation lacks what the scenario asks for, or whether the
    promise breaks with other fixes cannot be seen.
    """
    if not subject.conformance:
        raise click.UsageError(f"{subject.name} has no implementation to replay traces")
    reference = cast(Reference, importlib.import_module(subject.conformance))
    library = Library(subject)
    if output is not None:
        check_writable(output)
    path = library.trace_path(trace)
    stored = load(path)
    scenario, program = library.compile_trace(stored, path)
    executed = reexecute(program, stored, str(path))
    chosen = stored.fixes
    if variant is not None or fixes:
        chosen = library.fixes(fixes)
        if library.variant(variant) == HARDENED:
            chosen = library.known_fixes
    try:
        followed, lines, value = reference.replay(
            stored, scenario, program, executed, chosen, everything
        )
    except Unlike as error:
        click.echo(f"{stored.scenario}: {error}")
        return EXIT_INCONCLUSIVE
    click.echo("\n".join(lines))
    if output is not None:
        write_text(output, json.dumps(value, indent=1) + "\n")
    if followed is None:
        return EXIT_INCONCLUSIVE
    return EXIT_HOLDS if followed else EXIT_DEPARTS
