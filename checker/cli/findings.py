"""``findings``: what the checked revision allows to go wrong."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import click

from ..lang.scenario import Scenario
from ..trace.findings import Finding
from ..trace.names import line_ranges
from ..trace.record import Trace, save
from .library import Library, Subject
from .outcome import EXIT_VIOLATED
from .pool import Done, Failed, Report, run_jobs
from .work import Effort, counterexample, search


@click.command()
@click.argument("name", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--rewrite", is_flag=True,
              help="Find them again and write their traces into the model's folder.")
@click.pass_obj
def findings(subject: Subject, name: str | None, as_json: bool, rewrite: bool) -> int:
    """List what was found, or explain one finding."""
    library = Library(subject)
    entries = library.findings.entries
    if name is not None:
        entry = library.findings.get(name)
        if entry is None:
            known = ", ".join(entry.id for entry in entries) or "none"
            raise click.UsageError(f"unknown finding {name!r}, expected one of: {known}")
        entries = (entry,)
    if rewrite:
        return _rewrite(library, entries)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1))
    elif name is not None:
        for line in _explain(entries[0]):
            click.echo(line)
    else:
        for line in _list(entries):
            click.echo(line)
    return 0


@dataclass(frozen=True, slots=True)
class FindTask:
    """One scenario to explore for findings."""

    subject: Subject
    scenario: Scenario


def find_again(task: FindTask, tell: Report) -> dict[str, Trace]:
    """The shortest trace of each finding that a scenario shows, by id."""
    library = Library(task.subject)
    program = library.compile(task.scenario, task.subject.variant, ())
    result = search(program, Effort(), tell)
    found: dict[str, Trace] = {}
    for violation in result.violations:
        trace = counterexample(library, task.scenario, program, violation, result.stops)
        known = library.findings.find(
            violation.property, trace.lines, task.scenario.name, trace.fixes
        )
        if known is None:
            continue
        best = found.get(known.id)
        if best is None or len(trace.steps) < len(best.steps):
            found[known.id] = trace
    return found


def _rewrite(library: Library, entries: tuple[Finding, ...]) -> int:
    names = list(dict.fromkeys(entry.scenario for entry in entries))
    tasks = [
        FindTask(library.subject, scenario) for scenario in library.chosen(names, full=True)
    ] if names else []
    _ = library.source
    found: dict[tuple[str, str], Trace] = {}
    with closing(run_jobs(find_again, tasks, 2)) as events:
        for event in events:
            if isinstance(event, Failed):
                raise click.UsageError(f"{names[event.index]}: {event.message}")
            if isinstance(event, Done):
                for identity, trace in event.result.items():
                    found[names[event.index], identity] = trace
    missing = 0
    for entry in entries:
        trace_found = found.get((entry.scenario, entry.id))
        if trace_found is None:
            missing += 1
            click.echo(f"{entry.id}: not found in {entry.scenario}")
            continue
        path = library.subject.root / (entry.trace or f"traces/{entry.id}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        save(trace_found, path)
        click.echo(f"{entry.id}: {len(trace_found.steps)} steps, {path}")
    return EXIT_VIOLATED if missing else 0


def _list(entries: tuple[Finding, ...]) -> Iterator[str]:
    if not entries:
        yield "no findings are recorded"
        return
    identity = max(len(entry.id) for entry in entries)
    kind = max(len(entry.consequence) for entry in entries)
    indent = " " * (identity + kind + 4)
    for entry in entries:
        head = f"{entry.id:{identity}}  {entry.consequence:{kind}}  "
        yield from textwrap.wrap(entry.title, 96, initial_indent=head, subsequent_indent=indent)
        facts = f"lines {line_ranges(entry.lines)}; {entry.property} in {entry.scenario}"
        if entry.fix:
            facts += f"; fix {entry.fix}"
        yield from textwrap.wrap(
            facts, 96, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
    yield ""
    yield "to read one: genfscheck findings ID; its trace: genfscheck show ID"


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
