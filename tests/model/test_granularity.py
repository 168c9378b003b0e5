"""Merging steps changes no verdict: the fine and the reduced search agree on every scenario.

And the reduced search misses no state in which every thread stands where it may stop.  Where
the fine search needs more states than the bound, nothing is compared.
"""

from __future__ import annotations

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import ENDED, State
from genfscheck.checker.explore.layout import Layout
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir

from .suite import VARIANTS, compiled, tiers

QUICK = 6
MAX_FINE_STATES = 60_000


def kinds(result: Result) -> set[tuple[str, str]]:
    return {(one.kind, one.property) for one in result.violations}


def decoded(program: ir.Program, result: Result) -> set[State]:
    assert result.kept is not None
    layout = Layout(program, result.stops)
    return {layout.decode(state) for state in result.kept}


def at_stops(states: set[State], stops: list[list[int]]) -> set[State]:
    """Those in which every thread is at one of its stops or has ended."""
    sets = [{ENDED, *row} for row in stops]
    return {
        state
        for state in states
        if all(thread.pc in sets[at] for at, thread in enumerate(state.threads))
    }


@pytest.mark.parametrize("name", tiers(QUICK))
@pytest.mark.parametrize("variant", VARIANTS)
def test_granularities_agree(name: str, variant: str) -> None:
    program = compiled(name, variant)
    fine = explore(
        program, granularity="fine", max_states=MAX_FINE_STATES, keep_states=True
    )
    if not fine.complete:
        pytest.skip(f"more than {MAX_FINE_STATES} fine states")
    reduced = explore(program, keep_states=True)
    assert reduced.complete
    assert kinds(reduced) == kinds(fine)
    assert reduced.states <= fine.states
    assert decoded(program, reduced) == at_stops(decoded(program, fine), reduced.stops)
