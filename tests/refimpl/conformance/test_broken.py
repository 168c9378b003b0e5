"""Deliberately broken reference implementations are rejected, each of them."""

from __future__ import annotations

import pytest

from genfscheck.checker.conform.report import conforms
from genfscheck.refimpl.conformance.binding import BindingError
from genfscheck.refimpl.conformance.broken import BROKEN

from .test_runs import bench

QUICK = ["clean-forgotten", "deaf-wakeup", "failed-msync-is-fine", "no-zeroes", "vain-assertion"]
SEEDS = range(12)


def rejected(name: str) -> bool:
    """Is a log of this implementation refused, in one of its scenarios?"""
    broken = BROKEN[name]
    for scenario in broken.scenarios:
        tested = bench(scenario, "1.18")
        for seed in SEEDS:
            with broken.change():
                done = tested.run(seed, patience=1.0)
            try:
                if not conforms(tested.validate(done)):
                    return True
            except BindingError:
                return True
    return False


def test_there_are_enough() -> None:
    assert len(BROKEN) >= 15


@pytest.mark.parametrize("name", QUICK)
def test_rejected(name: str) -> None:
    assert rejected(name), BROKEN[name].what


@pytest.mark.long
@pytest.mark.parametrize("name", [one for one in BROKEN if one not in QUICK])
def test_each_is_rejected(name: str) -> None:
    assert rejected(name), BROKEN[name].what
