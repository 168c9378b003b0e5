"""Ample sets and symmetry on scenarios of the model: fewer states, the same findings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from genfscheck.checker.explore.ample import ample
from genfscheck.checker.explore.engine import facts, fine_stops
from genfscheck.checker.explore.reduce import Reduction
from genfscheck.checker.explore.symmetry import symmetry

from .suite import VARIANTS, compiled

# The checker's own tests have the reference search; the two folders share no package.
_PLACE = Path(__file__).parents[1] / "checker" / "explore" / "reference.py"
_SPEC = importlib.util.spec_from_file_location("reference_search", _PLACE)
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)
search = _MODULE.search

NAMES = [
    "fast-fault-and-truncate", "startover-and-truncate", "lost-wakeup", "suspend-and-write",
    "half-hole-page", "fsync-and-read-fault", "msync-and-truncate", "pagedaemon-and-truncate",
    "grow-and-fault", "invalidate-mapped",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("granularity", ["fine", "merged"])
def test_agrees(name: str, granularity: str) -> None:
    """Merged: at the first guess of the reduction, whose assumptions may be wrong."""
    for variant in VARIANTS:
        program = compiled(name, variant)
        known = facts(program)
        reduction = Reduction(known)
        fine = granularity == "fine"
        stops = fine_stops(program) if fine else reduction.stops
        checks = None if fine else reduction.checks
        everything, full = search(known, stops, None, checks)
        seen, size = search(known, stops, ample(known, stops, checks), checks)
        assert seen == everything
        assert size.states <= full.states and size.transitions < full.transitions
        executed, _ = search(known, stops, ample(known, stops, checks, everything.tried), checks)
        assert executed == everything


def test_two_readers_may_be_exchanged() -> None:
    """The only scenario with two threads that do the same."""
    program = compiled("read-error", VARIANTS[0])
    known = facts(program)
    found = symmetry(known)
    assert [program.threads[thread].name for thread in found.groups[0]] == ["first", "second"]
    assert len(found.groups) == 1


@pytest.mark.long
def test_exchanging_halves_the_states() -> None:
    program = compiled("read-error", VARIANTS[0])
    known = facts(program)
    found = symmetry(known)
    everything, full = search(known, fine_stops(program), groups=found.groups)
    seen, size = search(
        known, fine_stops(program), None, None, found.representative, found.groups
    )
    assert size.kept == {found.representative(state) for state in full.kept}
    assert size.states < full.states * 0.51
    assert (seen.broken, seen.stuck) == (everything.broken, everything.stuck)
