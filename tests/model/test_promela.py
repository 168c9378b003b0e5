"""SPIN and the fine search on the scenarios of the suite: same states, same verdicts.

Where the fine search needs more states than the bound, nothing is compared.
"""

from __future__ import annotations

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.export.errors import ExportError
from genfscheck.checker.export.promela import export
from genfscheck.checker.export.spin import missing, run

from .suite import SCENARIOS, VARIANTS, compiled

MAX_FINE_STATES = 120_000
QUICK = {"no-pages-ever"}


@pytest.mark.skipif(bool(missing()), reason=missing() or "installed")
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in sorted(SCENARIOS)],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_spin_agrees(name: str, variant: str) -> None:
    program = compiled(name, variant)
    try:
        exported = export(program)
    except ExportError as error:
        pytest.skip(f"cannot be exported: {error}")
    ours = explore(program, granularity="fine", max_states=MAX_FINE_STATES)
    if not ours.complete:
        pytest.skip(f"more than {MAX_FINE_STATES} fine states")
    spin = run(exported.text, optimise="-O0", vector_bytes=exported.vector_bytes)
    assert spin.complete
    assert spin.states - exported.extra_states == ours.states
    kinds = {found.kind for found in ours.violations}
    assert bool(spin.broken) == bool(kinds & {"check", "invariant"})
    if not spin.broken:
        assert spin.deadlocks == ("deadlock" in kinds)
