"""Every scenario says what it asks, holds with all fixes, and gives what is expected of it.

The default tier checks the smallest scenarios, the long one all; ``suite.py --rewrite`` writes
what is expected anew.
"""

from __future__ import annotations

import pytest

from genfscheck.checker.cli.library import HARDENED
from genfscheck.model.kernel.state import Faults

from .suite import SCENARIOS, VARIANTS, compiled, expected, explored, lines_reached, outcome, tiers

QUICK = 9


def test_every_scenario_is_expected() -> None:
    assert sorted(expected()) == sorted(SCENARIOS), "python tests/model/suite.py --rewrite"


def test_expected_hardened_holds() -> None:
    broken = {name for name, entry in expected().items() if entry[HARDENED]["violations"]}
    assert not broken


@pytest.mark.parametrize("name", SCENARIOS)
def test_says_what_it_asks(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.question.strip()
    assert scenario.exercises
    assert all(word.strip() for word in scenario.exercises)


def test_every_fault_happens_somewhere() -> None:
    """A budget that is nowhere above zero would hide all that the fault leads to."""
    kinds = set(Faults.__annotations__)
    calls = [scenario.setup for scenario in SCENARIOS.values() if scenario.setup is not None]
    assert {kind for call in calls for kind in kinds if call.arguments.get(kind, 0) != 0} == kinds


@pytest.mark.parametrize("name", tiers(QUICK))
@pytest.mark.parametrize("variant", VARIANTS)
def test_gives_what_is_expected(name: str, variant: str) -> None:
    result = explored(name, variant)
    assert result.complete
    assert outcome(result) == expected()[name][variant]
    if variant == HARDENED:
        assert result.verdict == "holds"


@pytest.mark.parametrize("name", tiers(QUICK))
def test_reaches_what_must_be_possible(name: str) -> None:
    scenario = SCENARIOS[name]
    reached: set[int] = set()
    states: set[str] = set()
    for variant in VARIANTS:
        reached |= lines_reached(name, variant)
        witnesses = explored(name, variant).witnesses
        states |= {state for state, path in witnesses.items() if path is not None}
        assert {witness.name for witness in compiled(name, variant).witnesses} == set(witnesses)
    assert set(scenario.possible_lines) <= reached
    assert set(scenario.possible_states) <= states
