"""The page daemon, one look at one page: no vnode lock, no reference, no map lock."""

from __future__ import annotations

from ...checker.lang.prelude import (
    actor, choose, int32, mutex_enter, mutex_exit, mutex_tryenter, pure,
)  # fmt: skip
from ..kernel.state import Page, Vnode, pages, uvm
from ..kernel.types import NPAGES, PAGE_SIZE, PG, PGO, off_t
from .calls import call_putpages


@pure
def _victim(pg: Page) -> bool:
    """Is the page on a queue, and not wired?"""
    return pg.live and pg.queued and not pg.wired


@actor
def pagedaemon(looks: int32 = 1) -> None:
    """Look at ``looks`` pages, one after the other.  Each is cleaned and freed if it can be.

    The queues' lock is held while the object's is tried, against the usual order.
    """
    for _look in range(looks):
        mutex_enter(uvm.pageqlock)
        pg: Page = pages[choose(NPAGES, "which page")]
        if _victim(pg):
            vp: Vnode = pg.uobject
            if mutex_tryenter(vp.interlock):
                busy: bool = bool(pg.flags & PG.BUSY)
                off: off_t = pg.offset
                mutex_exit(uvm.pageqlock)
                if busy:
                    mutex_exit(vp.interlock)
                else:
                    call_putpages(
                        vp, off, off + PAGE_SIZE, PGO.CLEANIT | PGO.FREE, True, 0
                    )
            else:
                mutex_exit(uvm.pageqlock)
        else:
            mutex_exit(uvm.pageqlock)
