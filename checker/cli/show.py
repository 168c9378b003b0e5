"""``show``: a trace, re-executed and told; or the intermediate representation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from ..trace.data import check_writable, read_text, write_text
from ..trace.formats import as_dot, as_itf, as_json, as_mermaid
from ..trace.html import as_html
from ..trace.listing import list_program, list_thread, routines
from ..trace.names import line_ranges
from ..trace.record import Trace, load
from ..trace.replay import Replay, reexecute
from ..trace.story import Story, tell
from ..trace.text import read_source, render
from .library import Library, Subject, runs

FORMATS = ("text", "json", "itf", "html", "mermaid", "dot")


@click.command()
@click.argument("trace", required=False, metavar="TRACE")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--source", type=click.Path(path_type=Path), metavar="FILE",
              help="Print the lines of this C file beside the steps.")
@click.option("--all", "everything", is_flag=True,
              help="Every step, also those that changed nothing shared.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write to a file instead of the terminal.")
@click.option("--ir", metavar="ROUTINE|SCENARIO",
              help="Print the intermediate representation instead of a trace.")
@click.option("--variant", default=None, metavar="NAME", help="With --ir: the variant.")
@click.option("--fix", "fixes", multiple=True, metavar="NAME", help="With --ir: a fix.")
@click.pass_obj
def show(
    subject: Subject,
    trace: str | None,
    form: str,
    source: Path | None,
    everything: bool,
    output: Path | None,
    ir: str | None,
    variant: str | None,
    fixes: tuple[str, ...],
) -> int:
    """Print a trace: the path of a file that `check` saved, or the id of a finding."""
    library = Library(subject)
    if output is not None:
        check_writable(output)
    if ir is not None:
        if trace is not None:
            raise click.UsageError("--ir takes the place of TRACE, expected only one of them")
        lines: Iterable[str] = _listing(library, ir, variant, fixes)
    elif trace is None:
        raise click.UsageError("missing TRACE, expected the path of a trace or a finding's id")
    else:
        path = library.trace_path(trace)
        stored = load(path)
        cited = None if source is None else read_source(read_text(source))
        story, replay = _told(library, stored, path)
        lines = _rendered(form, story, replay, everything, cited)
    text = "\n".join(lines)
    if output is None:
        click.echo(text)
    else:
        write_text(output, text + "\n")
    return 0


def _told(library: Library, stored: Trace, path: Path) -> tuple[Story, Replay]:
    scenario, program = library.compile_trace(stored, path)
    replay = reexecute(program, stored, str(path))
    story = tell(
        stored,
        replay,
        findings=library.findings,
        runs=runs(scenario),
        question=scenario.question,
    )
    return story, replay


def _rendered(
    form: str, story: Story, replay: Replay, everything: bool, source: Mapping[int, str] | None
) -> Iterable[str]:
    match form:
        case "json":
            return [as_json(story)]
        case "itf":
            return [as_itf(story, replay)]
        case "mermaid":
            return as_mermaid(story, everything=everything)
        case "dot":
            return as_dot(story, everything=everything)
        case "html":
            return as_html(story, everything=everything, source=source)
        case _:
            return render(story, everything=everything, source=source)


def _listing(
    library: Library, name: str, variant: str | None, fixes: tuple[str, ...]
) -> Iterable[str]:
    """A whole scenario, or one routine in the first scenario that runs it."""
    chosen_variant, chosen_fixes = library.variant(variant), library.fixes(fixes)
    named = library.find(name)
    if named is not None:
        program = library.compile(named, chosen_variant, chosen_fixes)
        return list_program(program)
    known: dict[str, None] = {}
    for scenario in library.scenarios:
        program = library.compile(scenario, chosen_variant, chosen_fixes)
        inside = routines(program)
        known.update(dict.fromkeys(inside))
        if name not in inside:
            continue
        for thread in program.threads:
            lines = list(list_thread(program, thread, name))
            if len(lines) > 1:
                passed = {
                    line
                    for instr in thread.code
                    if instr.where.routine == name
                    for line in instr.where.lines
                }
                cites = f"  cites {line_ranges(tuple(passed))}" if passed else ""
                return [f"{name} in scenario {scenario.name}{cites}", *lines]
    raise click.UsageError(
        f"unknown routine or scenario {name!r}, expected a scenario or one of: "
        + ", ".join(sorted(known))
    )
