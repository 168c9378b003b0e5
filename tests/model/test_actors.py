"""Every actor, alone with the device, keeps every promise; faults are met and survived."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import genfscheck
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.lang.compile import CallSpec, ProgramSpec, ThreadSpec, compile_program
from genfscheck.checker.lang.source import load_package

SOURCE = load_package(Path(genfscheck.__file__).parent / "model", "genfscheck.model")
GEOMETRY = {"NPAGES": 2, "FILE_PAGES": 2, "NBLOCKS": 3, "NBUFS": 2, "NKVA": 2, "NMAPPINGS": 2}
FILE: dict[str, Any] = {"size": 4, "disk": [0, 1], "cache": [0, 0]}
DIRTY = {"size": 4, "disk": [0, 1], "cache": [3, 3], "listed": True}
SHORT = {"size": 2, "disk": [0, -1], "cache": [0, 0]}
HOLE = {"size": 4, "disk": [-1, 1], "cache": [0, 0]}
DAEMON = {"PAGEDAEMON": 1}
JOURNAL = {"WAPBL": 1}

Table = list[tuple[str, dict[str, Any], Mapping[str, Any], Mapping[str, int]]]
ALONE: Table = [
    ("mapped_load", {"vp": 0, "unit": 0, "entry": "READ"}, FILE, {}),
    ("mapped_load", {"vp": 0, "unit": 0, "entry": "READ", "readahead": 1}, FILE, {}),
    ("mapped_store", {"vp": 0, "unit": 0, "store": 0}, FILE, {}),
    ("mapped_store", {"vp": 0, "unit": 0, "store": 0}, HOLE, {}),
    ("mlock", {"vp": 0, "unit": 0, "entry": "WRITE"}, FILE, DAEMON),
    ("read", {"vp": 0, "off": 0, "length": 4, "window": 1}, FILE, {}),
    ("readahead", {"vp": 0, "off": 0}, FILE, {}),
    ("write", {"vp": 0, "off": 1, "length": 2, "store": 0, "window": 1}, FILE, {}),
    ("write", {"vp": 0, "off": 2, "length": 2, "store": 0, "window": 1, "sync": True}, SHORT, {}),
    ("write", {"vp": 0, "off": 0, "length": 3, "store": 0, "window": 1, "crossing": 2}, FILE, {}),
    ("truncate", {"vp": 0, "length": 1, "window": 1}, DIRTY, {}),
    ("truncate", {"vp": 0, "length": 0, "window": 1}, DIRTY, {}),
    ("extend", {"vp": 0, "length": 3}, SHORT, {}),
    ("fsync", {"vp": 0}, DIRTY, {}),
    ("fsync", {"vp": 0}, DIRTY, JOURNAL),
    ("fsync_range", {"vp": 0, "low": 0, "high": 2}, DIRTY, {}),
    ("msync", {"vp": 0, "low": 0, "high": 4, "invalidate": True}, DIRTY, {}),
    ("syncer", {"vp": 0}, DIRTY, {}),
    ("pagedaemon", {"looks": 2}, DIRTY, DAEMON),
    ("journal_flusher", {}, DIRTY, JOURNAL),
    ("suspend", {"vp": 0}, DIRTY, {}),
    ("reclaim", {"vp": 0}, DIRTY, {}),
]  # fmt: skip
FAULTS: Table = [
    ("mapped_load", {"vp": 0, "unit": 0, "entry": "READ"}, {**FILE, "read_error": 1}, {}),
    ("mapped_load", {"vp": 0, "unit": 0, "entry": "READ"}, {**FILE, "bmap_error": 1}, {}),
    ("mapped_load", {"vp": 0, "unit": 0, "entry": "READ"}, {**FILE, "no_memory": 1}, {}),
    ("readahead", {"vp": 0, "off": 0}, {**FILE, "read_error": 1}, {}),
    ("mapped_store", {"vp": 0, "unit": 0, "store": 0}, {**HOLE, "no_space": 1}, {}),
    ("fsync", {"vp": 0}, {**DIRTY, "write_error": 1}, {}),
    ("msync", {"vp": 0, "low": 0, "high": 4}, {**DIRTY, "bmap_error": 1}, {}),
    ("pagedaemon", {}, {**DIRTY, "write_nomem": 1}, DAEMON),
    ("reclaim", {"vp": 0}, {**DIRTY, "write_error": 1}, {}),
    ("fsync", {"vp": 0}, {**DIRTY, "journal_error": 1, "journal_full": 1}, JOURNAL),
]  # fmt: skip
LARGE: Table = [
    ("extend", {"vp": 0, "length": 4}, {**SHORT, "no_space": 1}, {}),
    ("write",
     {"vp": 0, "off": 2, "length": 2, "store": 0, "window": 1, "may_fail": True},
     {**SHORT, "user_fault": 1}, {}),
]  # fmt: skip


# 1.18 forgets a write error in reclaim (finding F15): the fault alone would be a violation.
FIXES = frozenset({"reclaim-keeps-error"})


def run(
    actor: str,
    arguments: Mapping[str, Any],
    file: Mapping[str, Any],
    geometry: Mapping[str, int],
    fixes: frozenset[str] = frozenset(),
) -> Any:
    threads = (
        ThreadSpec("actor", (CallSpec(actor, arguments),)),
        ThreadSpec("disk", (CallSpec("disk"),), daemon=True),
        ThreadSpec("aiodone", (CallSpec("aiodone"),), daemon=True),
    )
    spec = ProgramSpec(actor, threads, CallSpec("file", file), {**GEOMETRY, **geometry}, fixes)
    return explore(compile_program(SOURCE, spec), granularity="fine")


def name(case: Any) -> str | None:
    return case if isinstance(case, str) else None


@pytest.mark.parametrize(("actor", "arguments", "file", "geometry"), ALONE, ids=name)
def test_alone(
    actor: str, arguments: dict[str, Any], file: dict[str, Any], geometry: dict[str, int]
) -> None:
    result = run(actor, arguments, file, geometry)
    assert result.verdict == "holds", [found.message for found in result.violations]


@pytest.mark.parametrize(("actor", "arguments", "file", "geometry"), FAULTS, ids=name)
def test_fault(
    actor: str, arguments: dict[str, Any], file: dict[str, Any], geometry: dict[str, int]
) -> None:
    """The fault gives more behaviours than there are without it, and breaks nothing."""
    budgets = {key for key, value in file.items() if value == 1 and key not in ("size", "listed")}
    sound = {key: value for key, value in file.items() if key not in budgets}
    result = run(actor, arguments, file, geometry, FIXES)
    assert result.verdict == "holds", [found.message for found in result.violations]
    assert result.states > run(actor, arguments, sound, geometry, FIXES).states


@pytest.mark.long
@pytest.mark.parametrize(("actor", "arguments", "file", "geometry"), LARGE, ids=name)
def test_fault_of_a_large_program(
    actor: str, arguments: dict[str, Any], file: dict[str, Any], geometry: dict[str, int]
) -> None:
    test_fault(actor, arguments, file, geometry)


def test_transfers_in_either_order() -> None:
    """Two transfers at one time may complete in either order."""
    calls = {"vp": 0, "off": 0}
    spec = ProgramSpec(
        "two",
        (
            ThreadSpec("one", (CallSpec("readahead", calls),)),
            *(ThreadSpec(f"disk{n}", (CallSpec("device", {"slot": n}),), True) for n in (0, 1, 2)),
            ThreadSpec("aiodone", (CallSpec("aiodone"),), daemon=True),
        ),
        CallSpec("file", {**FILE, "disk": [2, 0]}),
        {**GEOMETRY, "NBUFS": 3},
    )
    result = explore(compile_program(SOURCE, spec), granularity="fine")
    assert result.verdict == "holds"
