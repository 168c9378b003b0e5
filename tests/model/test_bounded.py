"""The bounded engine on the model: the findings again, and nothing of them with every fix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.bounded import check_bounded
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.cli.modes import Limits, Mode
from genfscheck.checker.cli.outcome import Outcome
from genfscheck.checker.cli.work import Effort, Task, check_scenario
from genfscheck.checker.lang.opened import open_arguments
from genfscheck.checker.lang.scenario import Scenario, parse
from genfscheck.checker.trace.findings import Finding
from genfscheck.checker.trace.record import load
from genfscheck.checker.trace.replay import reexecute

LIBRARY = Library(SUBJECT)
ENTRIES = LIBRARY.findings.entries
QUICK = ("F12", "F14")


def bounded(scenario: Scenario, switches: int, variant: str, directory: Path) -> Outcome:
    effort = Effort(engine="z3", mode=Mode(limits=Limits(switches)))
    task = Task(SUBJECT, scenario, variant, (), effort, directory)
    return check_bounded(task, lambda numbers: None)


def switches(entry: Finding) -> int:
    """Those of the finding's own trace, which has the fewest steps."""
    return load(SUBJECT.root / entry.trace).switches


def entries() -> Iterator[object]:
    for entry in ENTRIES:
        marks = () if entry.id in QUICK else (pytest.mark.long,)
        yield pytest.param(entry, id=entry.id, marks=marks)


@pytest.mark.parametrize("entry", list(entries()))
def test_found_again(entry: Finding, tmp_path: Path) -> None:
    """With as many switches as its trace has; and the new trace is an ordinary one."""
    scenario = LIBRARY.find(entry.scenario)
    assert scenario is not None
    outcome = bounded(scenario, switches(entry), SUBJECT.variant, tmp_path)
    assert outcome.verdict == "violated"
    assert entry.id in [violation.finding for violation in outcome.violations]
    for violation in outcome.violations:
        trace = load(Path(violation.trace))
        _, program = LIBRARY.compile_trace(trace, Path(violation.trace))
        reexecute(program, trace, violation.trace)


@pytest.mark.long
@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.id) for entry in ENTRIES])
def test_hardened(entry: Finding, tmp_path: Path) -> None:
    """Nothing within the bounds; "holds" only where they cut nothing off."""
    scenario = LIBRARY.find(entry.scenario)
    assert scenario is not None
    outcome = bounded(scenario, switches(entry), HARDENED, tmp_path)
    assert outcome.violations == ()
    if outcome.complete:
        assert "everything looked at" in outcome.why
    else:
        assert outcome.verdict == "inconclusive"
        assert outcome.why.startswith("nothing within ")


OPEN = """schema = 1
name = "any-page"
question = "Two faults on a page: over a hole or not, in memory or not, in any part, any access."
daemons = ["disk", "aiodone"]

[parameters]
NPAGES = 1
FILE_PAGES = 1
NBLOCKS = 1
NBUFS = 1
NKVA = 1
NMAPPINGS = 1
STALE_MODIFIED = 0

[setup]
call = "file"
size = { from = 1, to = 2 }
disk = [{ any = [-1, 0] }]
cache = [{ any = [0, 5] }]
mapped = true

[[thread]]
name = "first"
program = [
  { call = "mapped_load", vp = 0, unit = { any = [0, 1] }, entry = { any = ["READ", "WRITE"] } },
]

[[thread]]
name = "second"
program = [{ call = "mapped_load", vp = 0, unit = { any = [0, 1] }, entry = "READ" }]
"""


@pytest.mark.long
@pytest.mark.parametrize("variant", [SUBJECT.variant, HARDENED])
def test_open_arguments(variant: str, tmp_path: Path) -> None:
    """One symbolic search finds what a search for each choice would."""
    scenario = parse(OPEN, "any-page.toml")
    outcome = bounded(scenario, 2, variant, tmp_path)
    if variant == HARDENED:
        assert outcome.verdict == "inconclusive" and outcome.violations == ()
        assert outcome.why == "nothing within 2 context switches (64 choices of inputs)"
        return
    assert [violation.finding for violation in outcome.violations] == ["F2"]
    trace = load(Path(outcome.violations[0].trace))
    closed, program = LIBRARY.compile_trace(trace, tmp_path)
    assert open_arguments(closed) == ()
    assert closed.setup is not None and closed.setup.arguments["disk"] == (-1,)
    reexecute(program, trace, outcome.violations[0].trace)


@pytest.mark.long
def test_open_arguments_without_a_bound(tmp_path: Path) -> None:
    """Every schedule of every choice: the explicit engines find the same causes."""
    scenario = parse(OPEN, "any-page.toml")
    symbolic = bounded(scenario, 1000, SUBJECT.variant, tmp_path / "symbolic")
    assert symbolic.complete
    task = Task(SUBJECT, scenario, SUBJECT.variant, (), Effort(), tmp_path / "explicit")
    explicit = check_scenario(task, lambda numbers: None)
    causes = [
        {(one.property, one.lines, one.finding) for one in outcome.violations}
        for outcome in (symbolic, explicit)
    ]
    assert causes[0] == causes[1] and symbolic.states < explicit.states
