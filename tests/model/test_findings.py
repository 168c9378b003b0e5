"""The findings of 1.18: their traces run again, and each is what its entry says.

After a change of the model: ``genfscheck findings --rewrite``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import Library
from genfscheck.checker.cli.outcome import Outcome
from genfscheck.checker.cli.pool import Done, run_jobs
from genfscheck.checker.cli.work import Effort, Task, check_scenario
from genfscheck.checker.trace.findings import Finding
from genfscheck.checker.trace.record import load
from genfscheck.checker.trace.replay import reexecute

LIBRARY = Library(SUBJECT)
ENTRIES = LIBRARY.findings.entries


def names(entry: Finding) -> str:
    return entry.id


@pytest.mark.parametrize("entry", ENTRIES, ids=names)
def test_golden_trace(entry: Finding) -> None:
    path = SUBJECT.root / entry.trace
    trace = load(path)
    assert trace.scenario == entry.scenario
    _, program = LIBRARY.compile_trace(trace, path)
    reexecute(program, trace, str(path))
    found = LIBRARY.findings.find(
        trace.broken.property, trace.lines, trace.scenario, trace.fixes
    )
    assert found is not None and found.id == entry.id


@pytest.mark.parametrize("entry", ENTRIES, ids=names)
def test_entry(entry: Finding) -> None:
    assert LIBRARY.find(entry.scenario) is not None
    assert entry.fix in LIBRARY.known_fixes
    assert entry.explanation
    functions = [f for kind in ("routine", "atomic", "pure")
                 for f in LIBRARY.source.functions(kind) if f.seed]
    ranges = [f.seed for f in functions if f.seed]
    inside = [line for line in entry.lines if any(a <= line <= b for a, b in ranges)]
    assert inside, "no line of a modelled function"


def outcome(entry: Finding, fixes: tuple[str, ...], directory: Path) -> Outcome:
    scenario = LIBRARY.find(entry.scenario)
    assert scenario is not None
    task = Task(SUBJECT, scenario, SUBJECT.variant, fixes, Effort(), directory)
    (done,) = [event for event in run_jobs(check_scenario, [task], 1) if isinstance(event, Done)]
    return done.result


@pytest.mark.long
@pytest.mark.parametrize("entry", ENTRIES, ids=names)
def test_its_fix_removes_it(entry: Finding, tmp_path: Path) -> None:
    before = outcome(entry, (), tmp_path)
    assert entry.id in {violation.finding for violation in before.violations}
    after = outcome(entry, (entry.fix,), tmp_path)
    assert entry.id not in {violation.finding for violation in after.violations}
