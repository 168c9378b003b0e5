"""Deliberately broken reference implementations are rejected, each of them."""

from __future__ import annotations

import contextlib

import pytest

from genfscheck.checker.conform.report import DEPARTS, verdict
from genfscheck.refimpl.conformance.binding import BindingError
from genfscheck.refimpl.conformance.broken import BROKEN, Broken

from .test_runs import bench

QUICK = ["clean-forgotten", "deaf-wakeup", "failed-msync-is-fine", "no-zeroes", "vain-assertion"]
SEEDS = range(12)


def rejected(broken: Broken) -> bool:
    """Does a log of this implementation depart, in one of its scenarios?"""
    for scenario in broken.scenarios:
        tested = bench(scenario, "1.18")
        for seed in SEEDS:
            with broken.change():
                done = tested.run(seed, patience=4.0 if broken.hangs else 20.0)
            if done.died.startswith("no progress") and not broken.hangs:
                continue
            try:
                if verdict(tested.validate(done)) == DEPARTS:
                    return True
            except BindingError:
                return True
    return False


def test_there_are_enough() -> None:
    assert len(BROKEN) >= 15


@pytest.mark.long
@pytest.mark.parametrize("hangs", [False, True])
def test_a_right_implementation_is_not_rejected(hangs: bool) -> None:
    """The same runs, judged the same way, with nothing changed."""
    alike = [one for one in BROKEN.values() if one.hangs == hangs]
    scenarios = sorted({name for one in alike for name in one.scenarios})
    assert not rejected(
        Broken("nothing is changed", tuple(scenarios), contextlib.nullcontext, hangs)
    )


@pytest.mark.parametrize("name", QUICK)
def test_rejected(name: str) -> None:
    assert rejected(BROKEN[name]), BROKEN[name].what


@pytest.mark.long
@pytest.mark.parametrize("name", [one for one in BROKEN if one not in QUICK])
def test_each_is_rejected(name: str) -> None:
    assert rejected(BROKEN[name]), BROKEN[name].what
