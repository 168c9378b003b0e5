"""The example of an own implementation: it passes, and its mistake is found and told."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_implementation.py"
SETTINGS = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    database=None,
    derandomize=True,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_implementation", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_it_passes(example: ModuleType) -> None:
    run_state_machine_as_test(example.WriteBackMachine, settings=SETTINGS)


def test_its_mistake_is_found(example: ModuleType) -> None:
    """In two steps: something makes the file longer, and a crash comes after fsync."""

    class Careless(example.WriteBackMachine):  # type: ignore[misc, name-defined]
        configurations = st.just(True)

    with pytest.raises(AssertionError, match="size 0") as caught:
        run_state_machine_as_test(Careless, settings=SETTINGS)
    told = [note for note in caught.value.__notes__ if note.startswith("state.")]
    rules = [note for note in told if "sizes()" not in note and "teardown" not in note]
    assert len(rules) <= 5, rules


def test_what_is_not_among_the_features_is_not_called(example: ModuleType) -> None:
    called: list[str] = []

    class Watched(example.Mounted):  # type: ignore[misc, name-defined]
        def crash_at(self, writes: int, tear: int | None) -> None:
            called.append("crash_at")

        def open(self, name: str, **how: Any) -> Any:
            called.extend(["direct"] if how.get("direct") else [])
            return super().open(name, **how)

    class Machine(example.WriteBackMachine):  # type: ignore[misc, name-defined]
        def implementation(self, configuration: Any) -> Any:
            return Watched()

    run_state_machine_as_test(Machine, settings=SETTINGS)
    assert not called
