"""Counters and mappings: units, mistakes that they notice, and where 1.18 fails."""

from __future__ import annotations

import re

import pytest

from genfscheck.proofs.protocol.deciding import prove_unit
from genfscheck.proofs.protocol.library import theorems
from genfscheck.proofs.protocol.unit import CALLS, ROOT, Unit, source_of

from .counter_mutants import COUNTERS, MAPPINGS
from .mutants import Mutant
from .test_protocol import HARDENED, changed, replaced

NAMES = {"counters": "protocol-counters", "mappings": "protocol-mappings"}
QUICK = ("device", "aiodone", "mlock")


def units(view: str) -> dict[str, Unit]:
    """The theorem's, by routine; of two with the same routine the first."""
    (theorem,) = (each for each in theorems() if each.name == NAMES[view])
    found: dict[str, Unit] = {}
    for each in theorem.units:
        found.setdefault(each.routine, each)
    return found


@pytest.mark.parametrize(("view", "routine"), [
    pytest.param(view, routine, marks=[] if routine in QUICK else [pytest.mark.long])
    for view in NAMES for routine in units(view)
])  # fmt: skip
def test_units(view: str, routine: str) -> None:
    part = prove_unit(units(view)[routine], HARDENED)
    assert not part.failures and not part.open
    assert sum(part.counts.values()) >= 1


@pytest.mark.parametrize("mutant", [
    pytest.param(each, id=each.name, marks=[pytest.mark.long] if each.long else [])
    for each in (*COUNTERS, *MAPPINGS)
])  # fmt: skip
def test_mutants(mutant: Mutant) -> None:
    part = prove_unit(units(mutant.view)[mutant.routine], HARDENED, changed(mutant))
    assert mutant.kind in {kind for kind, _, _ in part.failures}


@pytest.mark.long
def test_1_18_releases_the_lock_before_a_write_is_counted() -> None:
    """F6."""
    part = prove_unit(units("counters")["call_putpages"], ())
    assert {(kind, found.lines) for kind, _, found in part.failures} == {("release", (1121,))}


@pytest.mark.long
def test_1_18_frees_its_array_twice() -> None:
    """F4."""
    part = prove_unit(units("counters")["call_getpages"], ())
    assert ("ledger", (692,)) in {(kind, found.lines) for kind, _, found in part.failures}


def test_1_18_frees_mapped_pages_after_a_failed_read() -> None:
    """F19."""
    part = prove_unit(units("mappings")["aiodone"], ())
    assert {kind for kind, _, _ in part.failures} == {"release", "check"}


@pytest.mark.long
def test_1_18_changes_flags_without_the_lock() -> None:
    """F2."""
    part = prove_unit(units("mappings")["call_getpages"], ())
    assert {(kind, found.lines) for kind, _, found in part.failures} == {
        ("store", (531,)), ("store", (534,)), ("store", (609,))}


def test_the_initial_state_is_counted() -> None:
    text = (ROOT / "model" / "kernel" / "setup.py").read_text()
    assert text.count("allocate(pages)") == text.count("uo_npages += 1") == 1
    assert not re.search(r"v_numoutput|bufs|heap_arrays|inside|allocate\((?!pages)", text)


def test_a_contract_takes_what_its_routine_takes() -> None:
    mutant = replaced("model/actors/calls.py", "    depth: int32,\n    locked: bool = False,",
                      "    depth: int32,\n    locked: bool = True,")
    with pytest.raises(ValueError, match="call_putpages: the contract's args"):
        source_of(mutant, CALLS)
