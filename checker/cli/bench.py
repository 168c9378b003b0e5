"""``bench``: the engines beside each other and beside SPIN, in the same run."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from ..bench.compare import Ratio, Series, disagreements, rate, ratios
from ..bench.measure import WAYS, Bounds, Sample, Way, measure
from ..explore.native.build import NativeError, NativeUnavailable
from ..export import spin
from ..export.errors import ExportError
from ..lang.scenario import Scenario
from ..trace.data import check_writable, write_text
from .library import HARDENED, Library, Subject
from .outcome import EXIT_HOLDS, EXIT_VIOLATED
from .pool import Done, Failed, Report, run_jobs

SCHEMA = 1
_UNREDUCED = [way.name for way in WAYS if way.unreduced]


@dataclass(frozen=True, slots=True)
class _Task:
    subject: Subject
    scenario: Scenario
    variant: str
    way: Way
    bounds: Bounds
    first: bool


def _measured(task: _Task, tell: Report) -> Sample | str:
    """One measurement in a process of its own; why it could not be made, otherwise."""
    program = Library(task.subject).compile(task.scenario, task.variant, ())
    try:
        return measure(program, task.way, task.bounds, task.first)
    except (NativeUnavailable, NativeError, ExportError, spin.SpinError) as error:
        return str(error)


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--variant", type=str, default=HARDENED, metavar="NAME", show_default=True)
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True,
              help="Rounds; medians are reported.")
@click.option("--first", is_flag=True, help="Measure until the first violation instead.")
@click.option("--way", "ways", multiple=True, type=click.Choice([way.name for way in WAYS]),
              help="Only this tool and way of searching; may be repeated.")
@click.option("--python-states", type=click.IntRange(min=1000), default=50_000,
              show_default=True, help="Where the python engine ends; its rate is what counts.")
@click.option("--max-seconds", type=click.FloatRange(min=1.0), default=300.0, show_default=True,
              help="Where one measurement ends.")
@click.option("--max-memory", type=click.IntRange(min=64), default=6144, show_default=True,
              metavar="MIB")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write every sample and ratio.")
@click.pass_obj
def bench(
    subject: Subject,
    names: tuple[str, ...],
    variant: str,
    runs: int,
    first: bool,
    ways: tuple[str, ...],
    python_states: int,
    max_seconds: float,
    max_memory: int,
    json_file: Path | None,
) -> int:
    """Measure the engines on scenarios, beside SPIN on the exported model where it is installed.

    Exit status 1: two complete unreduced searches differ in their number of states.
    """
    library = Library(subject)
    variant = library.variant(variant)
    if json_file is not None:
        check_writable(json_file)
    chosen = library.chosen(names) if names else _typical(library)
    absent = spin.missing()
    if absent:
        click.echo(f"genfscheck: {absent}: measured without SPIN", err=True)
    wanted = [
        way for way in WAYS
        if (not ways or way.name in ways) and not (absent and way.tool == "spin")
    ]  # fmt: skip
    everything = []
    with tempfile.TemporaryDirectory(prefix="genfscheck-bench-") as builds:
        bounds = Bounds(python_states, max_seconds, max_memory << 20, Path(builds))
        for scenario in chosen:
            series = Series(scenario.name)
            for _ in range(runs):
                tasks = [
                    _Task(subject, scenario, variant, way, bounds, first)
                    for way in wanted
                    if way.name not in series.absent
                ]
                for event in run_jobs(_measured, tasks, 1):
                    _take(series, tasks, event)
            _print(series)
            everything.append(series)
    differences = [text for series in everything for text in disagreements(series, _UNREDUCED)]
    for text in differences:
        click.echo(f"genfscheck: {text}", err=True)
    if json_file is not None:
        document = _document(everything, variant, runs, first, differences)
        write_text(json_file, json.dumps(document, indent=1) + "\n")
    return EXIT_VIOLATED if differences else EXIT_HOLDS


def _typical(library: Library) -> list[Scenario]:
    """What is measured if nothing is named: the scenarios of the large tier marked for it."""
    return [entry for entry in library.scenarios if "benchmark" in entry.exercises]


def _take(series: Series, tasks: Sequence[_Task], event: object) -> None:
    match event:
        case Done(index, Sample() as sample):
            series.samples.setdefault(tasks[index].way.name, []).append(sample)
        case Done(index, str(reason)):
            series.absent[tasks[index].way.name] = reason
        case Failed(index, message):
            series.absent[tasks[index].way.name] = message.strip().splitlines()[-1]


def _print(series: Series) -> None:
    click.echo(f"\n{series.scenario}")
    click.echo(
        f"  {'':26}  {'states':>12}  {'transitions':>12}  {'search':>9}  {'states/s':>11}  "
        f"{'B/state':>7}  {'verdict':>9}  {'compile':>8}"
    )
    for way, samples in series.samples.items():
        one = samples[0]
        search, verdict, compiling = (
            series.middle(way, what) or 0.0
            for what in (lambda s: s.search, lambda s: s.verdict, lambda s: s.compile)
        )
        speed = series.middle(way, rate) or 0.0
        click.echo(
            f"  {way:26}  {one.states:>12,}  {one.transitions:>12,}  {search:>8.2f}s  "
            f"{speed:>11,.0f}  {one.stored / max(1, one.states):>7.1f}  {verdict:>8.2f}s  "
            f"{compiling:>7.2f}s" + ("" if one.complete else "  (not complete)")
        )
    for way, reason in series.absent.items():
        click.echo(f"  {way:26}  not measured: {reason}")
    for ratio in ratios(series):
        if ratio.value is not None:
            click.echo(_line(ratio))


def _line(ratio: Ratio) -> str:
    return (
        f"  {ratio.name:32} {ratio.value:8.2f}   ({ratio.what}, {ratio.of} : {ratio.to}; "
        f"aim {ratio.aim:g})"
    )


def _document(
    everything: Sequence[Series], variant: str, runs: int, first: bool, differences: list[str]
) -> dict[str, object]:
    """What ``--json`` writes."""
    return {
        "schema": SCHEMA,
        "variant": variant,
        "runs": runs,
        "until": "first violation" if first else "the end",
        "machine": {"processor": platform.machine(), "python": platform.python_version()},
        "differences": differences,
        "results": [
            {
                "scenario": series.scenario,
                "samples": {
                    way: [asdict(sample) for sample in samples]
                    for way, samples in series.samples.items()
                },
                "not measured": series.absent,
                "ratios": [asdict(ratio) for ratio in ratios(series)],
            }
            for series in everything
        ],
    }
