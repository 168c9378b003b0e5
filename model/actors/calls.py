"""Calls of getpages and putpages, with their contracts checked around them.

The contracts: which lock is held before and after, that transactions are as they were, who
owns pages, and that slots marked "don't care" stay so.  ``depth`` is the number of mount
transactions that the caller is inside.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NOBODY, NULL, check, int32, marker, me, mutex_enter, mutex_exit, mutex_owned, panic, pure,
    routine, rw_read_held, rw_write_held,
)  # fmt: skip
from ..genfs.getpages import genfs_getpages
from ..genfs.putpages import genfs_putpages
from ..kernel.data import begin_flush, end_flush
from ..kernel.pages import uvm_pageactivate
from ..kernel.state import (
    PGO_DONTCARE, Page, PageArray, PageOrDontcare, Vnode, pages, perthread, uvm,
)  # fmt: skip
from ..kernel.types import (
    EINVAL, GETPAGES_SLOTS, LLONG_MAX, PAGE_SHIFT, PAGEDAEMON, PG, PGO, TREE_PENALTY, errno,
    off_t,
)  # fmt: skip


@pure
def _owns_none() -> bool:
    """Does the executing thread own no page?"""
    return all(pg.owner is not me() for pg in pages)


@pure
def _owns_only(pgs: PageArray) -> bool:
    """Are all the pages that the executing thread owns in the array?"""
    return all(
        pg.owner is not me() or any(pgs[i] is pg for i in range(GETPAGES_SLOTS)) for pg in pages
    )


@pure
def _is_page(pg: PageOrDontcare) -> bool:
    return pg is not NULL and pg is not PGO_DONTCARE


@pure
def _right_page(pg: PageOrDontcare, off: off_t, fake: bool, rdonly: bool) -> bool:
    """Is this the caller's own page at that offset, in a state it may be returned in?"""
    return (
        pg.owner is me()
        and pg.offset == off
        and (pg.flags & PG.BUSY) != 0
        and (fake or (pg.flags & PG.FAKE) == 0)
        and (rdonly or (pg.flags & PG.RDONLY) == 0)
    )


@pure
def _right_pages(pgs: PageArray, n: int32, off: off_t, fake: bool, rdonly: bool) -> bool:
    return all(
        i >= n or not _is_page(pgs[i]) or _right_page(
            pgs[i], off + (i << PAGE_SHIFT), fake, rdonly
        )
        for i in range(GETPAGES_SLOTS)
    )


@pure
def _all_inside(vp: Vnode, pgs: PageArray, n: int32, off: off_t) -> bool:
    """Is every requested page inside the file there?"""
    return all(
        i >= n or off + (i << PAGE_SHIFT) >= vp.v_size or _is_page(pgs[i])
        for i in range(GETPAGES_SLOTS)
    )


@pure
def _dontcares_kept(pgs: PageArray, n: int32, shadow: int32) -> bool:
    return all(
        i >= n or (pgs[i] is PGO_DONTCARE) == (((shadow >> i) & 1) != 0)
        for i in range(GETPAGES_SLOTS)
    )


@pure
def _as_at_entry(vp: Vnode, depth: int32, locked: bool) -> bool:
    """Transactions and the file's glock (``locked``: held as writer) are as before."""
    return (
        perthread[me()].fstrans_count == depth
        and not rw_read_held(vp.g_glock)
        and rw_write_held(vp.g_glock) == locked
    )


@pure
def _is_dead(vp: Vnode) -> bool:
    """Does the vnode's operation do nothing any more for the executing thread?"""
    return vp.dead or (vp.reclaimer is not NOBODY and vp.reclaimer is not me())


