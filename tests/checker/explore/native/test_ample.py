"""Ample sets in the native engine: fewer states, and the same is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genfscheck.checker.explore.ample import Tables, ample, tables
from genfscheck.checker.explore.counted import Counted
from genfscheck.checker.explore.engine import Facts, facts, fine_stops
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.kept import explore_kept
from genfscheck.checker.explore.native.checkpoint import CheckpointError, Keeping
from genfscheck.checker.explore.native.handle import EventKind, load
from genfscheck.checker.explore.native.quotient import Quotient
from genfscheck.checker.explore.native.search import NativeSearch, Terms, Wanted
from genfscheck.checker.explore.probe import every_check
from genfscheck.checker.explore.reduce import Reduction
from genfscheck.checker.explore.result import Result
from genfscheck.checker.explore.search import Bounds
from genfscheck.checker.lang import ir

from .. import reference
from ..build import Code, const, op, program, shared, var
from ..randomised import random_program
from ..test_ample import (
    MUTANTS,
    TOYS,
    failures_do_not_matter,
    guards_never_fail,
    own_work,
    reads_what_another_writes,
    sleepers_stay_asleep,
    two_fail,
    woken_in_time,
)  # fmt: skip
from .test_search import witnesses

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)

Stops = list[list[int]]


# ------------------------------------------------------------- one search, all it saw


def seen_natively(
    known: Facts, stops: Stops, laid: Tables | None, everything: reference.Seen, workers: int = 1,
    exchanged: Quotient | None = None,
) -> tuple[reference.Seen, set[object]]:
    """What a whole native search sees, and its states.

    Of the terminal states, those of ``everything`` that it visits.  Invariants that count only
    at the end are left out.
    """
    made, checks = known.program, every_check(known.program)
    search = NativeSearch(
        load(known), known, Wanted(stops, checks, laid, exchanged), Terms(Bounds(), workers=workers)
    )
    search.sparing = False  # go on after a violation
    search.run()
    assert search.complete
    seen, native = reference.Seen(), search.native
    for event in native.events():
        match event.kind:
            case EventKind.FAULT:
                fault = search.model.faults[event.which]
                node = -1 if fault.name == "divergence" else fault.node
                seen.failed.add((fault.thread, node, fault.name))
            case EventKind.INVARIANT | EventKind.AT_END:
                if not made.invariants[event.which].terminal_only:
                    seen.broken.add(made.invariants[event.which].name)
            case EventKind.WITNESS:
                seen.witnessed.add(made.witnesses[event.which].name)
    encode = search.model.layout.encode
    seen.terminal = {state for state in everything.terminal if native.find(encode(state))}
    seen.stuck = set(search._stuck)
    threads = range(len(made.threads))
    seen.tried = [search.tried(thread) for thread in threads]
    seen.strays = [search.strays(thread) for thread in threads]
    seen.waited = search.wrong
    states = {search.state(native.root(n)) for n in range(native.stats().states)}
    search.close()
    return seen, set(states)


def expected(known: Facts, stops: Stops) -> tuple[reference.Seen, reference.Size]:
    """What the reference search sees without ample sets."""
    everything, full = reference.search(known, stops, None, every_check(known.program))
    ends = {one.name for one in known.program.invariants if one.terminal_only}
    everything.broken -= ends
    return everything, full


def compare(made: ir.Program, stops: Stops, workers: int = 1) -> tuple[int, int]:
    """The native search against the reference's; how many states without and with ample sets."""
    known = facts(made)
    found = ample(known, stops, every_check(made))
    everything, full = expected(known, stops)
    seen, states = seen_natively(known, stops, tables(found, made), everything, workers)
    assert seen == everything
    _, size = reference.search(known, stops, found, every_check(made))
    assert size.kept <= states <= full.kept
    if not seen.failed and not seen.waited:  # else the native engine may try more
        assert states == size.kept
    return full.states, len(states)


def both(made: ir.Program, workers: int = 1) -> None:
    """One search with fine and one with merged stops, and the whole exploration."""
    compare(made, fine_stops(made), workers)
    compare(made, Reduction(facts(made)).stops, workers)
    agree(made, workers)


@pytest.mark.parametrize("name", ["peterson", "no lost wakeup", "crossed locks"])
def test_toys(name: str) -> None:
    both(TOYS[name], 2)


@pytest.mark.parametrize("seed", [2, 3])
def test_random_programs(seed: int) -> None:
    both(random_program(seed), seed)


@pytest.mark.long
@pytest.mark.parametrize("name", TOYS)
def test_all_toys(name: str) -> None:
    both(TOYS[name])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_programs(seed: int) -> None:
    both(random_program(seed), 1 + seed % 3)


def lost(made: ir.Program, laid: Tables) -> bool:
    """Does the engine miss something when it is given these tables?"""
    known, stops = facts(made), fine_stops(made)
    everything, _ = expected(known, stops)
    return seen_natively(known, stops, laid, everything)[0] != everything


