"""The native engine with ample sets says the same of the model as the python engine without."""

from __future__ import annotations

import shutil

import pytest

from genfscheck.checker.explore.explore import explore

from .suite import VARIANTS, compiled, explored, tiers

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


@pytest.mark.parametrize("name", tiers(1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_agrees(name: str, variant: str) -> None:
    """What is violated is the same to the last field; what holds was seen in fewer states."""
    python = explored(name, variant)
    native = explore(compiled(name, variant), engine="native", workers=2)
    assert native.verdict == python.verdict
    if native.violations:
        assert native.without_cost() == python.without_cost()
        return
    assert native.complete and native.reductions[:2] == ("merging", "ample")
    assert native.covered == python.covered
    assert native.states <= python.states and native.transitions <= python.transitions
    for witness, path in python.witnesses.items():
        assert (native.witnesses[witness] is None) == (path is None)
