"""The command as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "genfscheck", "--version"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("genfscheck")


def test_scenarios(command: Command) -> None:
    answer = command("scenarios")
    assert answer.status == 0
    assert "large  (full)\n    Do three careful deposits keep the money?\n" in answer.out
    listed = json.loads(command("scenarios", "--json").out)
    assert [entry["name"] for entry in listed] == ["careful", "crossed", "large", "lost"]
    assert listed[1]["threads"] == {
        "ann": "mover(swapped=true)", "bob": "mover(swapped=false)",
    }  # fmt: skip


def test_findings(command: Command) -> None:
    assert command("findings").out.startswith("B1  hang  two locks are taken")
    text = command("findings", "b1").out
    assert text.startswith("B1: two locks are taken in two orders\n")
    assert "--fix one-order" in text
    assert json.loads(command("findings", "--json").out)[0]["id"] == "B1"


def test_coverage(command: Command) -> None:
    answer = command("coverage", "--json")
    deposit, transfer = json.loads(answer.out)
    assert deposit["cited"] == deposit["reached"] == [11, 12, 13]
    assert transfer["missed"] == []
    (_, alone) = json.loads(command("coverage", "lost", "--json").out)
    assert [entry["cites"] for entry in alone["missed"]][0] == [31]
    assert "transfer" in command("coverage", "--cited").out


def test_races(command: Command) -> None:
    text = command("races").out
    assert "bank.total\n    stores 12\n    loads  11\n    in     lost\n" in text
    assert text.endswith("2 fields\n")
    assert command("races", "careful").out == "no races\n"
    variables = [entry["variable"] for entry in json.loads(command("races", "--json").out)]
    assert variables == ["bank.paid", "bank.total"]


def test_graph(command: Command) -> None:
    assert command("graph").out.splitlines() == [
        "bank.left -> bank.right  at 36",
        "bank.right -> bank.left  at 33",
        "cycle: bank.left -> bank.right -> bank.left",
        "2 orders, 1 cycles",
    ]
    assert command("graph", "careful").out == "0 orders, 0 cycles\n"
    assert json.loads(command("graph", "--format", "json").out)["cycles"] == [
        ["bank.left", "bank.right"]
    ]
    assert command("graph", "--format", "dot").out.startswith("digraph")


def test_show(command: Command) -> None:
    command("check", "crossed")
    path = "traces/crossed-1.json"
    text = command("show", path).out
    assert "circle     ann -> bob -> ann" in text
    assert "finding    B1: two locks are taken in two orders" in text
    for form in ("json", "itf", "html", "mermaid", "dot"):
        answer = command("show", path, "--format", form, "--output", f"out.{form}")
        assert answer.status == 0
        assert Path(f"out.{form}").stat().st_size > 100
    Path("bank.c").write_text("\n" * 31 + "lock(right);\nlock(left);\n")
    assert "32 | lock(right);" in command("show", path, "--source", "bank.c").out


def test_show_ir(command: Command) -> None:
    routine = command("show", "--ir", "deposit").out
    assert routine.startswith("deposit in scenario careful  cites 11-13\n")
    whole = command("show", "--ir", "crossed").out
    assert whole.startswith("program crossed")
    assert "one-order" not in whole


def test_help_names_every_verb(command: Command) -> None:
    text = command("--help").out
    for verb in ("check", "scenarios", "show", "findings", "coverage", "races", "graph"):
        assert f"\n  {verb} " in text