@pytest.mark.long
@pytest.mark.parametrize("made, mutate", MUTANTS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_condition_is_needed(
    made: ir.Program, mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples of the python tests; what is patched there is in the tables here."""
    compare(made, fine_stops(made))
    if mutate in (failures_do_not_matter, sleepers_stay_asleep):
        return  # not in the tables: see below, and two_fail() in compare()
    mutate(monkeypatch)
    laid = tables(ample(facts(made), fine_stops(made), every_check(made)), made)
    monkeypatch.undo()
    if mutate is guards_never_fail:
        with pytest.raises(ValueError, match="tables of another program"):
            lost(made, laid)
    else:
        assert lost(made, laid)


@pytest.mark.parametrize("part", ["compatible", "sets"])
def test_the_engine_needs_all_of_the_tables(part: str) -> None:
    """Without what may be set, a thread that is woken in time counts as asleep for ever."""
    made = woken_in_time() if part == "sets" else reads_what_another_writes(0)
    compare(made, fine_stops(made))
    laid = tables(ample(facts(made), fine_stops(made), every_check(made)), made)
    setattr(laid, part, bytearray([part == "compatible"]) * len(getattr(laid, part)))
    assert lost(made, laid)


def test_a_block_that_fails_is_not_alone() -> None:
    made = two_fail()
    compare(made, fine_stops(made))
    assert len(agree(made).violations) == 2


def test_what_it_brings() -> None:
    made = own_work(3, 3)
    assert compare(made, fine_stops(made)) == (125 + 3 * 25, 9 + 8 + 3 * 4)


# -------------------------------------------------------------------- the whole thing


def plain(result: Result) -> Result:
    return replace(
        result, engine="python", seconds=0, memory=0, state_bytes=0, stored_bytes=0,
        search_seconds=0, compile_seconds=0,
    )  # fmt: skip


def agree(made: ir.Program, workers: int = 1) -> Result:
    """The native engine with ample sets against the python engine; its result."""
    python = explore(made)
    native = explore(made, engine="native", workers=workers)
    assert native.verdict == python.verdict
    if native.violations:
        assert plain(native) == plain(python)  # to the last field
        return native
    assert native.reductions[:2] == ("merging", "ample") and python.reductions == ("merging",)
    assert native.complete and native.covered == python.covered
    assert native.states <= python.states and native.transitions <= python.transitions
    reached = [{w for w, path in one.witnesses.items() if path} for one in (native, python)]
    assert reached[0] == reached[1]
    return native


def test_witnesses_agree() -> None:
    assert agree(witnesses()).witnesses["never"] is None


def test_reductions_in_force() -> None:
    made = own_work(3, 3)
    found = {
        (granularity, reduction): explore(
            made, granularity=granularity, engine="native", reduction=reduction
        ).reductions
        for granularity in ("fine", "reduced")
        for reduction in (False, True)
    }
    assert found == {
        ("fine", False): (), ("fine", True): (),
        ("reduced", False): ("merging",), ("reduced", True): ("merging", "ample", "symmetry"),
    }  # fmt: skip


def fails_late(threads: int) -> ir.Program:
    """One thread waits for all others, which work apart, and fails."""
    last = Code("last", 0)
    made = [Code(f"t{me}", me).put(0, 1, me).thread() for me in range(1, threads)]
    for me in range(1, threads):
        last.add(ir.Wait(op("==", shared(0, me), 1), "x"), stop=True)
    last.add(ir.Check(const(0), "fails", ""))
    return program("late", [var("x", initial=(0,) * threads)], [last.thread(), *made])


def test_a_bound_does_not_hide_what_was_found() -> None:
    """The second search, without ample sets, is too large: the first one's report counts."""
    made = fails_late(7)
    full = explore(made, engine="native", reduction=False)
    bounded = explore(made, engine="native", max_states=full.states // 2)
    (found,) = bounded.violations
    assert (bounded.verdict, bounded.bound, bounded.complete) == ("violated", "max_states", False)
    assert bounded.reductions == ("merging", "ample") and bounded.note
    assert (found.property, found.path.blocks[-1].thread) == ("fails", 0)
    without = explore(made, engine="native", max_states=full.states // 2, reduction=False)
    assert (without.verdict, without.note) == ("inconclusive", "")


def test_tables_that_another_search_would_have_too() -> None:
    """More code that counts is no reason to begin again where the tables stay the same."""
    made = own_work(2, 2)
    known, stops = facts(made), fine_stops(made)
    counted = Counted(known, stops, {}, [set() for _ in made.threads])
    everything = [set(range(len(thread.code))) for thread in made.threads]
    assert counted.holds([set() for _ in made.threads])
    assert not counted.holds(everything)
    assert Counted(known, stops, {}, everything).holds(everything)


def test_checkpoints_know_it(tmp_path: Path) -> None:
    """A search with ample sets and symmetry does not go on for one without."""
    made, path = own_work(3, 3), tmp_path / "saved"
    whole = explore(made, engine="native")
    stopped = explore_kept(made, Keeping("s", save=path), bounds=Bounds(states=2))
    assert stopped.bound == "max_states" and path.exists()
    expected = "is of reductions merging, ample, symmetry, expected merging"
    with pytest.raises(CheckpointError, match=expected):
        explore_kept(made, Keeping("s", resume=path), bounds=Bounds(), reduction=False)
    resumed = explore_kept(made, Keeping("s", save=path, resume=path), bounds=Bounds())
    assert plain(resumed) == plain(whole) and not path.exists()
