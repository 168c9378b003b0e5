"""Traces of the model on real threads: followed step for step, and noticed where they are not."""

from __future__ import annotations

import errno
import functools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli import run
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.conform.steps import Step, Stepper
from genfscheck.checker.explore.interpret import ENDED
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.scenario import Scenario
from genfscheck.checker.trace.record import Trace, load
from genfscheck.checker.trace.replay import Moment, Replay, reexecute
from genfscheck.refimpl import buf, kva, locks, pages, vnode
from genfscheck.refimpl.conformance import compiled
from genfscheck.refimpl.conformance.abstraction import UNSEEN, Abstraction
from genfscheck.refimpl.conformance.follow import _STOPS, Follower, Replayed
from genfscheck.refimpl.conformance.labels import Names
from genfscheck.refimpl.conformance.replay import follow, walk
from genfscheck.refimpl.conformance.retell import retell
from genfscheck.refimpl.conformance.runs import plan_of
from genfscheck.refimpl.conformance.world import build
from genfscheck.refimpl.errors import Panic
from genfscheck.refimpl.genfs.getpages import _Getpages
from genfscheck.refimpl.schedule import Chooser
from genfscheck.refimpl.threads import Machine

LIBRARY = Library(SUBJECT)
FINDINGS = [one.id for one in LIBRARY.findings.entries]
SUITE = [one for one in LIBRARY.scenarios if one.tier != "large"]

# What a user meets.  A panic, by its text; a hang, by the threads; bytes that are not those
# written, at the last step ("now") or after everybody has ended and fsync has succeeded
# ("after"), read or on the device.
PANICS = {
    "F4": "freed at 692",
    "F5": "genfs_io.c:1290",
    "F16": "genfs_io.c:1178",
    "F19": "cannot be freed",
    "F21": "genfs_io.c:1303",
}
HANGS = {"F1": {"writer", "loader"}, "F10": {"store", "syncer", "flusher"}}
SILENT = {"F3", "F14", "F15", "F22"}  # an array, a promise, a result, a user: only the call knows
WRONG_BYTES = {
    "F6": ("now", "device"),
    "F7": ("after", "device"),
    "F8": ("after", "device"),
    "F9": ("after", "read"),
    "F11": ("after", "read"),
    "F13": ("after", "device"),
    "F15": ("after", "device"),
    "F17": ("after", "device"),
    "F18": ("after", "read"),
    "F24": ("now", "read"),
    "F25": ("now", "read"),
    "F26": ("after", "device"),
}


@functools.cache
def stored(name: str) -> tuple[Trace, Scenario, ir.Program, Replay]:
    path = LIBRARY.trace_path(name)
    trace = load(path)
    scenario, program = LIBRARY.compile_trace(trace, path)
    return trace, scenario, program, reexecute(program, trace, str(path))


@functools.cache
def retold(name: str) -> tuple[Stepper, list[Moment], list[int]]:
    trace, scenario, _, executed = stored(name)
    program = prepare(compiled.program(scenario, trace.variant, trace.fixes))
    stepper = Stepper(program, Names())
    return stepper, *retell(stepper, executed)


def replayed(name: str, fixes: tuple[str, ...] | None = None) -> Replayed:
    stepper, moments, numbers = retold(name)
    return follow(stepper, stored(name)[1], moments, fixes, numbers)


def shows_its_damage(name: str) -> None:
    trace = stored(name)[0]
    result = replayed(name)
    assert result.departed is None, result.departed
    assert result.compared >= len(result.pairs) - 1
    if name in PANICS:
        assert result.dead is not None and PANICS[name] in result.dead.why
        assert result.dead_at == len(result.pairs)
    else:
        assert len(result.pairs) == len(trace.steps) and not result.dead_at
    assert result.silent == (name in SILENT)
    assert set(result.waiting) == HANGS.get(name, set())
    if name in WRONG_BYTES:
        when, where = WRONG_BYTES[name]
        units = result.units if when == "now" else result.after
        assert any(unit.lost if where == "read" else unit.unsaved for unit in units)
        assert result.flushed == 0


@pytest.mark.parametrize("name", ["F15", "F18"])
def test_a_finding_is_replayed(name: str) -> None:
    shows_its_damage(name)


@pytest.mark.long
@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_is_replayed(name: str) -> None:
    shows_its_damage(name)


