"""Theorems decided in other processes: the same verdicts, progress, and an interrupt."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from genfscheck.proofs import running
from genfscheck.proofs.library import arithmetic

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
    parts = running.SLICES + 1
    # (one worker: a unit's slices, then its verdict, before the next one begins)
    assert decided == [("gop-write-length", "proved", (), parts),
                       ("gop-write-rwmap-length", "proved", (), 2 * parts)]  # fmt: skip
    assert seen == [(number, 2 * parts) for number in range(1, 2 * parts + 1)]


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
