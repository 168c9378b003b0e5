"""Random tasks on real threads: every record has an order that explains it."""

from __future__ import annotations

import pytest

from genfscheck.refimpl import Jitter
from genfscheck.refimpl.testing import (
    FEATURES,
    Broken,
    Call,
    Reference,
    Task,
    Wrong,
    explain,
    random_task,
    run_threads,
)


def play(
    seed: int, threads: int = 3, length: int = 6, hooked: float = 0.02, **knobs: object
) -> Wrong | Broken | None:
    """A task that the seed decides; who meets whom depends on the machine."""
    task = random_task(seed, threads, length, features=FEATURES)
    chosen: dict[str, object] = {
        "page_size": 1024,
        "block_size": (512, 1024, 2048)[seed % 3],
        "journal": seed // 3 % 2 == 0,
        "memory_pages": (1024, 24)[seed // 6 % 2],
        "maxphys": 4096,
        "array_on_stack": 1,
        "hook": Jitter(seed, rate=hooked),
        "patience": 2.0,
    }
    fs = Reference(**(chosen | knobs))  # type: ignore[arg-type]
    try:
        return explain(run_threads(fs, task), task, 1024, fs.stale_unit)
    except Broken as broken:
        return broken
    finally:
        fs.close()


@pytest.mark.parametrize("seed", range(30))
def test_hardened(seed: int) -> None:
    assert play(seed) is None


def test_1_18() -> None:
    """About one task in five shows a lost store; a hang takes its patience."""
    assert any(play(seed, variant="1.18", patience=0.5) is not None for seed in range(60))


@pytest.mark.long
@pytest.mark.parametrize(("threads", "length"), [(2, 12), (3, 10), (5, 6)])
def test_hardened_for_long(threads: int, length: int) -> None:
    for seed in range(400):
        wrong = play(1000 + seed, threads, length)
        assert wrong is None, f"seed {1000 + seed}: {wrong}"


def test_what_went_wrong_is_told() -> None:
    """A store that goes nowhere: the record, the operations and their order are named."""
    fs = Reference(page_size=1024)
    task = Task(4, (1, 2, 3, 4), {"one": [Call("store", (2, 9)), Call("load", (2,))]})
    try:
        history = run_threads(fs, task)
    finally:
        fs.close()
    assert explain(history, task, 1024) is None
    operations = [one for one in history.operations if one.name != "store"]
    history.operations[:] = operations
    wrong = explain(history, task, 1024)
    assert wrong is not None and wrong.number == 2
    assert "load() -> #9" in str(wrong) and "from #3" in str(wrong)
