"""The protocol's theorems: verdicts, and mistakes in the model that they notice."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from genfscheck.checker.lang.source import PRIMITIVES, with_primitives
from genfscheck.proofs.library import fixes
from genfscheck.proofs.protocol import library, ownership
from genfscheck.proofs.protocol import unit as protocol_unit
from genfscheck.proofs.protocol.deciding import cycle, cycles, prove_unit
from genfscheck.proofs.protocol.unit import CALLS, ROOT, Unit, source_of, texts

from .mutants import MUTANTS, RWMAP_WRITES, Mutant

BASE = (*library.BASE, ("NPAGES", 2), ("WAPBL", 1))
HARDENED = fixes(source_of(texts(), ()))


def unit(view: str, routine: str, more: tuple[tuple[str, int], ...] = ()) -> Unit:
    if view == "ownership":
        return Unit(routine, view, (*ownership.parameters(routine), *more),
                    dict(ownership.UNITS)[routine])
    inlined = routine in CALLS or routine in ("genfs_rel_pages", "uvn_findpages")
    return Unit(routine, view, (*BASE, *more), () if inlined else CALLS)


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
    fixes = tuple(each for each in HARDENED if each != mutant.without)
    part = prove_unit(unit(mutant.view, mutant.routine, mutant.parameters), fixes,
                      changed(mutant))
    assert mutant.kind in {kind for kind, _, _ in part.failures}


def test_every_actor_has_a_unit() -> None:
    actors = {name for _, text in texts().values()
              for name in re.findall(r"@actor\ndef (\w+)\(", text)}
    assert actors == set(library.ACTORS)
    units = {(each.name.removesuffix("-hardened"), unit.routine)
             for each in library.theorems() for unit in each.units}
    for name, exempt in {
        "protocol-locks": set(), "protocol-lock-order": set(),
        # They store to nothing that these follow (for the last two by test_ownership.py's and
        # test_listed.py's last tests).
        "protocol-words": {"journal_flusher"},
        "protocol-counters": set(),
        "protocol-mappings": {"device", "disk"},
        "protocol-ownership": {"device", "disk"},
        "protocol-dirty-implies-listed": {"journal_flusher", "device", "disk"},
    }.items():  # fmt: skip
        proved = {routine for theorem, routine in units if theorem == name}
        named = {"aiodone": "of_aiodone"} if name == "protocol-ownership" else {}
        assert {each for each in actors if named.get(each, each) not in proved} == exempt, name


def test_no_parameter_leaves_code_out() -> None:
    """Each that switches code on is 1 in a unit of each routine, or the theorem's sizes say so."""
    text = (ROOT / "model" / "kernel" / "types.py").read_text()
    switches = set(re.findall(r'"(\w+)", default=0, low=0, high=1', text))
    assert {"WAPBL", "SHOULD_YIELD", "DEBUG"} < switches
    for theorem in library.theorems():
        compiled: dict[str, dict[str, set[int]]] = {}
        for each in theorem.units:
            given = dict(each.parameters)
            for name in switches:
                compiled.setdefault(name, {}).setdefault(each.routine, set()).add(
                    given.get(name, 0))
        # No formula of these depends on fragments but for the size of the file.
        for name in switches - {"DEBUG", "FRAGMENTS", "RWMAP"}:
            left = {routine for routine, values in compiled[name].items() if 1 not in values}
            excused = set(ownership.TRANSFERS) if name == "PAGEDAEMON" else set()
            assert left <= excused, (theorem.name, name)
        assert "without DEBUG" in theorem.sizes
        writing = {"call_putpages", "of_scan", "listed_scan"} - {
            "call_putpages" if "ownership" in theorem.name else ""}
        assert all(compiled["RWMAP"][routine] == {0, 1}
                   for routine in writing & set(compiled["RWMAP"]))


@pytest.mark.long
@pytest.mark.parametrize(("view", "routine", "step"), [
    ("words", "call_putpages", "vp.v_numoutput += 1"),
    ("counters", "call_putpages", "vp.v_numoutput += 1"),
    ("mappings", "call_putpages", "pgs[0].flags &= ~PG.FAKE"),
    ("listed", "listed_scan", "vp.v_iflag &= ~VI.ONWORKLST"),
])  # fmt: skip
def test_mutants_behind_the_other_function_that_writes(
    view: str, routine: str, step: str
) -> None:
    mutant = replaced("model/genfs/putpages.py", RWMAP_WRITES,
                      f"{RWMAP_WRITES}                {step}  # 1122\n")
    (found,) = {each for theorem in library.theorems() for each in theorem.units
                if (each.view, each.routine) == (view, routine)
                and ("RWMAP", 1) in each.parameters}
    part = prove_unit(found, HARDENED, mutant)
    assert {kind for kind, _, _ in part.failures} & {"store", "unlist"}


