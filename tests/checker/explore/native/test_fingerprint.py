"""Fingerprints: the same states, the same first violations, and what is said of what they risk."""

from __future__ import annotations

import math
import shutil
from fractions import Fraction

import pytest

from genfscheck.checker.explore import hashed
from genfscheck.checker.explore.engine import facts, fine_stops
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.hashed import explore_hashed, omission
from genfscheck.checker.explore.native.handle import load
from genfscheck.checker.explore.native.hashing import HashedEngine
from genfscheck.checker.explore.result import Granularity, Result
from genfscheck.checker.explore.search import Bounds
from genfscheck.checker.lang import ir

from ..build import Code, counter, crossed, program, var
from ..randomised import random_program
from ..test_toys import spinning
from .test_search import late_break, masked, witnesses

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


def compare(made: ir.Program, granularity: Granularity, workers: int = 1) -> Result:
    """Against the lossless search: all of it, or up to the depth of the first violation."""
    found = explore_hashed(made, granularity=granularity, workers=workers, bounds=Bounds())
    whole = explore(made, granularity=granularity)
    if any(one.kind != "progress" for one in whole.violations):
        first = explore(made, granularity=granularity, first=True)
        assert found.violations == first.violations and found.omission is None
        return found
    assert (found.verdict, found.complete) == ("holds", True)
    assert (found.states, found.transitions, found.depth) == (
        whole.states, whole.transitions, whole.depth,
    )  # fmt: skip
    assert (found.covered, found.stops, found.restarts) == (
        whole.covered, whole.stops, whole.restarts,
    )  # fmt: skip
    missing = {name: path for name, path in whole.witnesses.items() if path is None}
    assert found.witnesses == missing
    assert found.omission == omission(whole.states)
    return found


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_against_the_lossless_search(granularity: Granularity) -> None:
    assert compare(counter(2, 1, True), granularity, workers=2).verdict == "holds"
    assert compare(masked(), granularity).verdict == "violated"
    assert compare(late_break(), granularity).violations[0].depth == 0
    assert compare(crossed(), granularity, workers=3).verdict == "violated"


def test_witnesses() -> None:
    assert compare(witnesses(), "fine").witnesses == {"never": None}


def test_progress_is_not_looked_for() -> None:
    found = explore_hashed(spinning(True), granularity="fine", bounds=Bounds())
    assert found.verdict == "holds"
    assert "threads that can never finish were not looked for" in found.note


@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int) -> None:
    compare(random_program(seed), "fine", 1 + seed % 2)
    compare(random_program(seed), "reduced", 1 + seed % 2)


def apart() -> ir.Program:
    """Six threads that have nothing to do with each other: 7^6 states."""
    threads = []
    for index in range(6):
        code = Code(f"t{index}", index)
        for value in range(6):
            code.put(index, value % 2)
        threads.append(code.thread())
    return program("apart", [var(f"x{index}") for index in range(6)], threads)


def test_growth_and_several_workers() -> None:
    """More states than the first table holds: it grows, in place, again and again."""
    whole = explore(apart(), granularity="fine", engine="native")
    assert whole.states == 7**6
    for workers in (1, 3):
        found = explore_hashed(apart(), granularity="fine", workers=workers, bounds=Bounds())
        assert (found.states, found.transitions) == (whole.states, whole.transitions)
        assert found.complete and found.stored_bytes < 40 * whole.states


def test_bounds() -> None:
    found = explore_hashed(apart(), granularity="fine", bounds=Bounds(states=1000))
    assert (found.verdict, found.bound) == ("inconclusive", "max_states")
    found = explore_hashed(apart(), granularity="fine", bounds=Bounds(memory=1))
    assert (found.verdict, found.bound) == ("inconclusive", "max_memory")


def test_memory_ends_it_where_it_is() -> None:
    """With too little memory to grow, the engine stops, and what it has counted is right."""
    known = facts(apart())
    library = load(known)
    model = library.model
    engine = HashedEngine(library, 2, 1_500_000)
    engine.flags(model.stop_flags(fine_stops(known.program)), bytes(len(model.sites)))
    for state in known.initial:
        assert engine.initial(model.layout.encode(state))
        assert not engine.initial(model.layout.encode(state))
    status = 0
    while status < 2:
        status = engine.advance(10_000)
    stats = engine.stats()
    assert status == 3 and 10_000 < stats.states < 200_000 and stats.queue > 0
    assert engine.advance(10_000) == 3
    engine.close()


def test_omission() -> None:
    """Never less than the exact probability that all of n fingerprints differ leaves."""
    assert omission(0) == omission(1) == 0
    for count in (2, 10, 1000):
        differ = Fraction(1)
        for number in range(count):
            differ *= 1 - Fraction(number, 2**64)
        exact = 1 - differ
        assert exact <= Fraction(omission(count)) * (1 + Fraction(1, 2**40))
        assert math.isclose(omission(count), float(exact), rel_tol=1e-9)
    assert omission(10**9) == pytest.approx(0.0271, rel=0.01)
    assert omission(10**11) == 1.0


def test_trace_that_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hashed, "explore", lambda *args, **more: explore(*args, **{**more, "max_states": 3})
    )
    monkeypatch.setattr("genfscheck.checker.explore.native.search._BUDGET", 1)
    found = explore_hashed(crossed(), granularity="fine", bounds=Bounds())
    assert (found.verdict, found.violations) == ("inconclusive", [])
    assert "a violation was found" in found.note
