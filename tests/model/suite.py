"""The suite of scenarios, explored once a process, and what is expected of it.

``expected.json`` says what every scenario gives, as 1.18 and with all fixes.  After a change
of the model, or of the reduction, look at what changed and write it anew::

    python tests/model/suite.py --rewrite

With ``--add`` only scenarios that it does not have yet are explored; the others stay, and those
that are gone go.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypedDict

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.scenario import Scenario

LIBRARY = Library(SUBJECT)
VARIANTS = (SUBJECT.variant, HARDENED)
SCENARIOS = {scenario.name: scenario for scenario in LIBRARY.chosen((), full=True)}
EXPECTED = Path(__file__).with_name("expected.json")


class Broken(TypedDict):
    """One cause of a violation."""

    kind: str
    property: str
    lines: list[int]


class Outcome(TypedDict):
    """What one variant of a scenario gives."""

    states: int
    transitions: int
    violations: list[Broken]


Table = dict[str, dict[str, Outcome]]


@functools.cache
def compiled(name: str, variant: str) -> ir.Program:
    return LIBRARY.compile(SCENARIOS[name], variant, ())


@functools.cache
def explored(name: str, variant: str) -> Result:
    """A reduced search without bounds."""
    return explore(compiled(name, variant))


def outcome(result: Result) -> Outcome:
    """A result as the table has it; causes that differ in nothing that it tells are one."""
    found = sorted({(one.kind, one.property, one.lines) for one in result.violations})
    return {
        "states": result.states,
        "transitions": result.transitions,
        "violations": [
            {"kind": kind, "property": name, "lines": list(lines)} for kind, name, lines in found
        ],
    }


def lines_reached(name: str, variant: str) -> set[int]:
    """The seed lines of the instructions that some thread executed."""
    program, result = compiled(name, variant), explored(name, variant)
    return {
        line
        for thread, covered in zip(program.threads, result.covered, strict=True)
        for at in covered
        for line in thread.code[at].where.lines
    }


@functools.cache
def expected() -> Table:
    table: Table = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    return table


def by_size(scenarios: Iterable[Scenario]) -> list[str]:
    """Names of scenarios, those with the fewest expected states first."""

    def states(name: str) -> int:
        return sum(entry["states"] for entry in expected().get(name, {}).values())

    known = [scenario.name for scenario in scenarios if scenario.name in expected()]
    return sorted(known, key=lambda name: (states(name), name))


def tiers(quick: int) -> list[object]:
    """Every scenario as a parameter; all but the smallest ``quick`` are of the long tier."""
    first = set(by_size(LIBRARY.scenarios)[:quick])
    return [
        pytest.param(name, marks=() if name in first else pytest.mark.long)
        for name in sorted(SCENARIOS)
    ]


def _job(job: tuple[str, str]) -> Outcome:
    return outcome(explored(*job))


def rewrite(kept: Table) -> None:
    """Explore what is not kept, and write everything after each scenario."""
    jobs = [(name, variant) for name in sorted(SCENARIOS.keys() - kept) for variant in VARIANTS]
    table: Table = {name: entry for name, entry in kept.items() if name in SCENARIOS}
    with ProcessPoolExecutor(2) as pool:
        for (name, variant), entry in zip(jobs, pool.map(_job, jobs), strict=True):
            table.setdefault(name, {})[variant] = entry
            found = ", ".join(one["property"] for one in entry["violations"]) or "holds"
            print(f"{name} {variant}: {entry['states']} states, {found}", flush=True)
            if len(table[name]) == len(VARIANTS):
                EXPECTED.write_text(_rendered(dict(sorted(table.items()))))


def _rendered(table: Table) -> str:
    """JSON with one line for each variant's counts and for each violation."""
    scenarios = []
    for name, variants in table.items():
        entries = []
        for variant, entry in variants.items():
            rows = ",\n".join(f"        {json.dumps(row)}" for row in entry["violations"])
            broken = f"[\n{rows}\n      ]" if rows else "[]"
            entries.append(
                f'    {json.dumps(variant)}: {{\n      "states": {entry["states"]}, '
                f'"transitions": {entry["transitions"]},\n      "violations": {broken}\n    }}'
            )
        scenarios.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(entries) + "\n  }")
    return "{\n" + ",\n".join(scenarios) + "\n}\n"


if __name__ == "__main__":
    if sys.argv[1:] not in (["--rewrite"], ["--add"]):
        sys.exit(f"usage: {sys.argv[0]} --rewrite | --add")
    rewrite(expected() if sys.argv[1] == "--add" else {})
