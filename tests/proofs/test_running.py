"""Theorems decided in other processes: the same verdicts, progress, and an interrupt."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from genfscheck.proofs import running
from genfscheck.proofs.library import arithmetic
from genfscheck.proofs.theorem import BATCH

from .helpers import theorem


def test_each_as_its_unit_is_done() -> None:
    chosen = [theorem(name) for name in ("gop-write-length", "gop-write-rwmap-length")]
    seen: list[tuple[int, int]] = []
    decided = []
    for found, outcome in running.run(
        arithmetic, chosen, workers=1, progress=lambda done, total: seen.append((done, total))
    ):
        decided.append((found.name, outcome.verdict, outcome.open, len(seen)))
        assert outcome.obligations > 0 and outcome.seconds > 0
    # (one worker: a unit's verdict before the next one begins)
    assert decided == [("gop-write-length", "proved", (), 1),
                       ("gop-write-rwmap-length", "proved", (), 2)]  # fmt: skip
    assert seen == [(1, 2), (2, 2)]


def test_a_process_without_a_result_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="gop-write"):
        list(running.run(os._exit, [theorem("gop-write-length")]))  # type: ignore[arg-type]


def test_every_obligation_is_in_one_slice() -> None:
    places = list(range(3, 3 + 5 * BATCH + 1))
    dealt = [running.dealt(places, number, 3) for number in range(3)]
    assert sorted(place for each in dealt for place in each) == places
    assert [len(each) for each in dealt] == [2 * BATCH, 2 * BATCH, BATCH + 1]


def test_an_interrupt_ends_all_processes() -> None:
    """As a terminal does, to the whole group."""
    with subprocess.Popen(
        [sys.executable, "-m", "genfscheck", "prove", "--workers", "1",
         "gop-write-length", "putpages-cluster", "putpages-range"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        # (the workers have these pipes too: this ends only when they have)
        out, err = process.communicate(timeout=60)
    assert first.startswith("putpages-cluster ") and "proved" in first
    assert re.fullmatch("interrupted: [12] of 3 theorems decided\n", err)
    assert process.returncode == 3 and "putpages-range" not in out