# ------------------------------------------------- reader/writer locks, and the rely of locks

RW_MUTANTS = (
    ("a-writer-takes-it-from-another", "journal_flusher",
     "    if lock.writer is NOBODY and lock.readers == 0:\n        effect(\"acquire\"",
     "    if lock.readers == 0:\n        effect(\"acquire\""),
    ("a-writer-beside-readers", "journal_flusher",
     "    if lock.writer is NOBODY and lock.readers == 0:\n        effect(\"acquire\"",
     "    if lock.writer is NOBODY:\n        effect(\"acquire\""),
    ("a-reader-beside-a-writer", "fsync",
     "        if lock.writer is NOBODY and lock.waiting_writers == 0:\n            effect(\"acq",
     "        if lock.waiting_writers == 0:\n            effect(\"acq"),
    ("other-readers-thrown-out", "fsync",
     "        lock.readers &= ~_bit(me())\n    if", "        lock.readers = 0\n    if"),
    ("given-to-who-does-not-wait", "fsync",
     "        lock.readers = lock.waiting_readers\n",
     "        lock.readers = lock.waiting_readers | lock.waiting_writers\n"),
    ("waiting-readers-forgotten", "journal_flusher",
     "        lock.readers = lock.waiting_readers\n", ""),
    ("waiting-writers-forgotten", "journal_flusher",
     "    lock.waiting_writers &= ~_bit(chosen)\n", "    lock.waiting_writers = 0\n"),
    ("handed-over-and-has-readers", "journal_flusher",
     "    if lock.readers == 0 and lock.waiting_writers != 0:\n",
     "    if lock.waiting_writers != 0:\n"),
)


@pytest.mark.parametrize(("routine", "old", "new"), [
    pytest.param(*each[1:], id=each[0]) for each in RW_MUTANTS])
def test_mutants_of_reader_writer_locks(
    routine: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mutated(given: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        found = with_primitives(given)
        path, text = found[PRIMITIVES]
        assert text.count(old) == 1
        return {**found, PRIMITIVES: (path, text.replace(old, new))}

    monkeypatch.setattr(protocol_unit, "with_primitives", mutated)
    part = prove_unit(unit("locks", routine), HARDENED)
    assert "guarantee" in {kind for kind, _, _ in part.failures}


def test_mutant_called_with_the_journals_lock() -> None:
    mutant = replaced("model/actors/flush.py", "    call_putpages(vp, low",
                      "    rw_enter(mount.wl_rwlock, RW.WRITER)\n    call_putpages(vp, low")
    for old, new in (("import actor, mutex_enter", "import RW, actor, mutex_enter, rw_enter"),
                     ("state import Vnode", "state import Vnode, mount")):
        mutant = replaced("model/actors/flush.py", old, new, mutant)
    part = prove_unit(unit("locks", "flush"), HARDENED, mutant)
    assert "called with the journal's lock" in {
        found.text.partition(" (")[0] for _, _, found in part.failures}


def test_mutant_unlists_with_the_lock_free() -> None:
    mutant = replaced("model/kernel/buf.py", "    bp.dev = Dev.IDLE\n    _biodone(bp)\n",
                      "    bp.dev = Dev.IDLE\n    bp.vp.v_iflag = VI.WRMAPDIRTY\n"
                      "    _biodone(bp)\n")
    mutant = replaced("model/kernel/buf.py", "    PAGEDAEMON, PG, WINDOW",
                      "    PAGEDAEMON, PG, VI, WINDOW", mutant)
    part = prove_unit(unit("words", "device"), HARDENED, mutant)
    assert {(kind, name) for kind, name, _ in part.failures} == {("store", "listed")}


@pytest.mark.long
def test_mutant_completes_with_the_queues_lock() -> None:
    """Who waits for the object lock inside a transfer's end holds no mutex."""
    mutant = replaced(
        "model/genfs/putpages.py",
        "            mutex_exit(vp.interlock)  # 1121\n            if RWMAP:  # 1122\n",
        "            mutex_exit(vp.interlock)  # 1121\n            mutex_enter(uvm.pageqlock)\n"
        "            if RWMAP:  # 1122\n")
    mutant = replaced("model/genfs/putpages.py", "            mutex_enter(vp.interlock)  # 1123\n",
                      "            mutex_exit(uvm.pageqlock)\n"
                      "            mutex_enter(vp.interlock)  # 1123\n", mutant)
    part = prove_unit(unit("locks", "call_putpages"), HARDENED, mutant)
    assert any(found.text.startswith("waits for object lock with a mutex")
               for _, _, found in part.failures)


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


def replaced(
    module: str, old: str, new: str, given: Mapping[str, tuple[str, str]] | None = None
) -> Mapping[str, tuple[str, str]]:
    """The sources with one passage changed."""
    found = dict(texts() if given is None else given)
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
