"""The large tier: what holds in small scenarios holds with more threads and pages.

``large.json`` says how many states and transitions each has with all fixes (steps merged,
nothing else reduced).  To write it anew::

    python tests/model/test_large.py
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import HARDENED, Library
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.result import Result

LIBRARY = Library(SUBJECT)
LARGE = {entry.name: entry for entry in LIBRARY.scenarios if entry.tier == "large"}
EXPECTED = Path(__file__).with_name("large.json")
MEMORY = 6 << 30

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
    ),
]


def explored(name: str) -> Result:
    program = LIBRARY.compile(LARGE[name], HARDENED, ())
    return explore(program, engine="native", workers=2, reduction=False, max_memory=MEMORY)


@pytest.mark.parametrize("name", sorted(LARGE))
def test_large_scenarios_hold(name: str) -> None:
    result = explored(name)
    assert result.verdict == "holds"
    assert [result.states, result.transitions] == json.loads(EXPECTED.read_text())[name]


def rewrite() -> int:
    table: dict[str, list[int]] = {}
    for name in sorted(LARGE):
        result = explored(name)
        print(
            f"{name}: {result.verdict}, {result.states:,} states, {result.search_seconds:.1f} s, "
            f"{result.stored_bytes / result.states:.1f} bytes a state",
            flush=True,
        )
        table[name] = [result.states, result.transitions]
    EXPECTED.write_text(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(rewrite())
