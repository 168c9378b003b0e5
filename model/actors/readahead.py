"""Readahead: asynchronous getpages of one transfer's length after the other."""

from __future__ import annotations

from ...checker.lang.prelude import NULL, actor, array, int32, mutex_enter, routine
from ..kernel.state import PageArray, Vnode
from ..kernel.types import EBUSY, MAXPHYS, MAXPHYS_PAGES, PGO_NONE, errno, off_t
from .calls import call_getpages


@routine
def readahead_range(vp: Vnode, off: off_t, count: int32, depth: int32) -> None:
    """``count`` requests from ``off`` on.  EBUSY is tolerated; any other error ends it."""
    pgs: PageArray = array(NULL)
    at: off_t = off
    for _request in range(count):
        mutex_enter(vp.interlock)
        error: errno = call_getpages(
            vp, at, pgs, MAXPHYS_PAGES, 0, False, PGO_NONE, False, depth
        )
        if error != 0 and error != EBUSY:
            break
        at += MAXPHYS


@actor
def readahead(vp: Vnode, off: off_t, count: int32 = 1) -> None:
    """Readahead as madvise(WILLNEED) runs it; the map lock is left out."""
    readahead_range(vp, off, count, 0)
