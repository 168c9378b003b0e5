"""The unified buffer cache's windows, through which read(2) and write(2) copy.

All windows are one mapping here, whose entries stay after use.  A page that is mapped
already needs no call at all.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL, array, choose_bool, int32, kassert, mutex_enter, mutex_exit, routine, wakeup,
)  # fmt: skip
from ..genfs.constants import round_page, trunc_page
from ..kernel.data import user_failed
from ..kernel.pages import uvm_page_disown, uvm_page_unbusy, uvm_pagefree
from ..kernel.pmap import (
    mapping_protection, needs_writefault, page_store, pmap_enter, window_store,
)  # fmt: skip
from ..kernel.state import PageArray, PageOrDontcare, Vnode, faults, uvm
from ..kernel.types import (
    EFAULT, PAGE_SHIFT, PAGE_SIZE, PG, PGO, UBC_WINSIZE, ZERO, Prot, errno, off_t, token,
)  # fmt: skip
from .calls import activate, call_getpages


@routine
def _map_window_page(
    vp: Vnode, pg: PageOrDontcare, window: int32, low: off_t, high: off_t
) -> None:
    """Map one page of a window fault and un-busy it.

    Writable unless the vnode wants to hear of stores, or the page is RDONLY.  A write (``low``
    up to ``high``) maps a RDONLY page that it stores to all the same, or it would fault for
    ever: what such a page has no block for is not in the range.
    """
    mutex_enter(vp.interlock)
    if pg.flags & PG.WANTED:
        wakeup(pg.wanted)
    kassert(not (pg.flags & PG.FAKE))
    if pg.flags & PG.RELEASED:
        mutex_enter(uvm.pageqlock)
        uvm_pagefree(pg)
        mutex_exit(uvm.pageqlock)
    else:
        readonly: bool = bool(pg.flags & PG.RDONLY)
        if readonly and pg.offset < high and low < pg.offset + PAGE_SIZE:
            readonly = False
        readonly = readonly or needs_writefault(vp)
        pmap_enter(pg, window, mapping_protection(Prot.WRITE, readonly))
        activate(pg)
        pg.flags &= ~(PG.BUSY | PG.WANTED)
        uvm_page_disown(pg)
    mutex_exit(vp.interlock)


@routine
def ubc_fault(
    vp: Vnode, off: off_t, window: int32, write: bool, low: off_t, high: off_t, depth: int32
) -> errno:
    """A fault in a window: get all pages to the window's end, then map each.

    ``low`` and ``high``: the range of the write that this is part of; both 0 for a read.
    """
    start: off_t = trunc_page(off)
    window_end: off_t = (off & ~(UBC_WINSIZE - 1)) + UBC_WINSIZE
    n: int32 = (min(window_end, round_page(max(vp.v_size, high))) - start) >> PAGE_SHIFT
    flags: PGO = PGO.SYNCIO | PGO.NOBLOCKALLOC | PGO.NOTIMESTAMP
    if write:
        flags |= PGO.PASTEOF
    pgs: PageArray = array(NULL)
    mutex_enter(vp.interlock)
    error: errno = call_getpages(vp, start, pgs, n, 0, write, flags, True, depth)
    if error:
        return error
    for i in range(n):
        pg: PageOrDontcare = pgs[i]
        if pg is not NULL:
            _map_window_page(vp, pg, window, low, high)
    return 0


@routine
def _user_fails() -> bool:
    """Does the user's memory fault?"""
    if faults.user_fault > 0:
        if choose_bool("EFAULT"):
            faults.user_fault -= 1
            return True
    return False


@routine
def fill_window(
    vp: Vnode, off: off_t, end: off_t, window: int32, value: token, depth: int32
) -> errno:
    """Store ``value`` from ``off`` up to ``end`` through the windows."""
    at: off_t = off
    while at < end:
        if window_store(vp, at, window, value):
            at += 1
        else:
            error: errno = ubc_fault(vp, at, window, True, off, end, depth)
            if error:
                return error
    return 0


@routine
def copy_in(
    vp: Vnode, off: off_t, end: off_t, window: int32, value: token, depth: int32
) -> errno:
    """Copy user memory into the file: read the pages first."""
    if _user_fails():
        return EFAULT
    return fill_window(vp, off, end, window, value, depth)


@routine
def copy_over(vp: Vnode, off: off_t, end: off_t, value: token, depth: int32) -> errno:
    """Copy user memory over whole pages that are kept busy meanwhile and never read.

    If the copy fails, the whole range becomes zero.  What is left of the last page does so in
    any case.  Without the pages the kernel would go on as in ``copy_in``; but a synchronous
    request that overwrites fails only past the end of the file, where that fails too.
    """
    start: off_t = trunc_page(off)
    n: int32 = (round_page(end) - start) >> PAGE_SHIFT
    pgs: PageArray = array(NULL)
    mutex_enter(vp.interlock)
    error: errno = call_getpages(
        vp, start, pgs, n, 0, True,
        PGO.SYNCIO | PGO.OVERWRITE | PGO.PASTEOF | PGO.NOBLOCKALLOC | PGO.NOTIMESTAMP,
        True, depth,
    )  # fmt: skip
    if error:
        return error
    what: token = value
    if _user_fails():
        error = EFAULT
        what = ZERO
        user_failed(vp, off, end)
    u: off_t = off
    while u < round_page(end):
        page_store(pgs[(u - start) >> PAGE_SHIFT], u, what if u < end else ZERO)
        u += 1
    mutex_enter(vp.interlock)
    for i in range(n):
        pgs[i].flags &= ~(PG.FAKE | PG.CLEAN)
        activate(pgs[i])
    mutex_enter(uvm.pageqlock)
    uvm_page_unbusy(pgs, n)
    mutex_exit(uvm.pageqlock)
    mutex_exit(vp.interlock)
    return error
