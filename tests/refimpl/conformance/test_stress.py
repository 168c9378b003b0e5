"""Random mixes of all calls on real threads, validated against the model."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli import run as command
from genfscheck.checker.conform.log import load, save
from genfscheck.checker.conform.report import CONFORMS, DEPARTS
from genfscheck.checker.conform.subject import Load, Validated
from genfscheck.checker.lang.scenario import parse
from genfscheck.refimpl.conformance import compiled, subject
from genfscheck.refimpl.conformance.callers import CALLERS
from genfscheck.refimpl.conformance.runs import Bench, Repeated, Run, execute
from genfscheck.refimpl.conformance.stress import GEOMETRIES, ROLES, programs
from genfscheck.refimpl.conformance.world import BUDGETS, Plan

# Calls that stress leaves out: extend is truncate; a vnode without pages has nothing to log.
LEFT_OUT = {"extend", "null_flush"}


def planned(name: str, threads: int) -> Any:
    """A bench as far as `programs` looks at it, without compiling."""
    geometry = GEOMETRIES[name]
    parameters = {"PAGE_SHIFT": 1, "WAPBL": 0, "FS_BSHIFT": 1, **geometry.parameters}
    scenario = parse(geometry.scenario(threads), name)
    return SimpleNamespace(scenario=scenario, plan=Plan(parameters, {}, ()))


@pytest.mark.parametrize("threads", [1, 4, len(ROLES)])
def test_all_calls_are_drawn(threads: int) -> None:
    made: Counter[str] = Counter()
    for name, geometry in GEOMETRIES.items():
        for seed in range(3):
            drawn = programs(planned(name, threads), seed, 40, geometry)
            assert drawn == programs(planned(name, threads), seed, 40, geometry)
            for calls in drawn.values():
                if isinstance(calls, Repeated):
                    made[calls.call.name] += 1
                    continue
                assert len(calls) == 41 and calls[-1].name == "end"
                made.update(call.name for call in calls[:-1])
                for call in calls:
                    told = dict(one.split("=") for one in call.choices.split(","))
                    assert all(0 <= int(value) <= 64 for value in told.values())
    assert set(made) <= set(CALLERS)
    if threads >= 4:
        assert set(CALLERS) - set(made) == LEFT_OUT


def test_all_faults_happen_somewhere() -> None:
    texts = " ".join(geometry.setup for geometry in GEOMETRIES.values())
    assert all(f"{name} = " in texts for name in BUDGETS)


@functools.cache
def bench(name: str, variant: str) -> Bench:
    fixes = subject.known_fixes() if variant == "hardened" else frozenset()
    return subject._bench(GEOMETRIES[name].scenario(4), variant, fixes)


def ran(name: str, variant: str, seed: int, calls: int) -> Run:
    tested = bench(name, variant)
    made = programs(tested, seed, calls, GEOMETRIES[name])
    return execute(tested.plan, made, tested.window, seed, 0.002, program=tested.program)


@pytest.mark.long
@pytest.mark.parametrize("variant", ["1.18", "hardened"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_geometry_conforms(name: str, variant: str, tmp_path: Path) -> None:
    for seed in range(4):
        done = ran(name, variant, seed, 40)
        log = subject.log_of(bench(name, variant), done, seed, name)
        found = subject._validated(bench(name, variant), done, log, tmp_path)
        assert found.verdict == CONFORMS, "\n".join([*found.departure, found.error, found.kept])
        assert done.died or found.events > 1000
        if variant == "hardened":
            assert not found.broken and not done.died, (found.broken, done.died, found.kept)


@pytest.mark.long
def test_a_log_that_departs_is_kept(tmp_path: Path) -> None:
    tested = bench("revoke", "hardened")
    done = ran("revoke", "hardened", 7, 10)
    events = [one for one in done.events if one.kind != "pmap_enter"]
    assert len(events) < len(done.events)
    log = subject.log_of(tested, replace(done, events=events), 7, "revoke")
    found = subject._validated(tested, replace(done, events=events), log, tmp_path / "logs")
    assert found.verdict == DEPARTS and found.departure
    again = load(Path(found.kept))
    # A saved log numbers its events anew.
    numbered = [replace(event, number=at) for at, event in enumerate(log.events)]
    assert again.events == numbered and again.seed == 7
    assert subject.validate(again, Path(found.kept)).verdict == DEPARTS


@pytest.mark.long
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, folder = tmp_path / "out.json", tmp_path / "logs"
    status = command(
        SUBJECT,
        ["stress", "--seconds", "2", "--geometry", "revoke", "--geometry", "page",
         "--json", str(report), "--save", str(folder)],
    )  # fmt: skip
    out = capsys.readouterr().out
    assert status == 0, out
    value = json.loads(report.read_text())
    assert value["verdict"] == CONFORMS and value["events"] > 1000
    assert {one["geometry"] for one in value["results"]} == {"page", "revoke"}
    seeds = [(one["geometry"], one["seed"]) for one in value["results"]]
    assert len(set(seeds)) == len(seeds)
    assert "events a second" in out
    for one in value["results"]:
        told = one["verdict"] != CONFORMS or one["broken"] or one["died"]
        assert bool(told) == bool(one["kept"])


@pytest.mark.parametrize(
    ("variant", "broken", "died", "expected"),
    [("1.18", {"claim-1": 3}, "", 0), ("1.18", {}, "no progress", 0), ("hardened", {}, "", 0),
     ("hardened", {"claim-1": 3}, "", 1), ("hardened", {}, "no progress", 1)],
)  # fmt: skip
def test_with_all_fixes_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, broken: dict[str, int],
    died: str, expected: int,
) -> None:  # fmt: skip
    def one(given: Load) -> Iterator[Validated]:
        yield Validated(
            "page", 1, given.variant, CONFORMS, 9, 9, 9, 0.1, broken=broken, died=died
        )

    monkeypatch.setattr(subject, "stress", one)
    assert command(SUBJECT, ["stress", "--variant", variant]) == expected


def test_flushes_are_judged() -> None:
    """Whoever flushes has a slot, as long as there are some."""
    for name, geometry in GEOMETRIES.items():
        threads = parse(geometry.scenario(4), name).threads
        slots = [call.arguments["slot"] for one in threads for call in one.calls
                 if "slot" in call.arguments]  # fmt: skip
        assert slots[:3] == [0, 1, 2] and set(slots[3:]) <= {-1}, name
        assert any(one.name.startswith(("syncing", "revoker")) for one in threads)


def test_what_was_validated_is_told_when_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def two(given: Load) -> Iterator[Validated]:
        yield Validated("page", 1, given.variant, CONFORMS, 1000, 1000, 1500, 0.1)
        yield Validated("half", 2, given.variant, DEPARTS, 500, 40, 60, 0.1, ("event 40",))
        raise KeyboardInterrupt

    monkeypatch.setattr(subject, "stress", two)
    report = tmp_path / "out.json"
    assert command(SUBJECT, ["stress", "--json", str(report)]) == 1
    captured = capsys.readouterr()
    assert "departs: 2 logs, 1,500 events, validated at 7,500" in captured.out
    assert "interrupted" in captured.err
    assert [one["verdict"] for one in json.loads(report.read_text())["results"]] == [
        CONFORMS, DEPARTS,
    ]  # fmt: skip


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--geometry", "none"], ["--seconds", "0"], ["--threads", "9"]):
        assert command(SUBJECT, ["stress", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") >= 1


def test_a_log_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole and sealed, but of another model, scenario or world: one line, nothing run."""
    from genfscheck.checker.conform.log import LogFile

    digest = compiled.sources().digest
    text = GEOMETRIES["page"].scenario(1)
    world = {"first_pages": [], "sector_of_data": 0, "finals": []}
    fine = LogFile(digest, text, "1.18", (), 0, [], world=world)
    cases = {
        "made with another model": replace(fine, model="0" * 16),
        "not this implementation's": replace(fine, world={}),
        "'2.0' does not go": replace(fine, variant="2.0"),
        "'hardened' does not go": replace(fine, variant="hardened"),
        "no fix is called 'none'": replace(fine, fixes=("none",)),
        "TOML": replace(fine, scenario_text="= 1"),
    }
    for why, log in cases.items():
        path = tmp_path / "run.log"
        save(log, path)
        assert command(SUBJECT, ["conform", str(path)]) == 2
        err = capsys.readouterr().err
        assert why in err and err.count("\n") == 1
