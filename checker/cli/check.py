"""``check``: explore scenarios, print each verdict as it comes, keep the traces."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..explore.native.build import NativeUnavailable, find_compiler
from ..explore.result import EngineName, Granularity
from ..lang.scenario import Scenario
from ..trace.data import check_writable, write_text
from ..trace.errors import DataError
from ..trace.names import line_ranges
from .bounded import check_bounded
from .library import Library, Subject
from .modes import Mode, check_mode, mode_options
from .outcome import EXIT_INCONCLUSIVE, EXIT_USAGE, Outcome, exit_status, report
from .pool import Done, Failed, Progress, run_jobs
from .work import Effort, Task, check_scenario

ENGINES = ("auto", "python", "native", "z3")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one run."""

    variant: str
    fixes: tuple[str, ...]
    effort: Effort
    workers: int
    json: Path | None
    traces: Path


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--variant", type=str, default=None, metavar="NAME",
              help="The revision as it is, or `hardened`: with every fix.")
@click.option("--fix", "fixes", multiple=True, metavar="NAME",
              help="Switch one fix on; may be repeated.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
@click.option("--granularity", type=click.Choice(("reduced", "fine")), default="reduced",
              show_default=True, help="What is one step; `fine` turns every reduction off.")
@click.option("--no-reduction", is_flag=True,
              help="Neither ample sets nor symmetry in the native engine: every order is tried.")
@click.option("--max-states", type=click.IntRange(min=1), default=100_000_000, show_default=True,
              help="Stop a scenario after this many states: inconclusive.")
@click.option("--max-memory", type=click.IntRange(min=64), default=2048, show_default=True,
              metavar="MIB", help="Stop a scenario whose process is larger: inconclusive.")
@click.option("--first", is_flag=True,
              help="End each scenario at the depth of its first violation.")
@click.option("--workers", type=click.IntRange(1, 256), default=None, metavar="N",
              help="Scenarios checked at the same time; what is left over are threads of the "
              "native engine.  [default: the number of processors]")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the results as JSON.")
@click.option("--traces", type=click.Path(path_type=Path), default=Path("traces"),
              metavar="DIR", show_default=True, help="Where the traces are kept.")
@click.option("--full", is_flag=True, help="Also the scenarios of the full tier.")
@click.option("--large", is_flag=True,
              help="Also those with more threads and pages, millions of states each.")
@mode_options
@click.pass_obj
def check(
    subject: Subject,
    names: tuple[str, ...],
    variant: str | None,
    fixes: tuple[str, ...],
    engine: Literal["auto", "python", "native", "z3"],
    granularity: Granularity,
    no_reduction: bool,
    max_states: int,
    max_memory: int,
    first: bool,
    workers: int | None,
    json_file: Path | None,
    traces: Path,
    full: bool,
    large: bool,
    mode: Mode,
) -> int:
    """Check scenarios, by name or by path of a TOML file; none: the standard suite."""
    library = Library(subject)
    chosen = library.chosen(names, full=full, large=large)
    workers = workers or processors()
    jobs = min(workers, max(1, len(chosen)))
    settings = Settings(
        variant=library.variant(variant),
        fixes=library.fixes(fixes),
        effort=Effort(
            granularity, _usable(engine), workers // jobs, max_states, max_memory, first, mode,
            not no_reduction,
        ),
        workers=jobs,
        json=json_file,
        traces=traces,
    )
    check_mode(mode, len(chosen), settings.effort.engine)
    if json_file is not None:
        check_writable(json_file)
    _prepare(traces)
    return Run(library, settings, chosen).execute()


def _usable(engine: EngineName | Literal["z3"]) -> EngineName | Literal["z3"]:
    """The engine asked for, or python where C cannot be compiled: that is said in one line."""
    if engine not in ("python", "z3"):
        try:
            find_compiler()
        except NativeUnavailable as error:
            click.echo(f"genfscheck: {error}; the python engine answers", err=True)
            return "python"
    return engine


def processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _prepare(directory: Path) -> None:
    """Refuse a directory that the traces could not be written to; it is made when needed."""
    if directory.exists() and not directory.is_dir():
        raise DataError(directory, "", "expected a directory for traces, found a file")
    nearest = directory.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise DataError(directory, "", "traces cannot be written there")


class Run:
    """One run over a list of scenarios."""

    def __init__(
        self, library: Library, settings: Settings, scenarios: Sequence[Scenario]
    ) -> None:
        self.library, self.settings, self.scenarios = library, settings, list(scenarios)
        self.outcomes: dict[int, Outcome] = {}
        self.progress: dict[int, dict[str, int]] = {}
        self.printed = 0
        self.begun = False
        self.started = time.monotonic()
        self.console = Console(highlight=False, soft_wrap=True)
        self.width = max([8, *(len(scenario.name) for scenario in self.scenarios)])

    def execute(self) -> int:
        """Check everything; the result is the exit status."""
        interrupted = False
        failure: Failed | None = None
        tasks = [
            Task(
                subject=self.library.subject,
                scenario=scenario,
                variant=self.settings.variant,
                fixes=self.settings.fixes,
                effort=self.settings.effort,
                traces=self.settings.traces,
            )
            for scenario in self.scenarios
        ]
        _ = self.library.source
        check_one = check_bounded if self.settings.effort.engine == "z3" else check_scenario
        events = run_jobs(check_one, tasks, self.settings.workers)
        try:
            with closing(events), self._live() as live:
                for event in events:
                    if isinstance(event, Failed) and event.usage:
                        failure = event
                        break
                    if not self.begun:
                        self._head()
                    self._take(event, live)
        except KeyboardInterrupt:
            interrupted = True
        if failure is not None:
            click.echo(f"genfscheck: {' '.join(failure.message.split())}", err=True)
            return EXIT_USAGE
        if not self.begun:
            self._head()
        if interrupted:
            self._abandon()
        return self._finish(interrupted)

    # ------------------------------------------------------------------ as they come

    def _take(self, event: Progress | Done[Outcome] | Failed, live: Live | None) -> None:
        match event:
            case Progress(index, numbers):
                self.progress[index] = numbers
            case Done(index, result):
                self.outcomes[index] = result
                self.progress.pop(index, None)
            case Failed(index, message):
                self.outcomes[index] = self._lost(index, message)
                self.progress.pop(index, None)
        self._print_ready(live)
        if live is not None:
            live.update(self._status(), refresh=True)

    def _print_ready(self, live: Live | None) -> None:
        """Print results in the order of the scenarios, each as soon as its turn comes."""
        console = live.console if live is not None else self.console
        while self.printed in self.outcomes:
            for line in self._row(self.outcomes[self.printed]):
                console.print(line)
            self.printed += 1
        sys.stdout.flush()

    def _live(self) -> Live:
        return Live(
            Text(""), console=self.console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )

    def _status(self) -> Text:
        """The progress line: only a terminal ever shows it."""
        if not self.console.is_terminal:
            return Text("")
        done = len(self.outcomes)
        width = 24
        filled = width * done // max(1, len(self.scenarios))
        bar = "=" * filled + " " * (width - filled)
        lines = [f"[{bar}] {done}/{len(self.scenarios)} scenarios"]
        for index, numbers in sorted(self.progress.items()):
            rate = numbers.get("rate", 0)
            lines.append(
                f"  {self.scenarios[index].name:{self.width}}  "
                f"{numbers.get('states', 0):>10,} states  {rate:>8,}/s  "
                f"queue {numbers.get('queue', 0):,}  depth {numbers.get('depth', 0):,}  "
                f"{numbers.get('megabytes', 0):,} MiB"
            )
        return Text("\n".join(lines))

    def _lost(self, index: int, message: str, interrupted: bool = False) -> Outcome:
        numbers = self.progress.get(index, {})
        if not interrupted and "\n" in message.strip():
            click.echo(message, err=True)
            message = "internal error: " + message.strip().splitlines()[-1]
        return Outcome(
            scenario=self.scenarios[index].name,
            verdict="inconclusive",
            states=numbers.get("states", 0),
            transitions=numbers.get("transitions", 0),
            seconds=0.0,
            complete=False,
            why=message,
        )

    def _abandon(self) -> None:
        """After an interrupt: what was running is inconclusive, what had not begun is left out."""
        for index in sorted(self.progress):
            self.outcomes.setdefault(index, self._lost(index, "interrupted", True))
        for index in sorted(self.outcomes):
            if index >= self.printed:
                for line in self._row(self.outcomes[index]):
                    self.console.print(line)

    # ------------------------------------------------------------------------ layout

    def _head(self) -> None:
        self.begun = True
        settings, count = self.settings, len(self.scenarios)
        fixes = f" with {', '.join(settings.fixes)}" if settings.fixes else ""
        self.console.print(
            f"{self.library.subject.name} {settings.variant}{fixes}: {_count(count, 'scenario')}, "
            f"{settings.effort.granularity} granularity, {settings.effort.engine} engine"
        )
        self.console.print(
            f"{'scenario':{self.width}}  {'verdict':12}  {'states':>10}  {'steps':>11}  "
            f"{'time':>7}  reduction"
        )

    def _row(self, outcome: Outcome) -> Iterator[Text]:
        style = {"holds": "green", "violated": "bold red", "inconclusive": "yellow"}
        row = Text(f"{outcome.scenario:{self.width}}  ")
        row.append(f"{outcome.verdict:12}", style=style[outcome.verdict])
        row.append(
            f"  {outcome.states:>10,}  {outcome.transitions:>11,}  {outcome.seconds:>6.1f}s"
            f"  {'+'.join(outcome.reductions) or 'none'}"
        )
        notes = [
            f"{violation.property}"
            + (f" at {line_ranges(violation.lines)}" if violation.lines else "")
            + f" in {violation.depth} steps: {violation.finding or 'NEW'}, {violation.trace}"
            for violation in outcome.violations
        ]
        if outcome.why:
            notes.append(outcome.why)
        yield row
        for note in notes:
            yield Text(f"    {note}")

    def _finish(self, interrupted: bool) -> int:
        outcomes = [self.outcomes[index] for index in sorted(self.outcomes)]
        self._findings(outcomes)
        self._summary(outcomes, interrupted)
        if self.settings.json is not None:
            document = report(
                outcomes, variant=self.settings.variant, engine=self._engine(outcomes),
                interrupted=interrupted,
            )
            write_text(self.settings.json, json.dumps(document, indent=1) + "\n")
        return EXIT_INCONCLUSIVE if interrupted else exit_status(outcomes)

    def _engine(self, outcomes: Sequence[Outcome]) -> str:
        """The engines that answered."""
        used = sorted({outcome.engine for outcome in outcomes})
        return "+".join(used) or self.settings.effort.engine

    def _findings(self, outcomes: Sequence[Outcome]) -> None:
        """The table of what was found, by cause."""
        seen: dict[str, list[str]] = {}
        for outcome in outcomes:
            for violation in outcome.violations:
                if violation.finding:
                    seen.setdefault(violation.finding, []).append(outcome.scenario)
        known = [entry for entry in self.library.findings.entries if entry.id in seen]
        if not known:
            return
        self.console.print("\nfindings")
        identity = max(len(entry.id) for entry in known)
        kind = max(len(entry.consequence) for entry in known)
        for entry in known:
            head = f"  {entry.id:{identity}}  {entry.consequence:{kind}}  "
            fix = f"; fix {entry.fix}" if entry.fix else ""
            text = f"{entry.title} (lines {line_ranges(entry.lines)}{fix})"
            for line in textwrap.wrap(
                text, 96, initial_indent=head, subsequent_indent=" " * len(head),
                break_on_hyphens=False,
            ):
                self.console.print(Text(line))

    def _summary(self, outcomes: Sequence[Outcome], interrupted: bool) -> None:
        counts = {
            word: sum(outcome.verdict == word for outcome in outcomes)
            for word in ("holds", "violated", "inconclusive")
        }
        new = sum(v.finding is None for outcome in outcomes for v in outcome.violations)
        causes = {v.finding for outcome in outcomes for v in outcome.violations if v.finding}
        parts = [
            f"{counts['holds']} hold",
            f"{counts['violated']} violated",
            f"{counts['inconclusive']} inconclusive",
        ]
        tail = f" in {time.monotonic() - self.started:.1f} s"
        if interrupted:
            tail += f", interrupted after {len(outcomes)} of {len(self.scenarios)}"
        self.console.print(f"\n{', '.join(parts)}{tail}")
        if causes or new:
            found = [_count(len(causes), "known finding")] if causes else []
            found += [_count(new, "violation") + " of no known finding"] if new else []
            self.console.print(f"{', '.join(found)}; to read a trace: genfscheck show TRACE")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