def cannot_happen(name: str) -> None:
    """F3's fix changes no shared state; tests/refimpl/test_findings.py looks at the slots."""
    result = replayed(name, LIBRARY.known_fixes)
    if name == "F3":
        assert result.departed is None and result.silent
        return
    assert result.departed is not None
    assert 1 < result.at <= len(stored(name)[3].moments)
    assert len(result.pairs) in (result.at - 1, result.at)  # departs in the step, or behind it
    assert result.dead is None


def test_the_fixes_make_the_schedule_impossible() -> None:
    cannot_happen("F15")


@pytest.mark.long
@pytest.mark.parametrize("name", FINDINGS)
def test_hardened_follows_no_finding(name: str) -> None:
    cannot_happen(name)


# Deliberately wrong threads: each is noticed, at a step, with a reason.

Patch = Callable[[pytest.MonkeyPatch], None]


def _nothing(owner: type, name: str) -> Patch:
    """A step that is forgotten."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, lambda *_arguments: None)


def _moved_units(monkeypatch: pytest.MonkeyPatch) -> None:
    write = kva.Window.write

    def wrong(self: kva.Window, offset: int, data: bytes) -> None:
        write(self, (offset + 512) % (512 * 2), data)

    monkeypatch.setattr(kva.Window, "write", wrong)


def _wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _Getpages.run
    monkeypatch.setattr(_Getpages, "run", lambda self: run(self) or errno.EIO)


def _forgotten_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "returns", lambda self, call, error, **values: error)


def _no_glock(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = locks.RwLock.exit
    monkeypatch.setattr(
        locks.RwLock,
        "exit",
        lambda self, at: None if "g_glock" in self.name else leave(self, at),
    )


def _not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    alloc = pages.Uvm.alloc

    def wrong(
        self: pages.Uvm, uobj: pages.Uobject, offset: int, at: int | str
    ) -> pages.Page | None:
        page = alloc(self, uobj, offset, at)
        if page is not None:
            page.flags.value &= ~pages.PG_CLEAN
        return page

    monkeypatch.setattr(pages.Uvm, "alloc", wrong)


def _reads_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buf.Buf, "is_read", property(lambda self: True))


def _unlocked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue's lock is released before the pages are let go."""
    unbusy = pages.Uvm.unbusy

    def wrong(self: pages.Uvm, pgs: list[pages.Slot], at: int | str) -> None:
        self.pageqlock.exit(at)
        self.pageqlock.enter(at)
        unbusy(self, pgs, at)

    monkeypatch.setattr(pages.Uvm, "unbusy", wrong)


@pytest.mark.parametrize(
    ("how", "name", "why"),
    [
        (_nothing(buf.Bufs, "put"), "F18", "buf0.live is true, expected false"),
        (_moved_units, "F18", "page0.data"),
        (_no_glock, "F18", "the model takes rw_exit, the thread"),
        (_not_clean, "F18", "page0.flags is BUSY|FAKE, expected BUSY|FAKE|CLEAN"),
        (_nothing(vnode.Vnode, "output_done"), "F15", "v_numoutput is 2, expected 1"),
        (_nothing(vnode.Worklist, "drop"), "F15", "v_iflag is ONWORKLST, expected 0"),
        (_wrong_result, "F18", "something else than result at getpages of=getpages error=5"),
        (_forgotten_result, "F18", "a call of the model returns, the thread"),
        (_nothing(pages.Uvm, "unbusy"), "F15", "the model takes uvm_page_unbusy"),
        (_reads_only, "F15", "the model takes _submit, the thread strategy"),
        (_unlocked_first, "F15", "the model takes uvm_page_unbusy, the thread mutex_exit"),
    ],
)
def test_wrong_threads_depart(
    monkeypatch: pytest.MonkeyPatch, how: Patch, name: str, why: str
) -> None:
    how(monkeypatch)
    result = replayed(name)
    assert result.departed is not None and result.at <= len(stored(name)[3].moments)
    assert why in result.departed.why


