"""``coverage``: which lines of the checked file the model cites, and which the suite reaches."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from ..lang.scenario import Scenario
from ..lang.source import Function
from ..trace.names import line_ranges
from .library import Library, Subject
from .outcome import EXIT_INCONCLUSIVE
from .pool import Done, Failed, Report, run_jobs
from .work import covered_lines, search


@dataclass(frozen=True, slots=True)
class CoverageTask:
    """One scenario to explore for what it executes."""

    subject: Subject
    scenario: Scenario
    max_states: int


@dataclass(frozen=True, slots=True)
class Reached:
    """What one scenario executed: lines of the checked file, and lines of the model."""

    scenario: str
    lines: frozenset[int]
    statements: frozenset[tuple[str, int]]
    complete: bool


@dataclass(frozen=True, slots=True)
class RoutineCoverage:
    """One routine that encodes a range of lines.

    ``uncited`` are lines between its first and last citation that no statement cites;
    ``missed`` are statements of the model (its own line numbers) that nothing executed.
    """

    name: str
    first: int
    last: int
    cited: tuple[int, ...]
    uncited: tuple[int, ...]
    reached: tuple[int, ...]
    missed: tuple[tuple[int, str, tuple[int, ...]], ...]


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--full", is_flag=True, help="Also the scenarios of the full tier.")
@click.option("--cited", is_flag=True, help="Only what is cited: explores nothing.")
@click.option("--max-states", type=click.IntRange(min=1), default=5_000_000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def coverage(
    subject: Subject,
    names: tuple[str, ...],
    full: bool,
    cited: bool,
    max_states: int,
    workers: int,
    as_json: bool,
) -> int:
    """Seed lines cited, and statements of the model reached and never reached."""
    library = Library(subject)
    chosen = [] if cited else library.chosen(names, full=full)
    tasks = [CoverageTask(subject, scenario, max_states) for scenario in chosen]
    reached: list[Reached] = []
    with closing(run_jobs(reach, tasks, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                reached.append(event.result)
            elif isinstance(event, Failed):
                raise click.UsageError(f"{chosen[event.index].name}: {event.message}")
    table = list(routine_coverage(library, reached))
    if as_json:
        click.echo(json.dumps([_as_json(entry) for entry in table], indent=1))
    else:
        _print(table, explored=not cited)
    return 0 if all(entry.complete for entry in reached) else EXIT_INCONCLUSIVE


def reach(task: CoverageTask, tell: Report) -> Reached:
    """Explore one scenario and say what it executed."""
    library = Library(task.subject)
    program = library.compile(task.scenario, task.subject.variant, ())
    result = search(task.scenario, program, "reduced", task.max_states, tell)
    statements = {
        (thread.code[node].where.file, thread.code[node].where.line)
        for thread, covered in zip(program.threads, result.covered, strict=True)
        for node in covered
    }
    return Reached(
        task.scenario.name,
        frozenset(covered_lines(program, result)),
        frozenset(statements),
        result.complete,
    )


def routine_coverage(library: Library, reached: Sequence[Reached]) -> Iterator[RoutineCoverage]:
    """Every routine with a range of seed lines, in the order of those lines."""
    executed = frozenset[tuple[str, int]]().union(*(entry.statements for entry in reached))
    lines = frozenset[int]().union(*(entry.lines for entry in reached))
    functions = [
        function
        for kind in ("routine", "atomic", "pure", "actor")
        for function in library.source.functions(kind)
        if function.seed is not None
    ]
    for function in sorted(functions, key=lambda f: (f.seed or (0, 0), f.name)):
        assert function.seed is not None
        cited = sorted(set(_cited(function)))
        inside = [line for line in cited if function.seed[0] <= line <= function.seed[1]]
        gaps = set(range(inside[0], inside[-1] + 1)) - set(inside) if inside else set()
        yield RoutineCoverage(
            name=function.name,
            first=function.seed[0],
            last=function.seed[1],
            cited=tuple(inside),
            uncited=tuple(sorted(gaps)),
            reached=tuple(line for line in inside if line in lines),
            missed=tuple(_missed(function, executed)),
        )


def _statements(function: Function) -> Iterator[ast.stmt]:
    for node in ast.walk(function.node):
        if isinstance(node, ast.stmt) and node is not function.node:
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                yield node


def _cited(function: Function) -> Iterable[int]:
    for statement in _statements(function):
        yield from function.module.cited(statement)


def _missed(
    function: Function, executed: frozenset[tuple[str, int]]
) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    file = function.module.file
    for statement in sorted(_statements(function), key=lambda node: node.lineno):
        if (file, statement.lineno) not in executed:
            text = ast.unparse(statement).splitlines()[0]
            yield statement.lineno, text, function.module.cited(statement)


def _print(table: Sequence[RoutineCoverage], *, explored: bool) -> None:
    console = Console(highlight=False)
    shown = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    shown.add_column("routine", no_wrap=True)
    shown.add_column("lines", no_wrap=True)
    shown.add_column("cited", justify="right")
    shown.add_column("reached", justify="right")
    shown.add_column("lines between that nothing cites", overflow="fold")
    for entry in table:
        shown.add_row(
            entry.name,
            f"{entry.first}-{entry.last}",
            str(len(entry.cited)),
            str(len(entry.reached)) if explored else "-",
            line_ranges(entry.uncited) or "-",
        )
    console.print(shown)
    if not explored:
        return
    console.print("\nstatements of the model that nothing reached")
    count = 0
    for entry in table:
        for number, text, cited in entry.missed:
            count += 1
            console.print(
                f"  {entry.name}:{number}  [{line_ranges(cited)}]  {text}", markup=False
            )
    console.print(f"{count} never reached" if count else "  none")


def _as_json(entry: RoutineCoverage) -> dict[str, object]:
    return {
        "routine": entry.name,
        "first": entry.first,
        "last": entry.last,
        "cited": list(entry.cited),
        "uncited": list(entry.uncited),
        "reached": list(entry.reached),
        "missed": [
            {"line": number, "text": text, "cites": list(cited)}
            for number, text, cited in entry.missed
        ],
    }
