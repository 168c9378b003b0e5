"""Every mutant of the hardened model is caught by a named property, where the original holds."""

from __future__ import annotations

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import HARDENED
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.explore.result import Found
from genfscheck.checker.lang.scenario import compile_scenario
from genfscheck.checker.lang.source import Source, parse_module

from .mutants import MUTANTS, Mutant
from .suite import LIBRARY, SCENARIOS, explored

MAX_STATES = 50_000


def edited(mutant: Mutant) -> str:
    """The text of the module with the mistake in it."""
    text = (SUBJECT.root / mutant.module).read_text()
    assert text.count(mutant.old) == 1, f"{mutant.module}: the text to be changed is not there once"
    assert mutant.new != mutant.old
    return text.replace(mutant.old, mutant.new)


def mutated(mutant: Mutant) -> Source:
    """The model's sources, that module exchanged."""
    name = ".".join((SUBJECT.package, *mutant.module.removesuffix(".py").split("/")))
    original = LIBRARY.source.modules[name]
    module = parse_module(name, original.file, edited(mutant))
    return Source({**LIBRARY.source.modules, name: module}, f"mutant-{mutant.name}")


def caught(mutant: Mutant, found: Found) -> bool:
    named = found.property == mutant.property
    return named and (mutant.line is None or mutant.line in found.lines)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, marks=pytest.mark.long if mutant.long else (), id=mutant.name)
        for mutant in MUTANTS
    ],
)
def test_is_caught(mutant: Mutant) -> None:
    original = explored(mutant.scenario, HARDENED)
    assert original.complete
    assert original.verdict == "holds"
    program = prepare(
        compile_scenario(
            mutated(mutant), SCENARIOS[mutant.scenario], fixes=frozenset(LIBRARY.known_fixes)
        )
    )
    result = explore(program, max_states=MAX_STATES)
    assert any(caught(mutant, found) for found in result.violations), result.violations


def test_enough() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    # The same change may stand twice where two properties must each see it.
    changes = {(mutant.module, mutant.old, mutant.new, mutant.property) for mutant in MUTANTS}
    assert len(changes) == len(names)
    assert sum(not mutant.long for mutant in MUTANTS) >= 24


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_applies(mutant: Mutant) -> None:
    """Also of the long tier: the text to be changed stands in the module, once."""
    assert edited(mutant)
