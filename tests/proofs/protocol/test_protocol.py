"""The protocol's theorems: verdicts, and mistakes in the model that they notice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from genfscheck.proofs.library import fixes
from genfscheck.proofs.protocol import library, ownership
from genfscheck.proofs.protocol.library import (
    CALLS,
    Unit,
    cycle,
    cycles,
    prove_unit,
    source_of,
    texts,
)

from .mutants import MUTANTS, Mutant

BASE = (("NBUFS", 2), ("NPAGES", 2), ("PAGEDAEMON", 1), ("WAPBL", 1))
HARDENED = fixes(source_of(texts(), ()))


def unit(view: str, routine: str) -> Unit:
    if view == "ownership":
        return Unit(routine, view, ownership.parameters(routine))
    inlined = routine in CALLS or routine in ("genfs_rel_pages", "uvn_findpages")
    return Unit(routine, view, BASE, () if inlined else CALLS)


def changed(mutant: Mutant) -> Mapping[str, tuple[str, str]]:
    """The sources with the mistake in it."""
    found = dict(texts())
    for name, (path, text) in found.items():
        if path == mutant.module:
            assert text.count(mutant.old) == 1, mutant.name
            text = text.replace(mutant.old, mutant.new)
            if "sleep_on(" in mutant.new:
                text = text.replace("rw_enter, rw_exit,\n)", "rw_enter, rw_exit, sleep_on,\n)", 1)
            found[name] = (path, text)
    return found


@pytest.mark.parametrize("routine", ["msync", "fsync", "pagedaemon", "aiodone"])
def test_locks(routine: str) -> None:
    part = prove_unit(unit("locks", routine), HARDENED)
    assert not part.open
    assert {kind for kind, _, _ in part.failures} <= {"order"}
    assert part.counts["check"] and part.counts["guarantee"]


@pytest.mark.parametrize("view", ["locks", "words"])
@pytest.mark.parametrize("routine", ["mlock", "flush"])
def test_words_and_locks_of_callers(view: str, routine: str) -> None:
    part = prove_unit(unit(view, routine), ())
    assert not part.open and {kind for kind, _, _ in part.failures} <= {"order"}


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, id=each.name, marks=[pytest.mark.long] if each.long else [])
     for each in MUTANTS],
)  # fmt: skip
def test_mutants(mutant: Mutant) -> None:
    part = prove_unit(unit(mutant.view, mutant.routine), HARDENED, changed(mutant))
    assert mutant.kind in {kind for kind, _, _ in part.failures}


def test_order() -> None:
    assert cycle(["a before b", "b before c", "a before c"]) == []
    assert cycle(["a before b", "b before c", "c before a", "a before d"]) == [
        "a before b", "b before c", "c before a"]
    assert cycles(["a before b", "b before a", "b before c", "c before b", "a before d"]) == [
        ["a before b", "b before a"], ["b before c", "c before b"]]


def orders(
    routine: str, fixes: tuple[str, ...], given: Mapping[str, tuple[str, str]] | None = None
) -> set[str]:
    """What a routine holds while it waits for what."""
    part = prove_unit(unit("locks", routine), fixes, given)
    assert not part.open and {kind for kind, _, _ in part.failures} <= {"order"}
    return {name for _, name, _ in part.failures}


def test_suspension_waits_for_transactions_behind_the_gate() -> None:
    assert "gate before transactions" in orders("suspend", HARDENED)
    assert "vnodes.v_lock before gate" in orders("fsync", HARDENED)
    assert "pages before vnodes.interlock" in orders("mlock", HARDENED)


def replaced(module: str, old: str, new: str) -> Mapping[str, tuple[str, str]]:
    """The sources with one passage changed."""
    found = dict(texts())
    (name,) = (name for name, (path, _) in found.items() if path == module)
    path, text = found[name]
    assert text.count(old) == 1
    found[name] = path, text.replace(old, new)
    return found


def test_mutant_a_transaction_before_the_vnode_lock() -> None:
    enters, locks = "    fstrans_start(Lock.LAZY)\n", "    rw_enter(vp.v_lock, RW.WRITER)\n"
    mutant = replaced("model/actors/fsync.py", f"{locks}{enters}    flush_range",
                      f"{enters}{locks}    flush_range")
    wrong = orders("fsync_range", HARDENED, mutant)
    assert "transactions before vnodes.v_lock" in wrong
    right = orders("fsync", HARDENED) | orders("suspend", HARDENED)
    assert cycles(right) == [] and cycles(right | wrong) != []


@pytest.mark.long
def test_mutant_pages_before_the_glock() -> None:
    mutant = replaced("model/actors/sizes.py", '    held: bool = fixed("glock-held")',
                      "    held: bool = False")
    assert "pages before vnodes.g_glock" in orders("extend", HARDENED, mutant)


@pytest.mark.long
def test_order_of_pages_and_the_glock() -> None:
    """F1: who has pages waits for g_glock; who has g_glock waits for pages."""
    getpages = orders("call_getpages", ())
    assert "vnodes.g_glock before pages" in getpages
    assert "pages before vnodes.g_glock" in orders("extend", ())
    fixed = orders("call_getpages", HARDENED) | orders("extend", HARDENED)
    assert "vnodes.g_glock before pages" in fixed
    assert not {"pages before vnodes.g_glock", "pages before mount.wl_rwlock"} & fixed
    assert cycles(fixed | orders("call_putpages", HARDENED) | orders("suspend", HARDENED)) == []


@pytest.mark.long
@pytest.mark.parametrize("routine", CALLS)
def test_locks_of_the_two_functions(routine: str) -> None:
    part = prove_unit(unit("locks", routine), HARDENED)
    assert not part.open and {kind for kind, _, _ in part.failures} <= {"order"}


@pytest.mark.long
def test_updates_that_1_18_loses() -> None:
    part = prove_unit(unit("words", "call_getpages"), ())
    lines = {found.lines for kind, _, found in part.failures if kind == "store"}
    assert lines == {(531,), (534,), (609,)}
    fixed = prove_unit(unit("words", "call_getpages"), HARDENED)
    assert not fixed.failures and not fixed.open


@pytest.mark.long
def test_theorems() -> None:
    verdicts = {theorem.name: outcome.verdict for theorem, outcome in library.run(workers=2)}
    assert verdicts["protocol-locks-hardened"] == "proved"
    assert verdicts["protocol-ownership"] == "fails"
    assert verdicts["protocol-ownership-hardened"] == "proved"
    for name in ("protocol-dirty-implies-listed", "protocol-cleaned-before-freed"):
        assert verdicts[name] == "fails" and verdicts[f"{name}-hardened"] == "proved"
    assert verdicts["protocol-words"] == "fails"
    assert verdicts["protocol-words-hardened"] == "proved"
