"""Page faults, and the loads and stores that cause them.

Left out: the map lock, anons and copy-on-write.  A slot that an anon shadows is given as a bit
of ``shadow``.  ``mapping`` is the number of the mapping (a process's); ``entry`` is the map
entry's protection, which a fault enters even for a read.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL, actor, array, int32, kassert, mutex_enter, mutex_exit, routine, wakeup,
)  # fmt: skip
from ..genfs.constants import trunc_page
from ..kernel.pages import (
    uvm_page_disown, uvm_pagedequeue, uvm_pageenqueue, uvm_pagefree,
)  # fmt: skip
from ..kernel.pmap import (
    mapping_protection, needs_writefault, pmap_enter, user_load, user_store,
)  # fmt: skip
from ..kernel.state import PGO_DONTCARE, PageArray, PageOrDontcare, Vnode, uvm
from ..kernel.types import (
    FIRST_STORE, PAGE_SHIFT, PAGEDAEMON, PG, PGO, VI, Prot, errno, off_t,
)  # fmt: skip
from .calls import activate, call_getpages
from .readahead import readahead_range


@routine
def _map_neighbour(vp: Vnode, pg: PageOrDontcare, mapping: int32, entry: Prot) -> None:
    """A neighbour that happened to be there: queue it, un-busy it, map it."""
    if PAGEDAEMON:
        mutex_enter(uvm.pageqlock)
        uvm_pageenqueue(pg)
        mutex_exit(uvm.pageqlock)
    readonly: bool = bool(pg.flags & PG.RDONLY) or needs_writefault(vp)
    pmap_enter(pg, mapping, mapping_protection(entry, readonly))
    pg.flags &= ~PG.BUSY
    uvm_page_disown(pg)


@routine
def _map_page(
    vp: Vnode, pg: PageOrDontcare, mapping: int32, write: bool, entry: Prot, wire: bool
) -> None:
    """The page that was asked for: map it, wire it, un-busy it."""
    if not (pg.flags & PG.CLEAN):
        kassert(vp.v_iflag & VI.ONWORKLST)
    rdonly: bool = bool(pg.flags & PG.RDONLY)
    if write:
        kassert(not rdonly)
    pmap_enter(pg, mapping, mapping_protection(entry, rdonly or needs_writefault(vp)))
    if wire:
        uvm_pagedequeue(pg)
        pg.wired = True
    if pg.flags & PG.WANTED:
        wakeup(pg.wanted)
    pg.flags &= ~(PG.BUSY | PG.WANTED)
    uvm_page_disown(pg)


@routine
def _slow(
    vp: Vnode, off: off_t, mapping: int32, write: bool, entry: Prot, ahead: int32, wire: bool
) -> errno:
    """The page was not there: get it, without holding anything but the object lock.

    Entered with that lock, left without.
    """
    if ahead > 0 and not write:
        mutex_exit(vp.interlock)
        readahead_range(vp, off, ahead, 0)
        mutex_enter(vp.interlock)
    pgs: PageArray = array(NULL)
    error: errno = call_getpages(vp, off, pgs, 1, 0, write, PGO.SYNCIO, True, 0)
    if error:
        return error
    pg: PageOrDontcare = pgs[0]
    mutex_enter(vp.interlock)
    activate(pg)
    if pg.flags & PG.RELEASED:
        # Somebody wants it gone.  The fault starts again.
        if pg.flags & PG.WANTED:
            wakeup(pg.wanted)
        mutex_enter(uvm.pageqlock)
        uvm_pagefree(pg)
        mutex_exit(uvm.pageqlock)
    else:
        _map_page(vp, pg, mapping, write, entry, wire)
    mutex_exit(vp.interlock)
    return 0


@routine
def fault(
    vp: Vnode,
    unit: off_t,
    mapping: int32,
    write: bool,
    entry: Prot,
    behind: int32,
    ahead: int32,
    shadow: int32,
    readahead: int32,
    wire: bool,
) -> errno:
    """One fault: 0 where the access is to be tried again."""
    centre: off_t = trunc_page(unit)
    first: off_t = centre - (behind << PAGE_SHIFT)
    n: int32 = behind + 1 + ahead
    pgs: PageArray = array(NULL)
    for k in range(n):
        if (shadow >> k) & 1:
            pgs[k] = PGO_DONTCARE
    mutex_enter(vp.interlock)
    # The error is not looked at; the array is believed.
    call_getpages(vp, first, pgs, n, behind, write, PGO.LOCKED, True, 0, shadow)
    for i in range(n):
        pg: PageOrDontcare = pgs[i]
        if i != behind and pg is not NULL and pg is not PGO_DONTCARE:
            _map_neighbour(vp, pg, mapping, entry)
    found: PageOrDontcare = pgs[behind]
    if found is NULL:
        return _slow(vp, centre, mapping, write, entry, readahead, wire)
    _map_page(vp, found, mapping, write, entry, wire)
    mutex_exit(vp.interlock)
    return 0


@actor
def mapped_store(
    vp: Vnode,
    unit: off_t,
    store: int32,
    mapping: int32 = 0,
    behind: int32 = 0,
    ahead: int32 = 0,
    shadow: int32 = 0,
) -> None:
    """A user's store through a shared writable mapping, repeated until it is done or fails."""
    while not user_store(vp, unit, mapping, FIRST_STORE + store):
        if fault(vp, unit, mapping, True, Prot.WRITE, behind, ahead, shadow, 0, False):
            break


@actor
def mapped_load(
    vp: Vnode,
    unit: off_t,
    entry: Prot,
    mapping: int32 = 0,
    behind: int32 = 0,
    ahead: int32 = 0,
    shadow: int32 = 0,
    readahead: int32 = 0,
) -> None:
    """A user's load; the mapping may well be writable."""
    while not user_load(vp, unit, mapping):
        if fault(vp, unit, mapping, False, entry, behind, ahead, shadow, readahead, False):
            break


@actor
def mlock(vp: Vnode, unit: off_t, entry: Prot, mapping: int32 = 0) -> None:
    """Wire a page: a fault with the entry's own protection as access."""
    fault(vp, unit, mapping, entry == Prot.WRITE, entry, 0, 0, 0, 0, True)
