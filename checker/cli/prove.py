"""``prove``: the theorems of the model, a verdict for each."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import click

from .check import processors
from .library import Subject
from .outcome import EXIT_INCONCLUSIVE

EXIT_FAILS = 1
CLEAR = "\r\033[K"  # of a terminal: the line of progress


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Only say what there is to prove.")
@click.option("--workers", type=click.IntRange(1, 64), default=processors,
              show_default="the processors there are", help="Processes at the same time.")
@click.option("--effort", type=click.IntRange(1), default=None,
              help="z3's steps for one question, in thousands.")
@click.option("--smt2", "folder", type=click.Path(path_type=Path), default=None,
              help="Write the questions as SMT-LIB 2 into this folder, and decide nothing.")
@click.option("--check-with", "solver", type=click.Choice(["cvc5", "bitwuzla"]), default=None,
              help="Ask this solver too what z3 proved.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def prove(
    subject: Subject,
    names: tuple[str, ...],
    listing: bool,
    workers: int,
    effort: int | None,
    folder: Path | None,
    solver: str | None,
    as_json: bool,
) -> int:
    """Prove theorems (none named: all but those that take long).

    Each is proved, fails at some lines and values, or is inconclusive, in the order of --list.
    Those that are not decided within minutes (--list calls them long) are tried only by name.

    Exit status: 0 all proved; 1 one fails, or the other solver disagrees; 2 wrong usage; 3 one
    is inconclusive, or interrupted.
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
    second: Any = importlib.import_module(subject.proofs.replace(".library", ".second"))
    if solver is not None and not second.installed(solver):
        raise click.UsageError(f"{solver} is not installed: pip install genfscheck[solvers]")
    wanted = [name for name, theorem in known.items()
              if (name in names if names else not theorem.long)]
    options: dict[str, Any] = {} if effort is None else {"effort": 1000 * effort}
    shown = sys.stderr.isatty()
    if shown:
        options["progress"] = _progress
    decided: dict[str, tuple[Any, Any]] = {}
    printed = 0
    agreement = None
    interrupted = False
    try:
        for theorem, outcome in library.run(names, workers, **options):
            decided[theorem.name] = theorem, outcome
            while printed < len(wanted) and wanted[printed] in decided:
                if shown:
                    click.echo(CLEAR, nl=False, err=True)
                if not as_json:
                    _line(*decided[wanted[printed]])
                printed += 1
        if solver is not None:
            agreement = _compare(library, second, solver, list(decided.values()), workers)
    except KeyboardInterrupt:
        interrupted = True
    outcomes = [decided[name] for name in wanted if name in decided]
    if not as_json:
        for each in outcomes[printed:]:
            _line(*each)
    if as_json:
        click.echo(json.dumps([_entry(*each) for each in outcomes], indent=1))
    elif not names and any(theorem.long for theorem in known.values()):
        left = ", ".join(name for name, theorem in known.items() if theorem.long)
        click.echo(f"not tried, name them to try: {left}")
    if interrupted:
        click.echo(f"interrupted: {len(outcomes)} of {len(wanted)} theorems decided", err=True)
        return EXIT_INCONCLUSIVE
    if agreement is not None:
        click.echo(f"{solver}: {agreement}", err=True)
        for name in agreement.otherwise:
            click.echo(f"{solver} finds values that break {name}, which z3 proved", err=True)
        if agreement.otherwise:
            return EXIT_FAILS
    verdicts = {outcome.verdict for _, outcome in outcomes}
    if "fails" in verdicts:
        return EXIT_FAILS
    return EXIT_INCONCLUSIVE if "inconclusive" in verdicts else 0


def _compare(
    library: Any, second: Any, solver: str, outcomes: list[tuple[Any, Any]], workers: int
) -> Any:
    """What the other solver says of the questions of the theorems that z3 proved."""
    proved = [theorem.name for theorem, outcome in outcomes if outcome.verdict == "proved"]
    with tempfile.TemporaryDirectory() as place:
        if proved:
            library.export(proved, Path(place))
        return second.compare(solver, sorted(Path(place).iterdir()), workers)


def _progress(done: int, total: int) -> None:
    click.echo(f"{CLEAR}{done} of {total} parts", nl=done == total, err=True)


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
