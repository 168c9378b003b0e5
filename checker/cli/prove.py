"""``prove``: the theorems of the model, a verdict for each."""

from __future__ import annotations

import importlib
import json
import textwrap
from pathlib import Path
from typing import Any

import click

from .library import Subject
from .outcome import EXIT_INCONCLUSIVE

EXIT_FAILS = 1


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Only say what there is to prove.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=None,
              help="Time for one question to z3.")
@click.option("--smt2", "folder", type=click.Path(path_type=Path), default=None,
              help="Write the questions as SMT-LIB 2 into this folder, and decide nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def prove(
    subject: Subject,
    names: tuple[str, ...],
    listing: bool,
    workers: int,
    seconds: float | None,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Prove theorems (none named: all but those that take long).

    Each is proved, fails at some lines and values, or is inconclusive.
    """
    if not subject.proofs:
        raise click.UsageError(f"{subject.name} has no theorems")
    library: Any = importlib.import_module(subject.proofs)
    known = {theorem.name: theorem for theorem in library.theorems()}
    for name in names:
        if name not in known:
            raise click.UsageError(
                f"unknown theorem {name!r}, expected one of: {', '.join(known)}"
            )
    if listing:
        for theorem in known.values():
            click.echo(f"{theorem.name} ({theorem.variant}{', long' if theorem.long else ''})")
            click.echo(textwrap.indent(textwrap.fill(theorem.statement, 92), "    "))
        return 0
    if folder is not None:
        click.echo(f"{library.export(names, folder)} questions in {folder}")
        return 0
    options = {} if seconds is None else {"seconds": seconds}
    outcomes = []
    for theorem, outcome in library.run(names, workers, **options):
        outcomes.append((theorem, outcome))
        if not as_json:
            _line(theorem, outcome)
    if as_json:
        click.echo(json.dumps([_entry(*each) for each in outcomes], indent=1))
    elif not names and any(theorem.long for theorem in known.values()):
        left = ", ".join(name for name, theorem in known.items() if theorem.long)
        click.echo(f"not tried, name them to try: {left}")
    verdicts = {outcome.verdict for _, outcome in outcomes}
    if "fails" in verdicts:
        return EXIT_FAILS
    return EXIT_INCONCLUSIVE if "inconclusive" in verdicts else 0


def _line(theorem: Any, outcome: Any) -> None:
    click.echo(
        f"{theorem.name:36} {theorem.variant:9} {outcome.verdict:13} {outcome.seconds:7.1f} s  "
        f"{outcome.obligations} obligations"
    )
    click.echo(textwrap.indent(textwrap.fill(theorem.statement, 92), "    "))
    click.echo(f"    sizes: {theorem.sizes}")
    for failure in outcome.failures:
        click.echo(textwrap.fill(f"fails at {failure}", 92, initial_indent="    ",
                                 subsequent_indent="        "))
    for each in outcome.open:
        click.echo(textwrap.fill(f"open: {each}", 92, initial_indent="    ",
                                 subsequent_indent="        "))


def _entry(theorem: Any, outcome: Any) -> dict[str, Any]:
    return {
        "name": theorem.name, "statement": theorem.statement, "variant": theorem.variant,
        "sizes": theorem.sizes, "verdict": outcome.verdict, "seconds": round(outcome.seconds, 3),
        "obligations": outcome.obligations, "open": list(outcome.open),
        "failures": [
            {"lines": list(failure.lines), "kind": failure.kind, "text": failure.text,
             "values": dict(failure.values)}
            for failure in outcome.failures
        ],
    }  # fmt: skip
