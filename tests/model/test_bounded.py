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


def opened(name: str) -> Scenario:
    """A scenario of the suite that leaves something open."""
    scenario = LIBRARY.find(name)
    assert scenario is not None and open_arguments(scenario)
    return scenario


OPEN = {"open-two-faults": {"F2"}, "open-fault-and-truncate": {"F1", "F2"}}


@pytest.mark.long
@pytest.mark.parametrize("variant", [SUBJECT.variant, HARDENED])
@pytest.mark.parametrize("name", OPEN)
def test_open_arguments(name: str, variant: str, tmp_path: Path) -> None:
    """One symbolic search finds what a search for each choice would, and says which choice."""
    outcome = bounded(opened(name), 2, variant, tmp_path)
    if variant == HARDENED:
        assert outcome.verdict == "inconclusive" and outcome.violations == ()
        assert outcome.why == "nothing within 2 context switches (64 choices of inputs)"
        return
    assert {violation.finding for violation in outcome.violations} == OPEN[name]
    for violation in outcome.violations:
        trace = load(Path(violation.trace))
        closed, program = LIBRARY.compile_trace(trace, tmp_path)
        assert open_arguments(closed) == ()
        assert closed.setup is not None and closed.setup.arguments["disk"] == (-1,)
        reexecute(program, trace, violation.trace)


@pytest.mark.long
def test_open_arguments_without_a_bound(tmp_path: Path) -> None:
    """Every schedule of every choice: the explicit engines find the same causes."""
    both(opened("open-two-faults"), tmp_path)


PAGES = """schema = 1
name = "any-dirty-page"
question = "fsync of a page that may be dirty, of a file that may be listed."
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
size = { from = 0, to = 2 }
disk = [{ any = [-1, 0] }]
cache = [{ any = [0, 1, 3, 11] }]
listed = { any = [false, true] }
wrmap = { any = [false, true] }

[[thread]]
name = "fsync"
program = [{ call = "fsync", vp = 0 }]
"""


@pytest.mark.long
def test_inconsistent_pages_are_left_out(tmp_path: Path) -> None:
    """A dirty page of a file that is not listed breaks an invariant before anything happens."""
    symbolic, explicit = both(parse(PAGES, "any-dirty-page.toml"), tmp_path)
    assert "(96 choices of inputs, inconsistent ones left out)" in symbolic.why
    assert "inconsistent choices of the setup left out" in explicit.why


def both(scenario: Scenario, directory: Path) -> tuple[Outcome, Outcome]:
    """All schedules, by the bounded engine and by an explicit one: the same causes."""
    symbolic = bounded(scenario, 1000, SUBJECT.variant, directory / "symbolic")
    assert symbolic.complete
    task = Task(SUBJECT, scenario, SUBJECT.variant, (), Effort(), directory / "explicit")
    explicit = check_scenario(task, lambda numbers: None)
    causes = [
        {(one.property, one.lines, one.finding) for one in outcome.violations}
        for outcome in (symbolic, explicit)
    ]
    assert causes[0] == causes[1] and symbolic.states < explicit.states
    assert symbolic.verdict == explicit.verdict
    return symbolic, explicit
