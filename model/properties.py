"""What must hold: KERNEL facts as invariants, one for each claim that is a state predicate.

Claims that speak of a call or of a load are checks where that call or load is modelled
(``claim-4-read``, ``claim-5-foreign``, ``claim-6-integrity``, ``claim-11-…``); assertions of the
seed are ``kassert`` at their lines; deadlock and progress are the checker's own.
"""

from __future__ import annotations

from ..checker.lang.prelude import NOBODY, NULL, invariant, pure
from .genfs.constants import round_page
from .kernel.data import contents_right
from .kernel.fs import gop_size
from .kernel.state import Page, Vnode, bufs, kvas, pages, perthread, uvm, vnodes
from .kernel.types import (
    FILE_UNITS, FS_BSHIFT, NMAPPINGS, PAGE_MASK, PAGE_SHIFT, PG, USER_MAPPINGS, VI, ZERO, Prot,
    off_t,
)  # fmt: skip


@pure
def unlocked() -> bool:
    """No thread holds a vnode's object lock."""
    return all(vp.interlock.owner is NOBODY for vp in vnodes)


@pure
def writable(pg: Page) -> bool:
    """Can a user, or a UBC window, store to the page without a fault?"""
    return any(pg.pte[m] == Prot.WRITE for m in range(NMAPPINGS))


@pure
def user_writable(pg: Page) -> bool:
    """Can a process store to the page without a fault?"""
    return any(pg.pte[m] == Prot.WRITE for m in range(NMAPPINGS) if m < USER_MAPPINGS)


@pure
def mapped(pg: Page) -> bool:
    return any(pg.pte[m] != Prot.NONE for m in range(NMAPPINGS))


@pure
def end_of_pages(vp: Vnode) -> off_t:
    """The limit of legal pages: of the size an extending write has announced."""
    return round_page(gop_size(vp, vp.v_writesize, True))


@invariant("claim-1-ownership", when=unlocked, quiet=("vnodes.interlock",))
def busy_means_one_owner() -> bool:
    """A page is BUSY exactly while one thread, or one master buffer in flight, owns it."""
    return all(
        bool(pg.flags & PG.BUSY) == (pg.owner is not NOBODY or pg.io is not NULL)
        and (pg.owner is NOBODY or pg.io is NULL)
        for pg in pages
        if pg.live
    )


@invariant("claim-2-flags", when=unlocked, quiet=("vnodes.interlock",))
def flags_are_legal() -> bool:
    """RELEASED, PAGEOUT, FAKE, WANTED need BUSY; FAKE has no mapping, RDONLY none for writing."""
    return all(
        (
            (pg.flags & (PG.RELEASED | PG.PAGEOUT | PG.FAKE | PG.WANTED)) == 0
            or bool(pg.flags & PG.BUSY)
        )
        and not (pg.flags & PG.RDONLY and user_writable(pg))
        and not (pg.flags & PG.FAKE and mapped(pg))
        for pg in pages
        if pg.live
    )


@invariant("claim-3-dirty-listed", when=unlocked, quiet=("vnodes.interlock",))
def dirty_is_listed() -> bool:
    """A page at rest that is dirty, or may become so without a fault: its vnode is listed.

    Pages past the end of the file are excepted.  (So would be wired pages that a device writes
    to: no device here does.)
    """
    return all(
        pg.flags & PG.BUSY
        or pg.offset >= end_of_pages(pg.uobject)
        or (pg.flags & PG.CLEAN and not pg.modified and not writable(pg))
        or pg.uobject.v_iflag & VI.ONWORKLST
        for pg in pages
        if pg.live
    )


@invariant("claim-3-wrmapdirty-listed", when=unlocked, quiet=("vnodes.interlock",))
def wrmapdirty_is_listed() -> bool:
    """VI_WRMAPDIRTY implies VI_ONWORKLST."""
    return all(not (vp.v_iflag & VI.WRMAPDIRTY) or vp.v_iflag & VI.ONWORKLST for vp in vnodes)


@invariant("claim-4-at-rest", terminal=True)
def stores_survive() -> bool:
    """When everything is over: page if resident and valid, else disk, holds the last store."""
    return all(contents_right(vp) for vp in vnodes)


@invariant("claim-7-truncation", when=unlocked, quiet=("vnodes.interlock",))
def pages_within_file() -> bool:
    """No page is resident, and so none is being written, at or past the end of the file."""
    return all(pg.offset < end_of_pages(pg.uobject) for pg in pages if pg.live)


@invariant("claim-8-counters", when=unlocked, quiet=("vnodes.interlock",))
def pages_are_counted() -> bool:
    """uo_npages is the number of pages in the tree; the pageout counter that of PAGEOUT pages."""
    return (
        all(
            vp.uo_npages == sum(1 for pg in pages if pg.live and pg.uobject is vp)
            and vp.v_numoutput >= 0
            for vp in vnodes
        )
        and uvm.paging == sum(1 for pg in pages if pg.live and pg.flags & PG.PAGEOUT)
    )


@invariant("claim-8-quiescence", terminal=True)
def everything_given_back() -> bool:
    """When everything is over: no buffer, window, array or output is outstanding."""
    return (
        all(vp.v_numoutput == 0 for vp in vnodes)
        and not any(b.live for b in bufs)
        and not any(k.live for k in kvas)
        and uvm.heap_arrays == 0
        and uvm.paging == 0
        and all(t.fstrans_count == 0 for t in perthread)
    )


@invariant("claim-9-sizes", when=unlocked, quiet=("vnodes.interlock",))
def sizes_agree() -> bool:
    """v_size <= v_writesize; with the vnode lock free the inode agrees with both."""
    return all(
        vp.v_size <= vp.v_writesize
        and (
            vp.v_lock.writer is not NOBODY
            or (vp.v_size == vp.v_writesize and vp.v_size == vp.i_size)
        )
        for vp in vnodes
    )


@pure
def over_hole(vp: Vnode, u: off_t) -> bool:
    """Is the unit inside the file and its block missing?"""
    return u < vp.v_size and vp.bmap[u >> FS_BSHIFT] < 0


@invariant("claim-10-rdonly", when=unlocked, quiet=("vnodes.interlock",))
def holes_are_guarded() -> bool:
    """A valid page over a hole is RDONLY, or has no writable mapping and no unsaved store."""
    return all(
        not over_hole(vp, u)
        or vp.tree[u >> PAGE_SHIFT] is NULL
        or vp.tree[u >> PAGE_SHIFT].flags & (PG.BUSY | PG.RDONLY)
        or (
            not writable(vp.tree[u >> PAGE_SHIFT])
            and vp.tree[u >> PAGE_SHIFT].data[u & PAGE_MASK] == ZERO
        )
        for vp in vnodes
        for u in range(FILE_UNITS)
    )
