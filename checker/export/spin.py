"""Runs SPIN on a Promela model: spin, the C compiler, the verifier; and reads its report.

``run`` takes the text of any model.  The flags are those under which SPIN stores a state for
each state of the model: no dataflow optimisation, no hidden write-only variables, no merged
statements (``-o1 -o2 -o3``), and in every mode but ``reduced`` no partial-order reduction.
Breadth first (``breadth``, ``two-cores``) SPIN also stores the states within ``atomic``
sequences: what it counts then is more than the states of the model, and is no rate to compare.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["plain", "collapse", "reduced", "breadth", "two-cores"]
Verdict: TypeAlias = Literal["assertion", "invalid end state", "none"]

SPIN_FLAGS = ("-a", "-o1", "-o2", "-o3")
MODES: dict[Mode, tuple[str, ...]] = {
    "plain": ("-DNOREDUCE",),
    "collapse": ("-DNOREDUCE", "-DCOLLAPSE"),
    "reduced": (),
    "breadth": ("-DNOREDUCE", "-DBFS"),
    "two-cores": ("-DNOREDUCE", "-DBFS_PAR"),
}
BREADTH_FIRST = ("breadth", "two-cores")
EXACT_BELOW = 100_000_000
BUILD_SECONDS = 600.0
_GRACE = 20.0
_HIDDEN = "#error cannot use BFS on models with variables declared hidden"


class SpinError(Exception):
    """SPIN, the compiler or the verifier is missing or failed; the text is one line."""


@dataclass(frozen=True, slots=True)
class SpinResult:
    """What SPIN reported.

    ``states`` and ``transitions`` count what was stored, and stored or met again; above
    :data:`EXACT_BELOW` SPIN prints eight digits only.  Times are in seconds, sizes in bytes;
    ``memory_bytes`` is all that the verifier used, ``state_bytes`` that for states.  ``verdict``
    names the gravest error, ``broken`` the properties whose assertions failed, as variables of
    the model.  ``complete`` is False where a limit was hit, or the search ended at an error.
    """

    states: int
    transitions: int
    depth: int
    errors: int
    seconds_search: float
    seconds_compile: float
    vector_bytes: int
    state_bytes: int
    memory_bytes: int
    verdict: Verdict
    deadlocks: bool
    broken: tuple[str, ...]
    complete: bool


def missing() -> str:
    """What is not installed, in words; empty where everything is."""
    if shutil.which("spin") is None:
        return "spin is not installed"
    return "" if _compiler() else "no C compiler is installed"


def _compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def run(
    promela_text: str,
    *,
    mode: Mode = "plain",
    max_seconds: float = 600.0,
    max_memory: int = 4 << 30,
    max_depth: int = 1_000_000,
    hash_bits: int = 24,
    vector_bytes: int = 1024,
    optimise: str = "-O2",
    first: bool = False,
) -> SpinResult:
    """Verify a model, exhaustively and without stopping at errors (``first``: up to the first).

    ``max_seconds`` limits the search, ``max_memory`` (bytes) the verifier.  ``max_depth`` is
    the depth of SPIN's stack: where a search needs more it is started again with ten times
    as many.  ``hash_bits`` sizes the hash table, ``vector_bytes`` is at least the size of a state.
    Raises SpinError.
    """
    absent = missing()
    if absent:
        raise SpinError(absent)
    with tempfile.TemporaryDirectory(prefix="genfscheck-spin-") as name:
        folder = Path(name)
        seconds = build(
            promela_text, folder, mode=mode, max_memory=max_memory, vector_bytes=vector_bytes,
            optimise=optimise, limit=max(BUILD_SECONDS, max_seconds),
        )  # fmt: skip
        return search(
            folder, mode=mode, max_seconds=max_seconds, max_depth=max_depth, hash_bits=hash_bits,
            seconds_compile=seconds, first=first,
        )  # fmt: skip


def search(
    folder: Path,
    *,
    mode: Mode,
    max_seconds: float,
    max_depth: int = 1_000_000,
    hash_bits: int = 24,
    seconds_compile: float = 0.0,
    first: bool = False,
) -> SpinResult:
    """Run the verifier that :func:`build` made in a folder, with as deep a stack as it takes."""
    while True:
        result = verify(
            folder, mode=mode, max_seconds=max_seconds, max_depth=max_depth,
            hash_bits=hash_bits, seconds_compile=seconds_compile, first=first,
        )  # fmt: skip
        if not _too_deep(folder) or max_depth >= 100_000_000:
            return result
        max_depth *= 10


def build(
    promela_text: str,
    folder: Path,
    *,
    mode: Mode,
    max_memory: int,
    vector_bytes: int = 1024,
    optimise: str = "-O2",
    limit: float = 600.0,
) -> float:
    """Make the verifier ``pan`` in a folder; the seconds that it took.  Raises SpinError."""
    compiler = _compiler()
    if compiler is None:
        raise SpinError(missing())
    started = time.monotonic()
    (folder / "model.pml").write_text(promela_text)
    _command(["spin", *SPIN_FLAGS, "model.pml"], folder, limit)
    if mode in BREADTH_FIRST:
        # SPIN refuses hidden variables there, because it does not restore them.  A model of
        # this package reads none that the same d_step has not assigned.
        header = folder / "pan.h"
        header.write_text(header.read_text().replace(_HIDDEN, ""))
    flags = [
        optimise, "-fno-tree-dse", "-w", "-DSAFETY", *MODES[mode],
        f"-DMEMLIM={max(1, max_memory >> 20)}", f"-DVECTORSZ={vector_bytes}",
    ]  # fmt: skip
    _command([compiler, *flags, "-o", "pan", "pan.c"], folder, limit)
    return time.monotonic() - started


def _command(command: Sequence[str], folder: Path, limit: float) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise SpinError(f"{Path(command[0]).name}: not finished after {limit:.0f} s") from None
    except OSError as error:
        raise SpinError(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0 or not any(folder.glob("pan*")):
        lines = (done.stdout + done.stderr).strip().splitlines()
        said = next((line for line in lines if "rror" in line), lines[-1] if lines else "failed")
        raise SpinError(f"{Path(command[0]).name}: {' '.join(said.split())}")


def verify(
    folder: Path,
    *,
    mode: Mode,
    max_seconds: float,
    max_depth: int,
    hash_bits: int,
    seconds_compile: float = 0.0,
    first: bool = False,
) -> SpinResult:
    """Run the verifier in a folder.  Raises SpinError where it ends without a report."""
    report = folder / "report.txt"
    command = ["./pan", "-c1" if first else "-c0", "-n", f"-w{hash_bits}"]
    if mode not in BREADTH_FIRST:
        command.append(f"-m{max_depth}")
    if mode == "two-cores":
        command.append("-u2")
    started = time.monotonic()
    stopped = False
    with report.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(max_seconds)
        except subprocess.TimeoutExpired:
            stopped = True
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                pass
        finally:
            if process.poll() is None or mode == "two-cores":
                _end_group(process)
            process.wait()
    elapsed = time.monotonic() - started
    with report.open(errors="replace") as lines:
        return _parsed(lines, elapsed, seconds_compile, stopped)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what the verifier started, and nothing else: it leads a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _too_deep(folder: Path) -> bool:
    with (folder / "report.txt").open(errors="replace") as lines:
        return any("max search depth too small" in line for line in lines)


_NUMBER = r"([0-9.]+(?:e[+-]?\d+)?)"
_COUNTS = {
    "states": re.compile(rf"\s*{_NUMBER} states, stored"),
    "transitions": re.compile(rf"\s*{_NUMBER} transitions"),
    "state_bytes": re.compile(rf"\s*{_NUMBER}\s+actual memory usage for states"),
    "memory_bytes": re.compile(rf"\s*{_NUMBER}\s+total actual memory usage"),
    "seconds": re.compile(rf"pan: elapsed time {_NUMBER} seconds"),
}
_VECTOR = re.compile(r"State-vector (\d+) byte, depth reached (\d+), errors: (\d+)")
_BROKEN = re.compile(r"pan:\s*\d+: assertion violated \(?(\w+)")
_BOUNDS = re.compile(r"pan:\s*\d+: .*invalid array index")
_LIMITS = ("max search depth too small", "out of memory", "MEMLIM", "Interrupted", "aborting",
           "Search not completed")  # fmt: skip


def _parsed(
    lines: Iterable[str], elapsed: float, seconds_compile: float, stopped: bool
) -> SpinResult:
    found: dict[str, float] = {}
    vector = depth = errors = -1
    broken: dict[str, None] = {}
    deadlocks, complete = False, not stopped
    last = ""
    for line in lines:
        last = line.strip() or last
        for name, pattern in _COUNTS.items():
            match = pattern.match(line)
            if match is not None:
                found[name] = float(match[1])
        match = _VECTOR.search(line)
        if match is not None:
            vector, depth, errors = int(match[1]), int(match[2]), int(match[3])
        if _BOUNDS.match(line):
            raise SpinError("the model indexes outside an array: this is a mistake of the export")
        match = _BROKEN.match(line)
        if match is not None:
            broken[match[1]] = None
        deadlocks = deadlocks or "invalid end state" in line and line.startswith("pan:")
        complete = complete and not any(limit in line for limit in _LIMITS)
    if "states" not in found:
        raise SpinError(f"the verifier ended without a report: {last[:200]}")
    verdict: Verdict = "assertion" if broken else "invalid end state" if deadlocks else "none"
    return SpinResult(
        int(found["states"]), int(found.get("transitions", 0)), depth, errors,
        found.get("seconds", elapsed), seconds_compile, vector,
        int(found.get("state_bytes", 0) * (1 << 20)), int(found.get("memory_bytes", 0) * (1 << 20)),
        verdict, deadlocks, tuple(broken), complete,
    )  # fmt: skip
