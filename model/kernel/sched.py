"""The scheduler's hint that a long scan should let others run."""

from __future__ import annotations

from ...checker.lang.prelude import atomic, choose_bool
from .state import faults
from .types import SHOULD_YIELD


@atomic
def should_yield() -> bool:
    """Is SPCF_SHOULDYIELD set on this processor?  As often as the scenario's budget allows."""
    if SHOULD_YIELD and faults.yields > 0 and choose_bool("yield the processor"):
        faults.yields -= 1
        return True
    return False
