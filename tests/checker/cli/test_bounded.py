"""``check --engine z3``: bounds, open arguments, verdicts, and traces that are ordinary ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genfscheck.checker.cli import Subject
from genfscheck.checker.cli.bounded import check_bounded
from genfscheck.checker.cli.modes import Limits, Mode
from genfscheck.checker.cli.work import Effort, Task
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.opened import closed, dump, open_arguments
from genfscheck.checker.lang.scenario import parse
from genfscheck.checker.symbolic.bmc import concrete
from genfscheck.checker.symbolic.bmc.concrete import Schedule, schedule
from genfscheck.checker.symbolic.bmc.guards import Guards, Undecided
from genfscheck.checker.symbolic.bmc.states import Candidate

Command = Callable[..., Any]

OPEN = """schema = 1
name = "open"
question = "Is there an order in which it hangs?"

[setup]
call = "opening"
total = { from = 0, to = 18 }

[[thread]]
name = "ann"
program = [{ call = "mover", swapped = { any = [false, true] } }]

[[thread]]
name = "bob"
program = [{ call = "mover", swapped = { any = [true, false] } }, { call = "careful" }]
"""


@pytest.fixture
def scenario(command: Command) -> str:
    Path("open.toml").write_text(OPEN)
    return "open.toml"


def test_open_arguments_are_closed_again(command: Command, scenario: str) -> None:
    answer = command("check", scenario, "--engine", "z3", "--switches", "2")
    assert answer.status == 1
    assert "deadlock" in answer.out and ": B1, traces/open-1.json" in answer.out
    assert "within 2 context switches (76 choices of inputs)" in answer.out
    trace = json.loads(Path("traces/open-1.json").read_text())
    made = parse(trace["scenario_text"], "trace")
    assert open_arguments(made) == ()
    assert made.threads[0].calls[0].arguments["swapped"] is False
    assert made.threads[1].calls[0].arguments["swapped"] is True
    shown = command("show", "traces/open-1.json")
    assert shown.status == 0 and "BROKEN: deadlock" in shown.out


def test_the_same_by_enumeration(command: Command, scenario: str) -> None:
    """The other engines take open arguments as choices of the setup and of threads."""
    answer = command("check", scenario, "--engine", "python")
    assert answer.status == 1 and ": B1, traces/open-1.json" in answer.out
    shown = command("show", "traces/open-1.json")
    assert "mover(swapped=any of false, true)" in shown.out
    assert "BROKEN: deadlock" in shown.out


@pytest.mark.parametrize("engine", ["python", "z3"])
def test_inconsistent_choices_are_left_out(command: Command, engine: str) -> None:
    """A rate of more than 2 is refused by the setup."""
    text = OPEN.replace('"opening"', '"interest"').replace("total = { from = 0, to = 18 }", "%s")
    rates = {"{ from = 0, to = 9 }": 0, "{ from = 3, to = 9 }": 2, "9": 2}
    for rate, status in rates.items():
        Path("rate.toml").write_text(text % f"rate = {rate}")
        answer = command(
            "check", "rate.toml", "--engine", engine, "--fix", "one-order",
            *(["--switches", "30"] if engine == "z3" else []),
        )  # fmt: skip
        assert answer.status == status
        if status:
            assert "setup: range: a value outside the range of bank.total" in answer.err
            assert len(answer.err.splitlines()) == 1
        elif engine == "z3":
            assert "(40 choices of inputs, inconsistent ones left out)" in answer.out
        else:
            assert "7 inconsistent choices of the setup left out" in answer.out


def unnamed(times: int) -> Callable[..., Schedule]:
    """Makes schedules; z3 does not answer so many times."""
    left = [times]

    def made(program: ir.Program, guards: Guards, candidate: Candidate) -> Schedule:
        if left[0]:
            left[0] -= 1
            raise Undecided("z3: timeout")
        return schedule(program, guards, candidate)

    return made


@pytest.mark.parametrize(("times", "verdict"), [(1, "violated"), (99, "inconclusive")])
def test_a_violation_whose_inputs_z3_does_not_name(
    toy: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, verdict: str
) -> None:
    """It is not shown; and nothing else found is then no verdict."""
    monkeypatch.setattr(concrete, "schedule", unnamed(times))
    text = OPEN.replace('"careful"', '"depositor"').replace(
        '[false, true] } }]', '[false, true] } }, { call = "depositor" }]'
    )
    effort = Effort(engine="z3", mode=Mode(limits=Limits(40)))
    task = Task(toy, parse(text, "open.toml"), "plain", (), effort, tmp_path)
    outcome = check_bounded(task, lambda numbers: None)
    assert outcome.verdict == verdict
    assert outcome.why.startswith("z3 did not name the inputs of ")
    assert outcome.complete and bool(outcome.violations) == (verdict == "violated")


def test_too_few_switches(command: Command, scenario: str) -> None:
    answer = command("check", scenario, "--engine", "z3", "--switches", "0")
    assert answer.status == 3
    assert "inconclusive" in answer.out
    assert "nothing within 0 context switches (76 choices of inputs)" in answer.out


def test_nothing_cut_off_is_holds(command: Command) -> None:
    for switches, status in (("0", 3), ("20", 0)):
        answer = command("check", "careful", "--engine", "z3", "--switches", switches)
        assert answer.status == status
    assert "everything looked at, within 20 context switches" in answer.out


def test_fix(command: Command, scenario: str) -> None:
    answer = command("check", scenario, "--engine", "z3", "--fix", "one-order", "--switches", "30")
    assert answer.status == 0


def test_steps(command: Command) -> None:
    answer = command("check", "lost", "--engine", "z3", "--steps", "1")
    assert answer.status == 3 and "nothing within 4 context switches and 1 step" in answer.out


@pytest.mark.parametrize("options", [
    ("--swarm",), ("--storage", "fingerprint"), ("--checkpoint", "c"), ("--walks", "3"),
])  # fmt: skip
def test_no_other_modes(command: Command, options: tuple[str, ...]) -> None:
    answer = command("check", "lost", "--engine", "z3", *options)
    assert answer.status == 2 and len(answer.err.strip().splitlines()) <= 4


def test_switches_are_for_z3(command: Command) -> None:
    assert command("check", "lost", "--switches", "3").status == 2


@pytest.mark.parametrize(("value", "key"), [
    ("{ any = [] }", "setup.total.any"), ("{ any = [1, 1] }", "setup.total.any"),
    ("{ from = 3, to = 2 }", "setup.total.to"), ("{ from = 3 }", "setup.total.to"),
    ("{ some = 3 }", "setup.total.from"), ("{ any = [1], x = 2 }", "setup.total.x"),
    ("{ any = [99] }", "opening: total = 99"), ("{ any = [true] }", "opening: total = True"),
])  # fmt: skip
def test_bad_open_arguments(command: Command, value: str, key: str) -> None:
    Path("bad.toml").write_text(OPEN.replace("{ from = 0, to = 18 }", value))
    answer = command("check", "bad.toml", "--engine", "z3")
    assert answer.status == 2
    assert key in answer.err and len(answer.err.splitlines()) == 1


def test_closing_a_scenario() -> None:
    made = parse(OPEN, "open.toml")
    names = [one.name for one in open_arguments(made)]
    assert names == ["setup.total", "thread[0].program[0].swapped", "thread[1].program[0].swapped"]
    done = closed(made, {"setup.total": 7, "thread[1].program[0].swapped": 1})
    assert done.setup is not None and done.setup.arguments["total"] == 7
    assert [thread.calls[0].arguments["swapped"] for thread in done.threads] == [False, False]
    assert closed(done, {}).text == done.text
    assert 'a = [{ b = "\\"" }, 2, [true]]' in dump({"a": [{"b": '"'}, 2, [True]]})
