"""``coverage``: which lines of the checked file the model cites, and which the suite reaches.

A model may keep a table of the checked functions (``lines.toml`` anywhere in it): for each
its range of lines, and by reason the lines that carry no modelled code.  Without one, the
ranges are those that the model's routines declare.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ..lang.scenario import Scenario
from ..lang.source import Function
from ..trace.data import Fields, read_toml
from ..trace.names import line_ranges
from .library import Library, Subject
from .outcome import EXIT_INCONCLUSIVE
from .pool import Done, Failed, Report, run_jobs
from .work import Effort, covered_lines, search

_RANGE = re.compile(r"\s*(\d+)(?:-(\d+))?\s*$")


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
class Missed:
    """A statement of the model that nothing executed; ``reason`` where that is known to be so."""

    file: str
    line: int
    text: str
    cites: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One function of the checked file: its range, and the lines without code, by reason."""

    name: str
    first: int
    last: int
    exempt: tuple[tuple[str, tuple[int, ...]], ...] = ()
    unreachable: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def reason(self, cites: tuple[int, ...]) -> str:
        """Why nothing can reach a statement that cites these lines; empty if it is not known."""
        for reason, lines in self.unreachable:
            if cites and set(cites) <= set(lines):
                return reason
        return ""


@dataclass(frozen=True, slots=True)
class FunctionCoverage:
    """What the model makes of one function of the checked file.

    ``uncited`` are its lines that no statement cites and that the table does not excuse.
    """

    function: Checked
    cited: tuple[int, ...]
    uncited: tuple[int, ...]
    reached: tuple[int, ...]
    missed: tuple[Missed, ...]

    @property
    def refuted(self) -> tuple[int, ...]:
        """Lines that the table calls unreachable and that were reached all the same."""
        named = {line for _, lines in self.function.unreachable for line in lines}
        return tuple(sorted(named & set(self.reached)))


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
    _ = library.source
    functions = checked_functions(library)
    chosen = [] if cited else library.chosen(names, full=full)
    reached = reach_all(subject, chosen, max_states, workers)
    table = [function_coverage(library, function, reached) for function in functions]
    if as_json:
        click.echo(json.dumps([_as_json(entry) for entry in table], indent=1))
    else:
        _print(table, explored=not cited)
    return 0 if all(entry.complete for entry in reached) else EXIT_INCONCLUSIVE


# ---------------------------------------------------------------------- what is executed


