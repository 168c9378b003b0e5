"""msync(2): no vnode lock.  The map lock that it holds as reader is left out."""

from __future__ import annotations

from ...checker.lang.prelude import actor, int32
from ..kernel.state import Vnode
from ..kernel.types import PGO, off_t
from .calls import flush_range


@actor
def msync(
    vp: Vnode,
    low: off_t,
    high: off_t,
    sync: bool = True,
    invalidate: bool = False,
    slot: int32 = 0,
) -> None:
    """Clean the pages of a range; MS_SYNC waits, and is judged in ``slot``."""
    flags: PGO = PGO.CLEANIT
    if sync:
        flags |= PGO.SYNCIO
    if invalidate:
        flags |= PGO.FREE
    flush_range(vp, low, high, flags, 0, slot if sync else -1)
