"""Pages: finding, allocating, handing back, freeing; replacement queues.

Everything here is called with the object lock of the page's vnode held, which is what
protects the tree, the list, the count and the flag words.  ``owner`` and ``io`` are ghosts:
the thread, or the master buffer in flight, that owns the page while it is BUSY.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NOBODY, NULL, allocate, atomic, check, choose_bool, int32, kassert, me, mutex_enter,
    mutex_exit, pure, release, routine, sleep_on, wait_until, wakeup,
)  # fmt: skip
from .pmap import pmap_clear_modify
from .state import (
    PGO_DONTCARE, Page, PageArray, PageOrDontcare, Vnode, faults, pages, perthread, uvm,
)  # fmt: skip
from .types import (
    FILE_UNITS, FOREIGN, NMAPPINGS, PAGE_SHIFT, PAGE_SIZE, PAGEDAEMON, PG, PG_NONE,
    STALE_MODIFIED, UFP, ZERO, Prot, off_t,
)  # fmt: skip


@pure
def uvm_pagelookup(vp: Vnode, off: off_t) -> Page:
    """The resident page at ``off``, or NULL."""
    return NULL if off < 0 or off >= FILE_UNITS else vp.tree[off >> PAGE_SHIFT]


# ---------------------------------------------------------------------- ownership


@atomic
def uvm_page_own(pg: Page) -> None:
    """Record that the executing thread set BUSY."""
    check("claim-1-ownership", pg.owner is NOBODY and pg.io is NULL, "BUSY taken twice")
    pg.owner = me()


@atomic
def uvm_page_disown(pg: Page) -> None:
    """Record that the executing thread cleared BUSY: only the owner may."""
    check("claim-1-ownership", pg.owner is me() and pg.io is NULL, "un-busied by another")
    pg.owner = NOBODY


# -------------------------------------------------------------- allocate and free


@atomic
def uvm_pagealloc(vp: Vnode, off: off_t) -> Page:
    """A new page at the list's tail: BUSY, FAKE and CLEAN, with somebody's old contents.

    NULL when memory is short.  Nobody cleared the modified bit since its last use.
    """
    nothing: Page = NULL
    if faults.no_memory > 0 and choose_bool("no memory"):
        faults.no_memory -= 1
        return nothing
    pg: Page = allocate(pages)
    if pg is not NULL:
        kassert(vp.tree[off >> PAGE_SHIFT] is NULL)
        pg.uobject = vp
        pg.offset = off
        pg.flags = PG.BUSY | PG.FAKE | PG.CLEAN
        pg.modified = STALE_MODIFIED != 0
        for i in range(PAGE_SIZE):
            pg.data[i] = FOREIGN
        pg.owner = me()
        vp.tree[off >> PAGE_SHIFT] = pg
        vp.memq.insert_tail(pg)
        vp.uo_npages += 1
    return pg


@atomic
def uvm_pagefree(pg: Page) -> None:
    """Remove the page from its object and from every queue.  Sleepers are not woken.

    Legal on a BUSY page, for its owner.  The caller has removed the mappings.
    """
    check(
        "claim-1-ownership",
        pg.owner is me() or (pg.owner is NOBODY and pg.io is NULL),
        "a page is freed that somebody else owns",
    )
    for m in range(NMAPPINGS):
        check("freed-while-mapped", pg.pte[m] == Prot.NONE, "a mapped page is freed")
        pg.pte[m] = Prot.NONE
    vp: Vnode = pg.uobject
    vp.tree[pg.offset >> PAGE_SHIFT] = NULL
    vp.memq.remove(pg)
    vp.uo_npages -= 1
    # Every field back to one value, so that states differ only where it matters.
    pg.uobject = NULL
    pg.offset = 0
    pg.flags = PG_NONE
    pg.wired = False
    pg.queued = False
    pg.modified = False
    for i in range(PAGE_SIZE):
        pg.data[i] = ZERO
    pg.owner = NOBODY
    pg.io = NULL
    release(pg)


@atomic
def uvm_page_unbusy(pgs: PageArray, npgs: int32) -> None:
    """Clear BUSY on the pages of the array; wake who waits; free what is RELEASED."""
    for i in range(npgs):
        pg: PageOrDontcare = pgs[i]
        if pg is not NULL and pg is not PGO_DONTCARE:
            kassert(pg.flags & PG.BUSY)
            kassert(not (pg.flags & PG.PAGEOUT))
            if pg.flags & PG.WANTED:
                wakeup(pg.wanted)
            if pg.flags & PG.RELEASED:
                uvm_pagefree(pg)
            else:
                kassert(not (pg.flags & PG.FAKE))
                pg.flags &= ~(PG.BUSY | PG.WANTED)
                uvm_page_disown(pg)


@routine
def UVM_UNLOCK_AND_WAIT(pg: Page, vp: Vnode) -> None:
    """Give the object lock up and sleep until the page is un-busied; returns without it."""
    check(
        "claim-11-no-sleep",
        not perthread[me()].no_sleep,
        "putpages with neither CLEANIT nor SYNCIO sleeps",
    )
    sleep_on(pg.wanted, vp.interlock)


@routine
def uvm_wait(vp: Vnode) -> None:
    """Sleep for memory without the object lock, and take it again."""
    mutex_exit(vp.interlock)
    wait_until(any(not pg.live for pg in pages), "free memory")
    mutex_enter(vp.interlock)


@atomic
def uvm_pagezero(pg: Page) -> None:
    """Fill the page with zeros."""
    for i in range(PAGE_SIZE):
        pg.data[i] = ZERO


# ------------------------------------------------------------------------ finding


@routine
def _uvn_findpage(vp: Vnode, off: off_t, flags: UFP) -> Page:
    """One slot: the page at ``off``, now BUSY and the caller's, or NULL for "not found".

    Sleeping for a busy page or for memory gives the object lock up, and everything is
    looked up again: the page may be gone, or be another one.
    """
    nothing: Page = NULL
    while True:
        pg: Page = uvm_pagelookup(vp, off)
        if pg is NULL:
            if flags & UFP.NOALLOC:
                return nothing
            pg = uvm_pagealloc(vp, off)
            if pg is not NULL:
                return pg
            if flags & UFP.NOWAIT:
                return nothing
            uvm_wait(vp)
            continue
        if flags & UFP.NOCACHE:
            return nothing
        if pg.flags & PG.BUSY:
            if flags & UFP.NOWAIT:
                return nothing
            check("claim-1-ownership", pg.owner is not me(), "waits for a page that it owns")
            pg.flags |= PG.WANTED
            sleep_on(pg.wanted, vp.interlock)
            mutex_enter(vp.interlock)
            continue
        if flags & UFP.NORDONLY:
            if pg.flags & PG.RDONLY:
                return nothing
        if flags & UFP.DIRTYONLY:
            dirty: bool = pmap_clear_modify(pg) or not (pg.flags & PG.CLEAN)
            pg.flags |= PG.CLEAN
            if not dirty:
                return nothing
        pg.flags |= PG.BUSY
        uvm_page_own(pg)
        return pg


@routine
def uvn_findpages(
    vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP
) -> tuple[int32, int32]:
    """Look for ``n`` pages upwards from ``off``, or downwards into slot n-1 first.

    A slot that is not NULL at entry counts as not found and stays.  Returns the number
    found, and the number of slots gone through: ``n``, except that DIRTYONLY stops at the
    first miss.
    """
    found: int32 = 0
    i: int32 = 0
    where: off_t = off
    while i < n:
        slot: int32 = n - 1 - i if flags & UFP.BACKWARD else i
        pg: Page = NULL
        if pgs[slot] is NULL:
            pg = _uvn_findpage(vp, where, flags)
        if pg is not NULL:
            pgs[slot] = pg
            found += 1
        elif flags & UFP.DIRTYONLY:
            return found, found
        where += -PAGE_SIZE if flags & UFP.BACKWARD else PAGE_SIZE
        i += 1
    return found, n


# --------------------------------------------------------------- replacement queues
#
# Only the page daemon looks at them: without one in the scenario they have no state.


@atomic
def uvm_pageactivate(pg: Page) -> None:
    """Put the page on the active queue; wired pages are on none."""
    if PAGEDAEMON and not pg.wired:
        pg.queued = True


@atomic
def uvm_pageenqueue(pg: Page) -> None:
    """Put the page on some queue, if it is on none; wired pages are on none."""
    if PAGEDAEMON and not pg.wired:
        pg.queued = True


@atomic
def uvm_pagedeactivate(pg: Page) -> None:
    """Put the page on the inactive queue."""
    if PAGEDAEMON and not pg.wired:
        pg.queued = True


@atomic
def uvm_pagedequeue(pg: Page) -> None:
    """Take the page off its queue: the page daemon will not choose it."""
    if PAGEDAEMON:
        pg.queued = False


@atomic
def uvm_pageout_start(npages: int32) -> None:
    """So many pages more are being paged out."""
    uvm.paging += npages


@atomic
def uvm_pageout_done(npages: int32) -> None:
    """So many are done.  Who waits for memory looks at the memory itself."""
    uvm.paging -= npages