def test_a_panic_shows_no_lost_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that dies behind the last step of F6 does not show what F6 is about."""
    moments = retold("F6")[1]
    assert moments[-1].violation is not None
    assert moments[-1].violation.property not in _STOPS
    compare, compared = Follower._compare, [0]

    def dies(self: Follower, moment: Moment, step: Step) -> None:
        compare(self, moment, step)
        compared[0] += 1
        if moment is moments[-1]:
            self.world.fs.kernel.machine.die(Panic("for no reason"))

    monkeypatch.setattr(Follower, "_compare", dies)
    result = replayed("F6")
    assert compared[0] == len(stored("F6")[3].moments)
    assert result.departed is not None and "the machine dies" in result.departed.why


def test_a_deadlock_in_which_nobody_hangs_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Chooser, "waiting", lambda self: {})
    status, out, _ = cli(capsys, "F1")
    assert status == 1 and "nobody hangs" in out


# The abstraction.


def test_every_variable_is_told_or_excused(tmp_path: Path) -> None:
    stepper, moments, _ = retold("F15")
    program = stepper.program
    world = build(plan_of(stored("F15")[1], program), tmp_path / "image")
    abstraction = Abstraction(world, program)
    assert abstraction.missing() == []
    assert abstraction.differences(moments[0].before.shared) == []
    world.close()


def test_every_variable_that_is_told_can_differ(tmp_path: Path) -> None:
    stepper, moments, _ = retold("F15")
    program = stepper.program
    world = build(plan_of(stored("F15")[1], program), tmp_path / "image")
    abstraction = Abstraction(world, program)
    seen = abstraction.observe()
    shared = moments[0].before.shared
    for number, var in enumerate(program.shared):
        for element, value in enumerate(seen.get(var.name, ())):
            if value is None or var.ghost:
                continue
            row = list(shared[number])
            row[element] = var.domain.low if row[element] != var.domain.low else var.domain.high
            if row[element] == shared[number][element]:
                continue  # it has one value only
            changed = [*shared[:number], tuple(row), *shared[number + 1 :]]
            (difference,) = abstraction.differences(changed)
            assert (difference.name, difference.element) == (var.name, element)
    world.close()


def test_excuses_are_about_variables_that_exist() -> None:
    names = {var.name for var in retold("F15")[0].program.shared}
    for excused in UNSEEN:
        assert any(name == excused or name.startswith(excused) for name in names), excused


# Walks.


def walks(scenario: Scenario, variant: str, seeds: range) -> None:
    fixes = LIBRARY.known_fixes if variant == HARDENED else ()
    program = prepare(compiled.program(scenario, variant, fixes))
    stepper = Stepper(program, Names())
    for seed in seeds:
        moments = walk(stepper, random.Random(seed))
        result = follow(stepper, scenario, moments)
        assert result.departed is None, f"seed {seed}, step {result.at}: {result.departed}"
        if moments[-1].violation is None:
            users = [thread.index for thread in program.threads if not thread.daemon]
            last = moments[-1].after.threads
            ended = all(last[number].pc == ENDED for number in users)
            assert ended == (not result.waiting), f"seed {seed}: {result.waiting}"
            assert ended == (result.dead is None), f"seed {seed}: {result.dead}"


@pytest.mark.parametrize("variant", ["1.18", "hardened"])
def test_walks_are_replayed(variant: str) -> None:
    (scenario,) = (one for one in SUITE if one.name == "reclaim-after-error")
    walks(scenario, variant, range(3))


def test_what_a_scenario_leaves_open_is_as_in_the_walk() -> None:
    (scenario,) = (one for one in SUITE if one.name == "open-two-faults")
    walks(scenario, "1.18", range(4))


@pytest.mark.long
@pytest.mark.parametrize("variant", ["1.18", "hardened"])
@pytest.mark.parametrize("scenario", SUITE, ids=lambda one: one.name)
def test_walks_through_every_scenario_are_replayed(scenario: Scenario, variant: str) -> None:
    walks(scenario, variant, range(3))


# The command.


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = run(SUBJECT, ["replay", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_shows_the_damage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = cli(capsys, "F15", "--json", str(tmp_path / "out.json"))
    assert status == 0
    assert "As the trace says: claim-6-error-reported" in out
    assert "bytes 0-511: written the dirty page's bytes, read the old bytes" in out
    value = json.loads((tmp_path / "out.json").read_text())
    assert value["departed"] is None and value["compared"] > 50 and value["fsync"] == 0


def test_the_command_says_where_it_departs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = cli(capsys, "F15", "--variant", "hardened")
    assert status == 1
    assert "DEPARTS at step" in out and "the trace has" in out


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = LIBRARY.trace_path("F15").read_text()
    bad = {
        "cut.json": text[: len(text) // 2],
        "edited.json": text.replace('"thread": "cleaner"', '"thread": "disk"', 1),
        "other.json": text.replace(stored("F15")[0].model, "0" * 64),
        "empty.json": "",
    }
    for name, content in bad.items():
        path = tmp_path / name
        path.write_text(content)
        status, out, err = cli(capsys, str(path))
        assert status == 2 and not out, name
        assert err.startswith("genfscheck: ") and err.count("\n") == 1 and name in err
    status, _, err = cli(capsys, "F99")
    assert status == 2 and err.count("\n") == 1
