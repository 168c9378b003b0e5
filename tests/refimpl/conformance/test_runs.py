"""Scenarios on real threads: what they log is a behaviour of the model."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli import run as command
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.conform.log import save
from genfscheck.checker.conform.report import conforms
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang.opened import closed, open_arguments
from genfscheck.refimpl.conformance import compiled
from genfscheck.refimpl.conformance.binding import BindingError
from genfscheck.refimpl.conformance.runs import Bench
from genfscheck.refimpl.conformance.subject import hidden, log_of
from genfscheck.refimpl.conformance.world import Unsupported

LIBRARY = Library(SUBJECT)
SUITE = [one.name for one in LIBRARY.scenarios if one.tier != "large"]
QUICK = ["hole-faults", "read-error", "fsync-and-read-fault"]
# Scenarios in which hardened threads may hang: for these the model has a deadlock too.
HANGS: set[str] = set()
# What the reference implementation has nothing for.
UNSUPPORTED: set[str] = set()


@functools.lru_cache(maxsize=8)
def bench(name: str, variant: str) -> Bench:
    scenario = LIBRARY.find(name)
    assert scenario is not None
    if open_arguments(scenario):
        scenario = closed(scenario, {})
    fixes = LIBRARY.known_fixes if variant == HARDENED else ()
    return Bench(scenario, prepare(compiled.program(scenario, variant, fixes)))


def follow(name: str, variant: str, seeds: range) -> int:
    """Runs and validates; how many events there were."""
    tested = bench(name, variant)
    events = 0
    for seed in seeds:
        done = tested.run(seed, patience=3.0)
        outcome = tested.validate(done)
        assert conforms(outcome), f"{name} {variant} seed {seed}: event {outcome.consumed}"
        assert not done.died or variant == "1.18" or name in HANGS, f"seed {seed}: {done.died}"
        events += len(done.events)
    return events


@pytest.mark.parametrize("name", QUICK)
def test_runs_conform(name: str) -> None:
    assert follow(name, "1.18", range(4)) > 100


@pytest.mark.long
@pytest.mark.parametrize("variant", ["1.18", HARDENED])
@pytest.mark.parametrize("name", SUITE)
def test_every_scenario_conforms(name: str, variant: str) -> None:
    if name in UNSUPPORTED:
        with pytest.raises(Unsupported):
            bench(name, variant).run(0)
        return
    assert follow(name, variant, range(10)) >= 50  # those in which nothing ever happens


def test_an_edited_event_is_noticed() -> None:
    """Of a log that conforms, no store can be taken away and no value be changed."""
    tested = bench("fsync-and-read-fault", "1.18")
    done = tested.run(1)
    assert conforms(tested.validate(done))
    whole = list(done.events)
    stores = [place for place, event in enumerate(whole) if event.kind == "store"]
    assert len(stores) >= 5
    for place in stores:
        done.events = whole[:place] + whole[place + 1 :]
        outcome = tested.validate(done)
        assert not conforms(outcome), str(whole[place])
        assert outcome.consumed >= place - 1


def test_another_result_is_noticed() -> None:
    """No call may return another error than it did, nor end without saying so."""
    tested = bench("read-and-write", "1.18")
    done = tested.run(1)
    assert conforms(tested.validate(done))
    whole = list(done.events)
    results = [place for place, one in enumerate(whole) if one.kind in ("result", "return")]
    assert len(results) >= 8
    for place in results[::3]:
        event = whole[place]
        changes: list[dict[str, object]] = [{"error": 5}, {"error": "EIO"}]
        if "count" in event.values:
            changes.append({"count": 0})
        for change in changes:
            other = replace(event, values={**event.values, **change})
            done.events = [*whole[:place], other, *whole[place + 1 :]]
            try:
                outcome = tested.validate(done)
            except BindingError:  # a value that it cannot have
                continue
            assert not conforms(outcome) and outcome.consumed == place, str(event)
        done.events = whole[:place] + whole[place + 1 :]
        assert not conforms(tested.validate(done)), str(event)


def test_locks_out_of_order_are_noticed() -> None:
    tested = bench("hole-faults", "1.18")
    done = tested.run(2)
    whole = list(done.events)
    exits = [place for place, event in enumerate(whole) if event.kind == "mutex_exit"]
    for place in exits[:6]:
        done.events = whole[:place] + whole[place + 1 :]
        assert not conforms(tested.validate(done)), str(whole[place])


def test_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A saved log conforms; cut off, edited or of another model it is refused in one line."""
    from genfscheck.refimpl.conformance import subject

    scenario = LIBRARY.find("hole-faults")
    assert scenario is not None
    made = subject._bench(scenario.text, "1.18", frozenset())
    log = log_of(made, made.run(0), 0)
    path = tmp_path / "run.log"
    save(log, path)
    assert command(SUBJECT, ["conform", str(path)]) == 0
    assert "conforms: 1 log" in capsys.readouterr().out

    lines = path.read_text().splitlines()
    cases = {
        "cut off": lines[:-3],
        "edited": [*lines[:5], *lines[6:]],
        "no log": ['{"kind": "something else"}'],
    }
    for expected, text in cases.items():
        path.write_text("\n".join(text) + "\n")
        assert command(SUBJECT, ["conform", str(path)]) == 2
        told = capsys.readouterr().err
        assert expected in told and len(told.strip().splitlines()) == 1

    events = [one for one in log.events if one.kind != "page_insert"]
    save(
        type(log)(log.model, log.scenario_text, log.variant, log.fixes, 0, events,
                  log.finished, log.died, log.world),
        path,
    )  # fmt: skip
    assert command(SUBJECT, ["conform", str(path)]) == 1
    assert "departs" in capsys.readouterr().out


def test_what_is_hidden_is_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever hides more must say so here."""
    table = hidden()
    pinned = Path(__file__).with_name("hidden.txt").read_text().splitlines()
    assert sorted(table) == pinned
    assert all(len(why) > 10 for why in table.values())
    assert command(SUBJECT, ["conform", "--hidden"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(table)
