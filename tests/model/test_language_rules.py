"""Every routine of the model is inside the language, whatever the parameters and fixes.

One set of parameters takes seconds: all but the defaults of 1.18 are of the long tier.
"""

from __future__ import annotations

import pytest

from genfscheck.checker.lang.compile import check_definitions

from .suite import LIBRARY

PARAMETERS: list[dict[str, int]] = [
    {},
    {"PAGE_SHIFT": 0, "FS_BSHIFT": 0},
    {"PAGE_SHIFT": 2, "FS_BSHIFT": 0},
    {"PAGE_SHIFT": 1, "FS_BSHIFT": 2, "FILE_PAGES": 4},
    {"PAGE_SHIFT": 2, "FS_BSHIFT": 2, "DEV_BSHIFT": 1},
    {"DEBUG": 1},
    {"DEBUG": 1, "DIAGNOSTIC": 0},
    {"WAPBL": 1, "METADATA": 1},
    {"FRAGMENTS": 1},
    {"PAGEDAEMON": 1, "NKVA": 1},
    {"DEBUG": 1, "WAPBL": 1, "METADATA": 1, "FRAGMENTS": 1, "PAGEDAEMON": 1, "SHOULD_YIELD": 1},
    {"NVNODES": 2, "NMAPPINGS": 3, "USER_MAPPINGS": 2, "FAULT_SLOTS": 3, "NSYNCS": 2},
]


@pytest.mark.parametrize(
    "fixed", [False, pytest.param(True, marks=pytest.mark.long)], ids=["1.18", "hardened"]
)
@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(one, id=str(one), marks=pytest.mark.long if one else ())
        for one in PARAMETERS
    ],
)
def test_definitions(parameters: dict[str, int], fixed: bool) -> None:
    fixes = LIBRARY.known_fixes if fixed else ()
    errors = check_definitions(LIBRARY.source, parameters, fixes)
    assert not errors, "\n".join(map(str, errors))
