"""Both engines report the same of the model: states, causes, paths, coverage, to the last field."""

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
def test_engines_agree(name: str, variant: str) -> None:
    python = explored(name, variant)
    native = explore(compiled(name, variant), engine="native", workers=2, reduction=False)
    assert native.engine == "native"
    assert native.without_cost() == python.without_cost()
