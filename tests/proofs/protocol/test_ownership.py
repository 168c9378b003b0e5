"""Exclusive ownership: units, mistakes that they notice, and that nothing lies outside of them."""

from __future__ import annotations

import pytest

from genfscheck.proofs.protocol import ownership
from genfscheck.proofs.protocol.library import Unit, prove_unit

from .mutants import Mutant
from .ownership_mutants import MUTANTS
from .test_protocol import HARDENED, changed

UNITS = dict(ownership.UNITS)
QUICK = ("of_uvn_findpages", "of_genfs_rel_pages", "of_getpages", "of_cluster", "of_fault", "mlock")


def unit(routine: str) -> Unit:
    return Unit(routine, "ownership", ownership.PARAMETERS, UNITS[routine])


@pytest.mark.parametrize("routine", [
    pytest.param(each, marks=[] if each in QUICK else [pytest.mark.long]) for each in UNITS
])  # fmt: skip
def test_units(routine: str) -> None:
    part = prove_unit(unit(routine), HARDENED)
    assert not part.failures and not part.open
    assert sum(part.counts.values()) >= 1


@pytest.mark.parametrize("mutant", [
    pytest.param(each, id=each.name, marks=[pytest.mark.long] if each.long else [])
    for each in MUTANTS
])  # fmt: skip
def test_mutants(mutant: Mutant) -> None:
    part = prove_unit(unit(mutant.routine), HARDENED, changed(mutant))
    assert mutant.kind in {kind for kind, _, _ in part.failures}


@pytest.mark.long
def test_1_18_changes_flags_without_the_lock() -> None:
    part = prove_unit(unit("of_read_loop"), ())
    assert {lines for _, _, found in part.failures for lines in [found.lines]} <= {
        (529,), (531,), (533,), (534,)}
