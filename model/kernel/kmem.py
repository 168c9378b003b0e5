"""Kernel memory: the arrays that are too large for the stack."""

from __future__ import annotations

from ...checker.lang.prelude import atomic, check, choose_bool
from .state import faults, uvm


@atomic
def kmem_zalloc(sleep: bool) -> bool:
    """Allocate an array; without ``sleep`` it may fail.  Says whether it succeeded."""
    if not sleep and faults.no_array > 0 and choose_bool("no memory for an array"):
        faults.no_array -= 1
        return False
    uvm.heap_arrays += 1
    return True


@atomic
def kmem_free() -> None:
    """Free an array, once."""
    uvm.heap_arrays -= 1
    check("claim-8-counters", uvm.heap_arrays >= 0, "an array is freed that was not allocated")
