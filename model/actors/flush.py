"""putpages as anything may call it: a range and flags, and nothing else held."""

from __future__ import annotations

from ...checker.lang.prelude import actor, mutex_enter
from ..kernel.state import Vnode
from ..kernel.types import PGO, off_t
from ..genfs.null_putpages import genfs_null_putpages
from .calls import call_putpages


@actor
def null_flush(vp: Vnode) -> None:
    """putpages of a kind of vnode that never has pages."""
    mutex_enter(vp.interlock)
    genfs_null_putpages(vp)


@actor
def flush(vp: Vnode, low: off_t, high: off_t, flags: PGO) -> None:
    """One call of putpages; its result is ignored."""
    mutex_enter(vp.interlock)
    call_putpages(vp, low, high, flags, False, 0)
