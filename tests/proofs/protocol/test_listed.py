"""Dirty implies listed: units, fixes it needs, mistakes it notices, what stands for what."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genfscheck.model.kernel import pmap
from genfscheck.model.kernel.types import Prot
from genfscheck.proofs.protocol import listed_units, listing
from genfscheck.proofs.protocol.coverage import LISTED, uncovered
from genfscheck.proofs.protocol.deciding import prove_unit
from genfscheck.proofs.protocol.unit import LISTING, Unit, source_of, strengthened, texts

from .listed_mutants import MUTANTS
from .mutants import Mutant
from .test_protocol import HARDENED, changed

UNITS = dict(listed_units.UNITS)
QUICK = ("listed_findpages", "fault")


def unit(routine: str) -> Unit:
    return Unit(routine, "listed", listed_units.parameters(routine),
                (*UNITS[routine], *listed_units.MAPPINGS))


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


@pytest.mark.parametrize(("fix", "routine", "kind", "line"), [
    pytest.param("list-at-out", "listed_getpages", "end", None, marks=pytest.mark.long),
    pytest.param("rescan-after-sleep", "listed_scan", "unlist", 1185, marks=pytest.mark.long),
    pytest.param("busyfail-keeps-list", "listed_scan", "unlist", 1185, marks=pytest.mark.long),
    ("free-still-cleans", "listed_putpages", "lost", 872),
    pytest.param("failed-write-stays-dirty", "aiodone", "release", None, marks=pytest.mark.long),
])  # fmt: skip
def test_fixes_that_it_needs(fix: str, routine: str, kind: str, line: int | None) -> None:
    """F7, F8, F23, F25 and F20."""
    part = prove_unit(unit(routine), tuple(each for each in HARDENED if each != fix))
    found = [failure.lines for each, _, failure in part.failures if each == kind]
    assert found and (line is None or (line,) in found)


@pytest.mark.long
@pytest.mark.parametrize(("routine", "lines"), [("listed_scan", {(1185,), ()}),
                                                ("listed_getpages", {(684,), ()})])
def test_1_18_fails(routine: str, lines: set[tuple[int, ...]]) -> None:
    part = prove_unit(unit(routine), ())
    assert {failure.lines for _, _, failure in part.failures} == lines and not part.open


@pytest.mark.parametrize("routine", [
    "listed_findpages",
    *(pytest.param(each, marks=pytest.mark.long) for each in (
        "aiodone", "listed_scan", "listed_getpages", "listed_io", "listed_read_loop", "fault")),
])  # fmt: skip
def test_every_obligation_is_reached(routine: str) -> None:
    _, decider, _ = strengthened(unit(routine), HARDENED)
    assert not decider.unreached()


@pytest.mark.long
@pytest.mark.parametrize("rwmap", [0, 1])
def test_nothing_lies_outside_of_the_units(rwmap: int) -> None:
    units = [(name, source_of(texts(), (*used, *listed_units.MAPPINGS), LISTING))
             for name, used in UNITS.items()]
    whole = source_of(texts(), listed_units.MAPPINGS, LISTING)
    actors = {name for _, text in texts().values()
              for name in re.findall(r"@actor\ndef (\w+)\(", text)}
    view = replace(LISTED, whole=(*LISTED.whole, ("RWMAP", rwmap)))
    missing, count = uncovered(whole, units, sorted(actors), HARDENED, view)
    assert count > 2500 and not missing


# ------------------------------------------------------- what stands for any mappings


def _page(entries: tuple[Prot, ...]) -> Any:
    return SimpleNamespace(pte=list(entries), modified=False, data={0: 0})


def _strongest(entries: tuple[Prot, ...]) -> Any:
    return _page((max(entries),))


PAIRS = tuple(itertools.product((Prot.NONE, Prot.READ, Prot.WRITE), repeat=2))


def test_the_strongest_entry_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether any entry is writable, as the model has it, is one of the stand-in's answers."""
    for entries, which, prot in itertools.product(PAIRS, (0, 1), tuple(Prot)):
        page = _page(entries)
        pmap.pmap_enter(page, which, prot)
        answers = set()
        for choice in (False, True):
            monkeypatch.setattr(listing, "choose_bool", lambda label, choice=choice: choice)
            other = _strongest(entries)
            listing.pmap_enter(other, which, prot)
            answers.add(other.pte[0] == Prot.WRITE)
        assert (Prot.WRITE in page.pte) in answers


def test_protection_of_the_strongest_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for entries, prot in itertools.product(PAIRS, (Prot.NONE, Prot.READ)):
        page, other = _page(entries), _strongest(entries)
        monkeypatch.setattr(pmap, "NMAPPINGS", 2)
        pmap.pmap_page_protect(page, prot)
        monkeypatch.setattr(pmap, "NMAPPINGS", 1)
        pmap.pmap_page_protect(other, prot)
        assert (Prot.WRITE in page.pte) == (other.pte[0] == Prot.WRITE)


@pytest.mark.parametrize("name", ["user_store", "window_store"])
def test_stores_through_the_strongest_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmap, "note_store", lambda *arguments: None)
    for entries, which in itertools.product(PAIRS, (0, 1)):
        page = _page(entries)
        done = getattr(pmap, name)(SimpleNamespace(tree=[page]), 0, which, 1)
        answers = set()
        for choice in (False, True):
            monkeypatch.setattr(listing, "choose_bool", lambda label, choice=choice: choice)
            other = _strongest(entries)
            answers.add((getattr(listing, name)(SimpleNamespace(tree=[other]), 0, which, 1),
                         other.modified))
        assert (done, page.modified) in answers
