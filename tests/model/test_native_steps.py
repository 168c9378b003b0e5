"""The C code of whole scenarios steps exactly as the generated Python, on random walks."""

from __future__ import annotations

import importlib.util
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.explore.engine import Engine, fine_stops
from genfscheck.checker.explore.probe import every_check

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)

LIBRARY = Library(SUBJECT)
QUICK = ["reclaim-after-error"]
SLOW = [
    "cluster", "debug-fault", "deactivate-and-fault", "hole-store-and-fsync",
    "journal-fault-and-fsync", "pagedaemon-and-truncate", "read-error", "startover-and-truncate",
    "three-on-a-dirty-page", "wired-and-fsync",
]  # fmt: skip


def harness() -> ModuleType:
    """The comparisons of the checker's own tests."""
    # Beside this file, not beside the package: an installed package has no tests.
    tests = Path(__file__).resolve().parents[1]
    path = tests / "checker/explore/native/harness.py"
    spec = importlib.util.spec_from_file_location("native_harness", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def compare(name: str, variant: str, walks: int, steps: int) -> int:
    scenario = LIBRARY.find(name)
    assert scenario is not None
    program = LIBRARY.compile(scenario, variant, ())
    same = harness()
    model = same.Model(program)
    chance = random.Random(name)
    checks = every_check(program)
    compared = 0
    for turn in range(2):
        stops = fine_stops(program) if turn == 0 else same.subsets(program, chance)
        model.set_stops(stops)
        engine = Engine(model.known, stops, checks)
        compared += same.walk(model, engine, chance, walks, steps)[0]
    return compared


@pytest.mark.parametrize("variant", ["1.18", HARDENED])
@pytest.mark.parametrize("name", QUICK)
def test_walks(name: str, variant: str) -> None:
    assert compare(name, variant, 3, 150) > 200


@pytest.mark.long
@pytest.mark.parametrize("variant", ["1.18", HARDENED])
@pytest.mark.parametrize("name", SLOW)
def test_more_walks(name: str, variant: str) -> None:
    assert compare(name, variant, 12, 400) > 1000
