"""The vnode's sizes, and blocks under a range that is about to be written."""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL, RW, array, fixed, int32, kassert, mutex_enter, mutex_exit, routine, rw_enter, rw_exit,
)  # fmt: skip
from ..genfs.constants import round_page, trunc_page
from ..kernel.fs import GOP_ALLOC, blkroundup, gop_size
from ..kernel.pages import uvm_page_unbusy
from ..kernel.state import PageArray, PageOrDontcare, Vnode, uvm
from ..kernel.types import FRAGMENTS, FS_BSHIFT, FS_BSIZE, PAGE_SHIFT, PG, PGO, errno, off_t
from .calls import activate, call_getpages, call_putpages


@routine
def uvm_vnp_setwritesize(vp: Vnode, size: off_t) -> None:
    """Pages up to there are legal from now on."""
    mutex_enter(vp.interlock)
    vp.v_writesize = size
    mutex_exit(vp.interlock)


@routine
def uvm_vnp_setsize(vp: Vnode, size: off_t, depth: int32, locked: bool = False) -> None:
    """Set both sizes; if there may be pages past the new end, free them first.

    ``locked``: the caller holds the file's glock.
    """
    mutex_enter(vp.interlock)
    if vp.v_writesize > round_page(size):
        call_putpages(vp, round_page(size), 0, PGO.FREE | PGO.SYNCIO, False, depth, locked)
        mutex_enter(vp.interlock)
    vp.v_size = size
    vp.v_writesize = size
    mutex_exit(vp.interlock)


@routine
def fill_fragment(vp: Vnode, size: off_t, sync: bool, depth: int32) -> errno:
    """FFS: a fragment that the file outgrows becomes a whole block, and its pages dirty.

    Otherwise what a page holds behind the old end would get into the file without ever being
    written.  ``size`` is the new one; ``sync``: that block is on disk afterwards.
    """
    error: errno = 0
    if FRAGMENTS:
        old: off_t = vp.i_size
        eob: off_t = blkroundup(old)
        if old < size and old != eob and old >> FS_BSHIFT != size >> FS_BSHIFT:
            uvm_vnp_setwritesize(vp, eob)
            error = ufs_balloc_range(vp, old, eob - old, depth)
            if error == 0 and sync:
                mutex_enter(vp.interlock)
                call_putpages(
                    vp, trunc_page(old & ~(FS_BSIZE - 1)), round_page(eob),
                    PGO.CLEANIT | PGO.SYNCIO | PGO.JOURNALLOCKED, False, depth,
                )  # fmt: skip
    return error


@routine
def fill_growth(vp: Vnode, start: off_t, depth: int32) -> errno:
    """Two fixes: before a growing file gets blocks from ``start`` on, its pages lose their holes.

    The page that the old end is in may be mapped and resident without RDONLY: it is complete
    for the old size.  A page that is made past the old end is never RDONLY, whatever is missing
    in front of ``start``.
    """
    error: errno = 0
    if fixed("grow-fills-last-page") or fixed("grow-fills-new-page"):
        old: off_t = vp.v_size
        end: off_t = gop_size(vp, old, False)
        until: off_t = min(round_page(old), start)
        if fixed("grow-fills-last-page") and end < until:
            error = _grow_to(vp, end, until, depth)
        begin: off_t = max(end, trunc_page(start))
        if fixed("grow-fills-new-page") and error == 0 and begin < start:
            error = _grow_to(vp, begin, start, depth)
    return error


@routine
def _grow_to(vp: Vnode, begin: off_t, end: off_t, depth: int32) -> errno:
    """Blocks, and so pages, from ``begin`` up to ``end``, which is past the end of the file."""
    uvm_vnp_setwritesize(vp, end)
    error: errno = ufs_balloc_range(vp, begin, end - begin, depth)
    return error


@routine
def ufs_balloc_range(vp: Vnode, off: off_t, length: off_t, depth: int32) -> errno:
    """Give the range blocks, with the pages over its first block held busy meanwhile.

    So nobody sees what a new block held before.  If allocation fails the pages stay, as later
    kernels have it (in 2007 they were released, which is another file's trial).
    """
    neweof: off_t = max(vp.v_size, off + length)
    neweob: off_t = gop_size(vp, neweof, False)
    start: off_t = trunc_page(off) & ~(FS_BSIZE - 1)
    n: int32 = (min(round_page(start + FS_BSIZE), round_page(neweob)) - start) >> PAGE_SHIFT
    pgs: PageArray = array(NULL)
    held: bool = fixed("glock-held")
    if held:
        rw_enter(vp.g_glock, RW.WRITER)
    mutex_enter(vp.interlock)
    error: errno = call_getpages(
        vp, start, pgs, n, 0, True,
        PGO.SYNCIO | PGO.PASTEOF | PGO.NOBLOCKALLOC | PGO.NOTIMESTAMP
        | (PGO.GLOCKHELD if held else PGO(0)),
        True, depth, 0, held,
    )  # fmt: skip
    if error:
        if held:
            rw_exit(vp.g_glock)
        return error
    mutex_enter(vp.interlock)
    for i in range(n):
        pg: PageOrDontcare = pgs[i]
        kassert(not (pg.flags & PG.RELEASED))
        pg.flags &= ~PG.CLEAN
        activate(pg)
    mutex_exit(vp.interlock)
    aligned: off_t = off & ~(FS_BSIZE - 1)
    if not held:
        rw_enter(vp.g_glock, RW.WRITER)
    error = GOP_ALLOC(vp, aligned, off + length - aligned)
    rw_exit(vp.g_glock)
    eob: off_t = gop_size(vp, off + length, False)
    mutex_enter(vp.interlock)
    for j in range(n):
        at: off_t = start + (j << PAGE_SHIFT)
        if error == 0 and aligned <= at and round_page(at + 1) <= eob:
            pgs[j].flags &= ~PG.RDONLY
    mutex_enter(uvm.pageqlock)
    uvm_page_unbusy(pgs, n)
    mutex_exit(uvm.pageqlock)
    mutex_exit(vp.interlock)
    return error
