"""Without a hook the hook costs little."""

from __future__ import annotations

import tempfile
from pathlib import Path

from genfscheck.refimpl import hookcost


def test_the_copy_has_no_hook_and_works(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        bare = hookcost.bare_copy(Path(name), "bare_for_a_test")
        sources = [path.read_text() for path in Path(name).rglob("*.py")]
        assert len(sources) > 25
        assert not any("hook is not None" in text or ".noted(" in text for text in sources)
        assert hookcost.work(bare, tmp_path) > 0


def test_the_hook_costs_little_when_off() -> None:
    """A bound that noise does not reach; the measured value is in docs/refimpl.md."""
    best = min(
        (found["off"] / found["bare"] for found in (hookcost.measure(2) for _ in range(2))),
    )
    assert best < 1.3