@routine
def call_getpages(
    vp: Vnode,
    off: off_t,
    pgs: PageArray,
    n: int32,
    centre: int32,
    write: bool,
    flags: PGO,
    have_m: bool,
    depth: int32,
    shadow: int32 = 0,
    held: bool = False,
) -> errno:
    """VOP_GETPAGES.  Entered with the object lock, which is kept only if LOCKED.

    ``held``: the caller holds the file's glock as writer, and still does afterwards.
    """
    check("claim-11-getpages", mutex_owned(vp.interlock), "called without the object lock")
    check("claim-11-getpages", _as_at_entry(vp, depth, held), "called with locks of the file")
    if _is_dead(vp):
        if not (flags & PGO.LOCKED):
            mutex_exit(vp.interlock)
        return EINVAL
    journal: bool = perthread[me()].in_wapbl
    vp.inside += 1
    error: errno = 0
    count: int32 = 0
    error, count = genfs_getpages(vp, off, pgs, n, centre, write, flags, have_m)
    vp.inside -= 1
    check("claim-11-getpages", _as_at_entry(vp, depth, held), "a lock or a transaction stays")
    check("claim-11-getpages", perthread[me()].in_wapbl == journal, "a journal transaction stays")
    if flags & PGO.LOCKED:
        check("claim-11-getpages", mutex_owned(vp.interlock), "LOCKED, and the lock is gone")
        check("claim-11-getpages", _owns_only(pgs), "owns pages that it did not return")
        check("claim-11-getpages", _dontcares_kept(pgs, n, shadow), "a don't-care slot changed")
        check(
            "claim-11-getpages", _right_pages(pgs, n, off, False, not write), "a wrong page"
        )
        check(
            "claim-11-getpages", error != 0 or _is_page(pgs[centre]), "no error, and no page"
        )
    else:
        check("claim-11-getpages", not mutex_owned(vp.interlock), "returns with the object lock")
        if error != 0 or not have_m or not flags & PGO.SYNCIO:
            check("claim-11-getpages", _owns_none(), "leaves the caller with busy pages")
        else:
            check("claim-11-getpages", _owns_only(pgs), "owns pages that it did not return")
            check("claim-11-getpages", _is_page(pgs[centre]), "no error, and no page")
            check("claim-11-getpages", _all_inside(vp, pgs, n, off), "no error, and a page missing")
            check(
                "claim-11-getpages",
                _right_pages(
                    pgs, n, off, bool(flags & PGO.OVERWRITE),
                    not write or bool(flags & PGO.NOBLOCKALLOC),
                ),
                "a wrong page",
            )  # fmt: skip
    return error


@pure
def _no_markers(vp: Vnode) -> bool:
    """Has the executing thread no marker in the object's list?"""
    return marker(pages, 0) not in vp.memq and marker(pages, 1) not in vp.memq


@routine
def call_putpages(
    vp: Vnode,
    low: off_t,
    high: off_t,
    flags: PGO,
    pagedaemon: bool,
    depth: int32,
    locked: bool = False,
) -> errno:
    """VOP_PUTPAGES.  Entered with the object lock, which is not held on return.

    ``locked``: the caller holds the file's glock as writer, and still does afterwards.
    """
    check("claim-11-putpages", mutex_owned(vp.interlock), "called without the object lock")
    check("claim-11-putpages", _as_at_entry(vp, depth, locked), "called with locks of the file")
    if _is_dead(vp):
        answer: errno = 0 if vp.dead else EINVAL
        mutex_exit(vp.interlock)
        return answer
    if TREE_PENALTY == 0:
        # No file has so many pages that all of it would be scanned by offset.
        if high == 0 or flags & PGO.ALLPAGES:
            panic("a whole file is flushed, which TREE_PENALTY = 0 is not for")
    journal: bool = perthread[me()].in_wapbl
    vp.inside += 1
    perthread[me()].no_sleep = (
        not flags & (PGO.CLEANIT | PGO.SYNCIO) or bool(flags & PGO.BUSYFAIL)
    )
    perthread[me()].io_failed = False
    error: errno = genfs_putpages(vp, low, high, flags, pagedaemon)
    check(
        "claim-6-error-reported",
        error != 0 or not perthread[me()].io_failed,
        "putpages waited for a write that failed, and reports success",
    )
    perthread[me()].no_sleep = False
    perthread[me()].io_failed = False
    vp.inside -= 1
    check("claim-11-putpages", not mutex_owned(vp.interlock), "returns with the object lock")
    check("claim-11-putpages", _as_at_entry(vp, depth, locked), "a lock or a transaction stays")
    check("claim-11-putpages", perthread[me()].in_wapbl == journal, "a journal transaction stays")
    check("claim-11-putpages", _owns_none(), "leaves the caller with busy pages")
    check("claim-11-putpages", _no_markers(vp), "leaves a marker in the list")
    return error


@routine
def flush_range(
    vp: Vnode, low: off_t, high: off_t, flags: PGO, depth: int32, slot: int32
) -> errno:
    """Take the object lock, clean the range, and judge what is on disk then.

    A negative ``slot``: not judged (the flush is asynchronous, or part of a judged one).
    """
    if slot >= 0:
        begin_flush(vp, slot, low, high if high != 0 else LLONG_MAX)
    mutex_enter(vp.interlock)
    error: errno = call_putpages(vp, low, high, flags, False, depth)
    if slot >= 0:
        end_flush(vp, slot, error == 0)
    return error


@routine
def activate(pg: Page) -> None:
    """uvm_pageactivate, under the lock of the queues."""
    if PAGEDAEMON:
        mutex_enter(uvm.pageqlock)
        uvm_pageactivate(pg)
        mutex_exit(uvm.pageqlock)
