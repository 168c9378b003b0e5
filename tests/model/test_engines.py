"""Both engines report the same of the model: states, causes, paths, coverage, to the last field."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from genfscheck.checker.explore.explore import explore

from .suite import VARIANTS, compiled, explored, tiers

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


@pytest.mark.parametrize("name", tiers(2))
@pytest.mark.parametrize("variant", VARIANTS)
def test_engines_agree(name: str, variant: str) -> None:
    python = explored(name, variant)
    native = explore(compiled(name, variant), engine="native", workers=2, reduction=False)
    assert native.engine == "native"
    same = replace(
        native, engine="python", seconds=python.seconds, memory=python.memory,
        state_bytes=python.state_bytes, stored_bytes=0,
        search_seconds=python.search_seconds, compile_seconds=0.0,
    )  # fmt: skip
    assert same == python
