"""Exclusive ownership: units, mistakes that they notice, and that nothing lies outside of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from genfscheck.proofs.protocol import ownership
from genfscheck.proofs.protocol.coverage import OWNERSHIP, uncovered
from genfscheck.proofs.protocol.deciding import prove_unit
from genfscheck.proofs.protocol.unit import OWNERSHIP as CONTRACTS
from genfscheck.proofs.protocol.unit import ROOT, Unit, source_of, strengthened, texts

from .mutants import Mutant
from .ownership_mutants import MUTANTS
from .test_protocol import HARDENED, changed, replaced

UNITS = dict(ownership.UNITS)
QUICK = ("of_uvn_findpages", "of_genfs_rel_pages", "of_getpages", "of_cluster", "of_fault", "mlock")


def unit(routine: str) -> Unit:
    return Unit(routine, "ownership", ownership.parameters(routine), UNITS[routine])


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


@pytest.mark.parametrize("routine", ["of_locked", "of_release", "of_cluster", "of_genfs_rel_pages"])
def test_every_obligation_is_reached(routine: str) -> None:
    _, decider, _ = strengthened(unit(routine), HARDENED)
    assert not decider.unreached()


@pytest.mark.long
@pytest.mark.parametrize(("routine", "stores"), [("of_read_loop", {531, 534}), ("of_io", {609})])
def test_1_18_changes_flags_without_the_lock(routine: str, stores: set[int]) -> None:
    part = prove_unit(unit(routine), ())
    # Where the unit with the store ends: the next statement that others can see.
    ends = {531: {534, 529, 537}, 534: {529, 537}, 609: {605, 615}}
    seen = {line for _, _, found in part.failures for line in found.lines}
    assert part.failures and seen <= set().union(*(ends[each] for each in stores))


def test_callers_pass_what_the_routine_takes() -> None:
    """Two parameters change places; who calls does not know."""
    taken = ("    write: bool,\n    blockalloc: bool,\n    overwrite: bool,\n    async_: bool,\n"
             "    have_m: bool,\n) -> None:")
    mutant = replaced("model/genfs/getpages.py", taken,
                      taken.replace("overwrite", "x").replace("have_m", "overwrite")
                      .replace("x", "have_m"))
    part = prove_unit(unit("of_getpages"), HARDENED, mutant)
    assert part.failures


def test_the_initial_state_has_no_busy_page() -> None:
    text = (ROOT / "model" / "kernel" / "setup.py").read_text()
    assert set(re.findall(r"PG\.(\w+)", text)) == {"CLEAN", "RDONLY"}
    assert not re.search(r"\.(owner|io) =", text)


@pytest.mark.long
@pytest.mark.parametrize("rwmap", [0, 1])
def test_nothing_lies_outside_of_the_units(rwmap: int) -> None:
    units = [(name, source_of(texts(), used, CONTRACTS)) for name, used in UNITS.items()]
    whole = source_of(texts(), (), CONTRACTS)
    actors = {name for _, text in texts().values()
              for name in re.findall(r"@actor\ndef (\w+)\(", text)}
    assert actors == {*ownership.ACTORS, "aiodone", "device", "disk"}
    view = replace(OWNERSHIP, whole=(*OWNERSHIP.whole, ("RWMAP", rwmap)))
    missing, count = uncovered(whole, units, sorted(actors), HARDENED, view)
    assert count > 500
    assert all("'_refuse', '_hand_over'" in each for each in missing), missing
