"""``check``: verdicts, order, files, exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genfscheck.checker.cli import work
from genfscheck.checker.cli.outcome import Outcome, report
from genfscheck.checker.explore import refine

TOY = Path(__file__).with_name("toy")
Command = Callable[..., Any]


def test_suite(command: Command) -> None:
    answer = command("check")
    assert answer.status == 1
    assert answer.err == ""
    table = answer.out.partition("\n\n")[0].splitlines()[2:]
    rows = [line.split()[:2] for line in table if not line.startswith(" ")]
    assert rows == [["careful", "holds"], ["crossed", "violated"], ["lost", "violated"]]
    assert "B1  hang  two locks are taken in two orders" in answer.out
    assert "1 hold, 2 violated, 0 inconclusive" in answer.out
    assert sorted(os.listdir("traces")) == ["crossed-1.json", "lost-1.json"]


def test_full_tier(command: Command) -> None:
    assert "large" not in command("check").out
    assert "large" in command("check", "--full").out


def test_nothing_for_terminals_on_a_pipe(command: Command) -> None:
    answer = command("check")
    assert "\x1b" not in answer.out
    assert "\r" not in answer.out


def test_holds_is_zero(command: Command) -> None:
    answer = command("check", "careful")
    assert answer.status == 0
    assert not Path("traces").exists()


@pytest.mark.parametrize("switch", [("--variant", "hardened"), ("--fix", "one-order")])
def test_fix_removes_the_finding(command: Command, switch: tuple[str, str]) -> None:
    assert command("check", "crossed").status == 1
    assert command("check", "crossed", *switch).status == 0


def test_granularities_agree(command: Command) -> None:
    def verdicts(granularity: str) -> list[tuple[str, str]]:
        command("check", "--full", "--granularity", granularity, "--json", "out.json")
        report = json.loads(Path("out.json").read_text())
        return [(entry["scenario"], entry["verdict"]) for entry in report["results"]]

    assert verdicts("fine") == verdicts("reduced")


def test_bound_is_inconclusive(command: Command) -> None:
    answer = command("check", "large", "--granularity", "fine", "--max-states", "5")
    assert answer.status == 3
    assert "raise --max-states" in answer.out


def test_json_schema(command: Command) -> None:
    command("check", "--json", "out.json")
    report = json.loads(Path("out.json").read_text())
    assert report["schema"] == 1
    assert report["variant"] == "plain"
    assert report["engine"] == "python"
    assert report["verdict"] == "violated"
    crossed = report["results"][1]
    assert set(crossed) >= {
        "scenario", "verdict", "states", "transitions", "seconds", "complete", "violations",
    }  # fmt: skip
    violation = crossed["violations"][0]
    assert violation["property"] == "deadlock"
    assert violation["lines"] == [33, 36]
    assert violation["depth"] == 4
    assert violation["finding"] == "B1"
    assert Path(violation["trace"]).exists()
    assert report["results"][2]["violations"][0]["finding"] is None


def test_scenario_by_path(command: Command) -> None:
    text = (TOY / "scenarios" / "careful.toml").read_text()
    Path("mine.toml").write_text(text.replace('"careful"', '"mine"', 1))
    answer = command("check", "mine.toml")
    assert answer.status == 0
    assert answer.out.splitlines()[2].startswith("mine")


def test_unreached_witness_is_inconclusive(command: Command) -> None:
    text = (TOY / "scenarios" / "careful.toml").read_text()
    Path("mine.toml").write_text(text + '\n[possible]\nlines = [11, 32]\nstates = ["rich"]\n')
    answer = command("check", "mine.toml")
    assert answer.status == 3
    assert "never reached: rich" in answer.out
    assert "lines never executed: 32" in answer.out


def test_no_compiler(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    answer = command("check", "careful", "--engine", "native")
    assert answer.status == 0
    assert answer.err.count("\n") == 1 and "the python engine answers" in answer.err
    assert "python engine" in answer.out


def _without_times(text: str) -> str:
    return re.sub(r"\d+\.\d ?s", "T", text)


def test_deterministic_under_hash_seeds_and_workers(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from genfscheck.checker.cli import Subject, run; "
        f"sys.exit(run(Subject('toy', Path({str(TOY)!r}), 'toy', variant='plain'), sys.argv[1:]))"
    )
    seen = set()
    for seed, workers in (("1", "1"), ("2", "2")):
        directory = tmp_path / seed
        directory.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", program, "check", "--full", "--workers", workers],
            cwd=directory,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1, done.stderr
        traces = [path.read_text() for path in sorted((directory / "traces").iterdir())]
        seen.add((_without_times(done.stdout), *traces))
    assert len(seen) == 1


def test_interrupt_keeps_the_results_so_far(tmp_path: Path) -> None:
    text = (TOY / "scenarios" / "large.toml").read_text()
    endless = text.replace('{ call = "careful" }, { call = "careful" }', "LONG").replace(
        "LONG", ", ".join(['{ call = "depositor" }'] * 9)
    ).replace('program = [{ call = "careful" }]', 'program = [{ call = "depositor" }, '
              '{ call = "depositor" }, { call = "depositor" }, { call = "depositor" }]')
    (tmp_path / "endless.toml").write_text(endless)
    program = (
        "import sys; from pathlib import Path; from genfscheck.checker.cli import Subject, run; "
        f"sys.exit(run(Subject('toy', Path({str(TOY)!r}), 'toy', variant='plain'), sys.argv[1:]))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program, "check", "careful", "endless.toml", "--json", "out.json",
         "--granularity", "fine"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    head = [running.stdout.readline() for _ in range(3)]
    assert head[2].startswith("careful")
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    rest, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert "interrupted" in rest
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["interrupted"] is True
    assert [entry["verdict"] for entry in report["results"]] == ["holds", "inconclusive"]


@pytest.mark.parametrize(("interrupted", "told"), [(False, "holds"), (True, "inconclusive")])
def test_what_was_not_begun_may_hold_or_not(interrupted: bool, told: str) -> None:
    """A scenario that was never begun has no result: the others alone do not make a verdict."""
    done = Outcome("careful", "holds", states=1, transitions=0, seconds=0.0, complete=True)
    whole = report([done], variant="1.18", engine="python", interrupted=interrupted)
    assert whole["verdict"] == told


@pytest.mark.parametrize("corruption", ["choices", "thread", "dropped"])
def test_a_corrupt_counterexample_is_never_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch, corruption: str
) -> None:
    """An engine that reports what the model does not do: an internal error, no violation."""
    real = refine.expand

    def corrupt(*arguments: Any) -> Any:
        trace = real(*arguments)
        first, *rest = trace.steps
        match corruption:
            case "choices":
                steps = (replace(first, choices=(0,)), *rest)
            case "thread":
                steps = (replace(first, thread=1 - first.thread), *rest)
            case _:
                steps = tuple(rest)
        return replace(trace, steps=steps)

    monkeypatch.setattr(work, "expand", corrupt)
    answer = command("check", "crossed", "--json", "out.json")
    assert answer.status == 3
    assert "internal error" in answer.out
    assert "InternalError" in answer.err
    assert not Path("traces").exists()
    (result,) = json.loads(Path("out.json").read_text())["results"]
    assert (result["verdict"], result["violations"]) == ("inconclusive", [])
