"""Counterexamples are re-executed, and a corrupted one is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genfscheck.checker.explore.errors import InternalError
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.refine import Expander, expand
from genfscheck.checker.explore.result import Granularity, Path
from genfscheck.checker.lang import ir

from .build import counter, crossed, peterson


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_expand(granularity: Granularity) -> None:
    toy = crossed()
    result = explore(toy, granularity=granularity)
    (found,) = result.violations
    trace = expand(toy, found.path, result.stops)
    assert sorted(step.thread for step in trace.steps) == [0, 1]
    assert trace.steps[-1].digest == found.path.blocks[-1].digest
    assert trace.last_state.shared == ((0,), (1,))


def corruptions(path: Path) -> list[Path]:
    first, *rest = path.blocks
    blocks = path.blocks
    return [
        replace(path, digest="0" * 16),
        replace(path, initial=1),
        replace(path, blocks=(replace(first, thread=1 - first.thread), *rest)),
        replace(path, blocks=(replace(first, choices=(0,)), *rest)),
        replace(path, blocks=(replace(first, digest="0" * 16), *rest)),
        replace(path, blocks=blocks[1:]),
        replace(path, blocks=blocks[:-1]),
        replace(path, blocks=(*blocks, blocks[-1])),
        replace(path, blocks=(blocks[1], blocks[0], *blocks[2:])),
    ]


@pytest.mark.parametrize("toy", [peterson(True), counter(2, 1, False), crossed()])
def test_corrupted_paths_are_refused(toy: ir.Program) -> None:



    result = explore(toy, granularity="fine")
    found = result.violations[0]
    expander = Expander(toy, result.stops)
    expander.confirm(found)
    for path in corruptions(found.path):
        with pytest.raises(InternalError):
            expander.confirm(replace(found, path=path))
    with pytest.raises(InternalError):
        expander.confirm(replace(found, property="something else", kind="check"))
