"""Running SPIN: modes, limits, and what is said when it cannot run."""

from __future__ import annotations

import pytest

from genfscheck.checker.export import spin
from genfscheck.checker.export.promela import export

from ..explore.build import counter
from .comparing import needs_spin

STATES = 1792


@needs_spin
@pytest.mark.parametrize(
    "mode",
    ["collapse", *(pytest.param(m, marks=pytest.mark.long) for m in spin.MODES if m != "collapse")],
)
def test_modes(mode: spin.Mode) -> None:
    result = spin.run(export(counter(4, 2, True)).text, mode=mode, optimise="-O0")
    assert result.complete and result.verdict == "none"
    if mode == "reduced":
        assert 0 < result.states <= STATES
    else:
        assert result.states == STATES
    assert result.transitions >= result.states
    assert 0 < result.vector_bytes < 1024
    assert result.memory_bytes > 0


@needs_spin
def test_deep_searches_get_a_deeper_stack() -> None:
    result = spin.run(export(counter(4, 2, True)).text, optimise="-O0", max_depth=20)
    assert result.complete
    assert result.states == STATES


@needs_spin
def test_a_model_with_a_mistake() -> None:
    with pytest.raises(spin.SpinError, match="spin: .*syntax error"):
        spin.run("active proctype p() { if }")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert spin.missing() == "spin is not installed"
    with pytest.raises(spin.SpinError, match="spin is not installed"):
        spin.run("active proctype p() { skip }")
