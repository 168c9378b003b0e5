"""One measurement: one tool, one program, everything that is reported of it.

Every tool answers the same question of the same IR.  What is compared is stated for each
number; nothing here decides which tool is good.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..explore.explore import explore
from ..explore.result import EngineName, Granularity
from ..export import promela, spin
from ..lang import ir

Tool: TypeAlias = Literal["python", "native", "spin"]


@dataclass(frozen=True, slots=True)
class Way:
    """A tool and how it searches.

    ``unreduced`` searches store every fine state and no other, so that their counts must be
    equal.  ``spin`` is SPIN's mode; on two cores it stores states within steps too.
    """

    name: str
    tool: Tool
    unreduced: bool
    workers: int = 1
    spin: spin.Mode = "plain"

    @property
    def granularity(self) -> Granularity:
        return "fine" if self.unreduced else "reduced"


WAYS = (
    Way("python", "python", True),
    Way("native", "native", True),
    Way("native, 2 workers", "native", True, 2),
    Way("python, reduced", "python", False),
    Way("native, reduced", "native", False),
    Way("native, reduced, 2 workers", "native", False, 2),
    Way("spin", "spin", True),
    Way("spin, collapse", "spin", True, spin="collapse"),
    Way("spin, 2 cores", "spin", False, 2, "two-cores"),
    Way("spin, reduced", "spin", False, spin="reduced"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement; times in seconds, sizes in bytes.

    ``search`` is the search alone: no compilation, no check for threads that can never finish,
    no paths.  ``verdict`` is everything from the IR to the verdict but the C compiler's time,
    which is ``compile`` (its cache empty).  ``stored`` is what the tool used for all states.
    """

    way: str
    states: int
    transitions: int
    search: float
    verdict: float
    compile: float
    stored: int
    complete: bool
    violated: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where one measurement ends: states of the python engine, seconds, bytes.

    ``builds``: where SPIN's verifiers are kept from round to round.
    """

    python_states: int
    seconds: float
    memory: int
    builds: Path


def measure(program: ir.Program, way: Way, bounds: Bounds, first: bool = False) -> Sample:
    """Run one tool once.  ``first``: until the first violation."""
    if way.tool == "spin":
        return _spin(program, way, bounds, first)
    with _empty_cache():
        started = time.monotonic()
        result = explore(
            program,
            granularity=way.granularity,
            engine=_engine(way),
            workers=way.workers,
            max_states=bounds.python_states if way.tool == "python" else None,
            max_seconds=bounds.seconds,
            max_memory=bounds.memory,
            first=first,
        )
        total = time.monotonic() - started
    return Sample(
        way.name,
        result.states,
        result.transitions,
        result.search_seconds,
        total - result.compile_seconds,
        result.compile_seconds,
        result.stored_bytes,
        result.complete or result.bound == "first",
        result.verdict == "violated",
    )


def _engine(way: Way) -> EngineName:
    return "native" if way.tool == "native" else "python"


@contextmanager
def _empty_cache() -> Iterator[None]:
    """Compile anew: what the C compiler takes is part of the measurement."""
    before = os.environ.get("GENFSCHECK_CACHE")
    with tempfile.TemporaryDirectory(prefix="genfscheck-bench-") as folder:
        os.environ["GENFSCHECK_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["GENFSCHECK_CACHE"]
            else:
                os.environ["GENFSCHECK_CACHE"] = before


def _spin(program: ir.Program, way: Way, bounds: Bounds, first: bool) -> Sample:
    started = time.monotonic()
    exported = promela.export(program)
    exporting = time.monotonic() - started
    compiling = _verifier(program, exported, way, bounds)
    result = spin.search(
        _folder(program, way, bounds),
        mode=way.spin,
        max_seconds=bounds.seconds,
        seconds_compile=compiling,
        first=first,
    )
    return Sample(
        way.name,
        result.states - exported.extra_states,
        result.transitions,
        result.seconds_search,
        exporting + result.seconds_search,
        result.seconds_compile,
        result.state_bytes,
        result.complete or first,
        result.verdict != "none",
    )


def _folder(program: ir.Program, way: Way, bounds: Bounds) -> Path:
    return bounds.builds / f"{program.name}-{way.spin}"


def _verifier(
    program: ir.Program, exported: promela.Exported, way: Way, bounds: Bounds
) -> float:
    """Build SPIN's verifier in the first round (that takes minutes); the seconds it took."""
    folder = _folder(program, way, bounds)
    note = folder / "seconds"
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        seconds = spin.build(
            exported.text,
            folder,
            mode=way.spin,
            max_memory=bounds.memory,
            vector_bytes=max(1024, exported.vector_bytes),
        )
        note.write_text(repr(seconds))
    return float(note.read_text())
