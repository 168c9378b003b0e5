"""Without a hook the hook costs little."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from genfscheck.refimpl import hookcost


def test_the_copy_has_no_hook_and_works(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        bare = hookcost.bare_copy(Path(name), "bare_for_a_test")
        sources = [path.read_text() for path in Path(name).rglob("*.py")]
        assert len(sources) > 25
        assert not any("hook is not None" in text or ".noted(" in text for text in sources)
        assert hookcost.work(bare, tmp_path) > 0


@pytest.mark.long
def test_the_hook_costs_little_when_off() -> None:
    """A bound that noise does not reach; the measured value is in docs/refimpl.md."""
    found = hookcost.measure()
    assert found["off"] / found["bare"] < 1.4
