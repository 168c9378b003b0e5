"""``check`` in other modes: what is asked, what is refused, what is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOY = Path(__file__).with_name("toy")
ROOT = Path(__file__).parents[3]
Command = Callable[..., Any]
FINE = ("check", "large", "--granularity", "fine", "--engine", "native")

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


def results(command: Command, *arguments: str) -> list[dict[str, Any]]:
    command(*arguments, "--json", "out.json")
    found: list[dict[str, Any]] = json.loads(Path("out.json").read_text())["results"]
    for entry in found:
        entry.pop("seconds")
    return found


# ------------------------------------------------------------------------- checkpoints


def test_checkpoint_and_resume(command: Command) -> None:
    whole = results(command, *FINE)
    answer = command(*FINE, "--checkpoint", "saved", "--max-states", "50")
    assert answer.status == 3
    assert answer.err == "genfscheck: the search is saved: go on with --resume saved\n"
    assert results(command, *FINE, "--resume", "saved") == whole
    assert Path("saved").exists(), "it was only read"
    assert results(command, *FINE, "--resume", "saved", "--checkpoint", "saved") == whole
    assert not Path("saved").exists(), "the search has come to its end"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "--checkpoint", "saved"), "of one scenario, not of 3"),
        ((*FINE[:-1], "python", "--checkpoint", "saved"), "needs the native engine"),
        ((*FINE, "--checkpoint", "none/saved"), "none/saved: cannot be written: none is not a"),
        ((*FINE, "--checkpoint", "."), ".: cannot be written: it is a directory"),
        ((*FINE, "--checkpoint", "other"), "other: exists and is not a checkpoint"),
        ((*FINE, "--resume", "none"), "none: cannot be read: no such file"),
        ((*FINE, "--resume", "other"), "other: is not a checkpoint"),
    ],
)
def test_refused(command: Command, arguments: tuple[str, ...], words: str) -> None:
    Path("other").write_text("something of mine\n")
    answer = command(*arguments)
    assert answer.status == 2
    assert answer.err.count("\n") == 1 and words in answer.err
    assert Path("other").read_text() == "something of mine\n"


def test_of_another_run(command: Command) -> None:
    command(*FINE, "--checkpoint", "saved", "--max-states", "50")
    before = Path("saved").read_bytes()
    answer = command(*FINE, "--checkpoint", "saved")
    assert answer.status == 2 and "go on with --resume, or remove it" in answer.err
    answer = command(*FINE, "--resume", "saved", "--variant", "hardened")
    assert answer.status == 2
    assert "saved: is of variant plain, expected hardened" in answer.err
    answer = command("check", "careful", *FINE[2:], "--resume", "saved")
    assert answer.status == 2 and "is of scenario large, expected careful" in answer.err
    assert Path("saved").read_bytes() == before


SLOW = f"""
import sys, time
from pathlib import Path
from genfscheck.checker.cli import Subject, run
from genfscheck.checker.explore.native import handle, search
search._BUDGET = 5
advance = handle.NativeEngine.advance
def slowly(self, budget):
    time.sleep(0.05)
    return advance(self, budget)
handle.NativeEngine.advance = slowly
toy = Subject("toy", Path({str(TOY)!r}), "toy", variant="plain")
sys.exit(run(toy, sys.argv[1:]))
"""


def test_interrupt_saves(command: Command, tmp_path: Path) -> None:
    whole = results(command, *FINE)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *FINE, "--checkpoint", "saved", "--checkpoint-every", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not Path("saved").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "interrupted" in out
    assert err == "genfscheck: the search is saved: go on with --resume saved\n"
    assert os.listdir(tmp_path).count("saved") == 1
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
    assert results(command, *FINE, "--resume", "saved") == whole


# -------------------------------------------------------------------------------- swarm


def test_swarm_finds_and_shows(command: Command) -> None:
    swarm = ("check", "crossed", "careful", "--swarm", "--walks", "50", "--steps", "80")
    first = results(command, *swarm, "--workers", "1")
    assert [entry["verdict"] for entry in first] == ["violated", "inconclusive"]
    assert all(entry["why"].startswith("random walks: 50 of ") for entry in first)
    (found,) = first[0]["violations"]
    assert found["finding"] == "B1"
    assert command("show", found["trace"]).status == 0
    assert results(command, *swarm, "--workers", "4") == first
    answer = command(*swarm)
    assert answer.status == 1 and "random walks: 50 of " in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--walks", "5"), "--walks is for --swarm"),
        (("--swarm", "--engine", "python"), "needs the native engine"),
        (("--swarm", "--checkpoint", "saved"), "--swarm has no checkpoints"),
        (("--swarm", "--walks", "0"), "--walks"),
    ],
)
def test_swarm_refused(command: Command, arguments: tuple[str, ...], words: str) -> None:
    answer = command("check", "crossed", *arguments)
    assert answer.status == 2 and words in answer.err and answer.err.count("\n") == 1


# ------------------------------------------------------------------------- fingerprints


def test_fingerprints(command: Command) -> None:
    found = results(command, "check", "careful", "crossed", "--storage", "fingerprint")
    assert [entry["verdict"] for entry in found] == ["holds", "violated"]
    assert 0 < found[0]["omission"] < 1e-12 and "omission" not in found[1]
    assert "with a probability of at most" in found[0]["why"]
    assert "traces from a lossless search" in found[1]["why"]
    assert found[1]["violations"][0]["finding"] == "B1"
    answer = command("check", "careful", "--storage", "fingerprint")
    assert answer.status == 0 and "with a probability of at most" in answer.out


@pytest.mark.parametrize("other", [("--swarm",), ("--checkpoint", "saved"), ("--resume", "saved")])
def test_fingerprints_refused(command: Command, other: tuple[str, ...]) -> None:
    answer = command("check", "careful", "--storage", "fingerprint", *other)
    assert answer.status == 2 and "does not go together with" in answer.err