def reach_all(
    subject: Subject, scenarios: Sequence[Scenario], max_states: int, workers: int
) -> list[Reached]:
    """Explore scenarios and say what each executed."""
    tasks = [CoverageTask(subject, scenario, max_states) for scenario in scenarios]
    reached: list[Reached] = []
    with closing(run_jobs(reach, tasks, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                reached.append(event.result)
            elif isinstance(event, Failed):
                raise click.UsageError(f"{scenarios[event.index].name}: {event.message}")
    return reached


def reach(task: CoverageTask, tell: Report) -> Reached:
    """Explore one scenario and say what it executed."""
    library = Library(task.subject)
    program = library.compile(task.scenario, task.subject.variant, ())
    result = search(program, Effort(max_states=task.max_states), tell)
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


# -------------------------------------------------------------------------- what is cited


def checked_functions(library: Library) -> list[Checked]:
    """The functions of the checked file, in the order of their lines."""
    tables = sorted(library.subject.root.rglob("lines.toml"))
    found: dict[str, Checked] = {}
    for path in tables:
        document = read_toml(path)
        for name in document.keys():
            found[name] = _checked(path, name, document.table(name))
    if not tables:
        for function in _encoding(library):
            first, last = function.seed or (0, 0)
            found[function.name] = Checked(function.name, first, last)
    return sorted(found.values(), key=lambda entry: (entry.first, entry.name))


def _checked(path: Path, name: str, table: Fields) -> Checked:
    lines = parse_ranges(table, "range", table.string("range"))
    parse_open = table.integers("open", [])
    exempt = _reasons(table, "exempt", name, lines)
    unreachable = _reasons(table, "unreachable", name, lines)
    table.done()
    if parse_open:
        exempt.append(("open", parse_open))
    return Checked(name, lines[0], lines[-1], tuple(exempt), tuple(unreachable))


def _reasons(
    table: Fields, key: str, name: str, lines: tuple[int, ...]
) -> list[tuple[str, tuple[int, ...]]]:
    """A table from reasons to lines of the function."""
    reasons = table.table(key, {})
    found = [
        (reason, parse_ranges(reasons, reason, reasons.string(reason)))
        for reason in reasons.keys()
    ]
    for reason, listed in found:
        outside = [line for line in listed if not lines[0] <= line <= lines[-1]]
        if outside:
            raise reasons.error(
                reason, f"expected lines of {name}, {lines[0]}-{lines[-1]}, found {outside[0]}"
            )
    return found


def parse_ranges(fields: Fields, key: str, text: str) -> tuple[int, ...]:
    """The lines of ``"74, 77-79"``."""
    found: list[int] = []
    for part in text.split(","):
        match = _RANGE.match(part)
        if match is None:
            raise fields.error(key, f"expected line numbers such as 74, 77-79, found {part!r}")
        first = int(match[1])
        found.extend(range(first, int(match[2] or first) + 1))
    return tuple(found)


def _encoding(library: Library) -> Iterator[Function]:
    for kind in ("routine", "atomic", "pure", "actor"):
        for function in library.source.functions(kind):
            if function.seed is not None:
                yield function


def function_coverage(
    library: Library, checked: Checked, reached: Sequence[Reached]
) -> FunctionCoverage:
    """What the model cites and the scenarios reach of one function."""
    executed = frozenset[tuple[str, int]]().union(*(entry.statements for entry in reached))
    lines = frozenset[int]().union(*(entry.lines for entry in reached))
    inside = range(checked.first, checked.last + 1)
    encoding = [
        function
        for function in _encoding(library)
        if function.seed and function.seed[0] in inside and function.seed[1] in inside
    ]
    cited = {line for function in encoding for line in _cited(function)} & set(inside)
    excused = {line for reason, listed in checked.exempt if reason != "open" for line in listed}
    return FunctionCoverage(
        checked,
        tuple(sorted(cited)),
        tuple(sorted(set(inside) - cited - excused)),
        tuple(sorted(cited & lines)),
        tuple(
            missed for function in encoding for missed in _missed(function, checked, executed)
        ),
    )


def _statements(function: Function) -> Iterator[ast.stmt]:
    """The statements of a routine as the checked revision has them: no fix's."""
    yield from _inside(function.node.body)


def _inside(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        fix = isinstance(node, ast.If) and _is_fix(node.test)
        if not fix:
            yield node
            yield from _inside(getattr(node, "body", ()))
        yield from _inside(getattr(node, "orelse", ()))


def _is_fix(test: ast.expr) -> bool:
    """Does the condition hold only with a fix switched on?"""
    match test:
        case ast.Call(ast.Name("fixed")):
            return True
        case ast.BoolOp(ast.And(), values):
            return any(_is_fix(value) for value in values)
    return False


def _cited(function: Function) -> Iterable[int]:
    for statement in _statements(function):
        yield from function.module.cited(statement)


def _missed(
    function: Function, checked: Checked, executed: frozenset[tuple[str, int]]
) -> Iterator[Missed]:
    file = function.module.file
    for statement in sorted(_statements(function), key=lambda node: node.lineno):
        if (file, statement.lineno) not in executed:
            text = ast.unparse(statement).splitlines()[0]
            cites = function.module.cited(statement)
            yield Missed(file, statement.lineno, text, cites, checked.reason(cites))


# ------------------------------------------------------------------------------- printing


def _print(table: Sequence[FunctionCoverage], *, explored: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    shown = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    shown.add_column("function", no_wrap=True)
    shown.add_column("lines", no_wrap=True)
    for heading in ("cited", "reached", "no code"):
        shown.add_column(heading, justify="right")
    shown.add_column("neither cited nor excused", overflow="fold")
    for entry in table:
        checked = entry.function
        excused = {line for _, lines in checked.exempt for line in lines}
        shown.add_row(
            checked.name,
            f"{checked.first}-{checked.last}",
            str(len(entry.cited)),
            str(len(entry.reached)) if explored else "-",
            str(len(excused)),
            line_ranges(entry.uncited) or "-",
        )
    console.print(shown)
    if not explored:
        return
    for heading, known in (("that nothing reached", False), ("that nothing can reach", True)):
        console.print(f"\nstatements of the model {heading}")
        shown_any = False
        for missed in (one for entry in table for one in entry.missed):
            if bool(missed.reason) == known:
                shown_any = True
                place = f"{missed.file}:{missed.line}  [{line_ranges(missed.cites)}]"
                why = f"  ({missed.reason})" if known else ""
                console.print(f"  {place}  {missed.text}{why}", markup=False)
        if not shown_any:
            console.print("  none")
    for entry in table:
        if entry.refuted:
            console.print(
                f"{entry.function.name}: called unreachable, and reached: "
                f"{line_ranges(entry.refuted)}"
            )


def _as_json(entry: FunctionCoverage) -> dict[str, object]:
    checked = entry.function
    return {
        "function": checked.name,
        "first": checked.first,
        "last": checked.last,
        "cited": list(entry.cited),
        "uncited": list(entry.uncited),
        "reached": list(entry.reached),
        "exempt": {reason: list(lines) for reason, lines in checked.exempt},
        "missed": [
            {
                "file": missed.file,
                "line": missed.line,
                "text": missed.text,
                "cites": list(missed.cites),
                "reason": missed.reason,
            }
            for missed in entry.missed
        ],
    }
