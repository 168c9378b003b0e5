"""Buffers, windows of the pager map, the device, and the thread that finishes I/O.

A master buffer covers the pages of one request; it is given to the device itself, or in
pieces, as nested buffers.  A transfer and its completion are two steps, at any time after
VOP_STRATEGY, in any order between buffers.  Completion takes the object lock inside: it is
enabled only while that lock is free.

An asynchronous read, and every write, hands its pages to the master buffer (``Page.io``) with
the first piece; whoever runs the completion thread's work takes them over from there.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NOBODY, NULL, actor, allocate, array, atomic, check, choose, choose_bool, fixed, int32,
    kassert, me, mutex_enter, mutex_exit, panic, pure, release, rest_until, routine, wait_until,
    wakeup,
)  # fmt: skip
from .data import excuse, excuse_flushes
from .pages import (
    uvm_page_unbusy, uvm_pageactivate, uvm_pageenqueue, uvm_pageout_done,
)  # fmt: skip
from .pmap import pmap_clear_modify
from .state import (
    Buf, Kva, Page, PageArray, PageOrDontcare, Vnode, WindowArray, blocks, bufs, faults, kvas,
    perthread, uvm,
)  # fmt: skip
from .syncer import vn_syncer_add_to_worklist
from .types import (
    DEV_BSHIFT, EIO, ENOMEM, FS_BSHIFT, FS_BSIZE, NBUFS, NKVA, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE,
    PAGEDAEMON, PG, WINDOW_PAGES, ZERO, Dev, Dir, Iodone, daddr_t, errno, size_t,
)  # fmt: skip


@pure
def lock_free(vp: Vnode) -> bool:
    """Is the vnode's object lock free?"""
    return vp.interlock.owner is NOBODY


# ------------------------------------------------------------------ the pager map


@atomic
def uvm_pagermapin(pgs: PageArray, npages: int32, pagedaemon: bool) -> Kva:
    """Map the pages in a window, sleeping while the map is full.

    The page daemon never queues with others: it has one window of its own, and waits only
    for that.
    """
    wait_until(
        sum(1 for k in kvas if k.live and k.emergency == pagedaemon)
        < (1 if pagedaemon else NKVA),
        "pager map space",
    )
    kva: Kva = allocate(kvas)
    kva.emergency = pagedaemon
    kva.npages = npages
    for i in range(WINDOW_PAGES):
        if i < npages:
            kva.map[i] = pgs[i]
    return kva


@atomic
def uvm_pagermapout(kva: Kva, npages: int32) -> None:
    """Unmap the window and give it back."""
    check("claim-8-counters", kva.npages == npages, "a window is unmapped in part")
    kva.emergency = False
    kva.npages = 0
    for i in range(WINDOW_PAGES):
        kva.map[i] = NULL
    release(kva)


@atomic
def kva_zero(kva: Kva, koff: size_t, length: size_t) -> None:
    """memset of part of a window to zero."""
    for i in range(WINDOW_PAGES * PAGE_SIZE):
        if i < length:
            at: size_t = koff + i
            kva.map[at >> PAGE_SHIFT].data[at & PAGE_MASK] = ZERO


# ------------------------------------------------------------------------ buffers


@atomic
def getiobuf(vp: Vnode) -> Buf:
    """A buffer with no flags and no error, sleeping for one if need be."""
    wait_until(any(not b.live for b in bufs), "a buffer")
    bp: Buf = allocate(bufs)
    bp.vp = vp
    bp.owner = me()
    return bp


@atomic
def putiobuf(bp: Buf) -> None:
    """Give the buffer back, every field as it was."""
    check("claim-8-counters", bp.dev == Dev.IDLE, "a buffer is freed that the device has")
    bp.vp = NULL
    bp.dir = Dir.READ
    bp.b_async = False
    bp.age = False
    bp.b_bufsize = 0
    bp.b_bcount = 0
    bp.b_resid = 0
    bp.b_error = 0
    bp.b_blkno = 0
    bp.kva = NULL
    bp.koff = 0
    bp.b_iodone = Iodone.NONE
    bp.parent = NULL
    bp.done = False
    bp.owner = NOBODY
    release(bp)


@atomic
def _hand_over(mbp: Buf) -> None:
    """From here on an asynchronous read, or a write, owns the pages it maps."""
    mbp.owner = NOBODY
    if mbp.b_async or mbp.dir == Dir.WRITE:
        for i in range(WINDOW_PAGES):
            if i < mbp.kva.npages:
                mbp.kva.map[i].owner = NOBODY
                mbp.kva.map[i].io = mbp


@atomic
def nestiobuf_setup(mbp: Buf, bp: Buf, off: size_t, size: size_t, direction: Dir) -> None:
    """Make ``bp`` the piece of ``mbp`` of that size at that offset."""
    wait_until(direction == Dir.READ or lock_free(mbp.vp), "object lock")
    bp.parent = mbp
    bp.dir = direction
    bp.b_async = True
    bp.b_iodone = Iodone.NESTED
    bp.kva = mbp.kva
    bp.koff = mbp.koff + off
    bp.b_bufsize = size
    bp.b_bcount = size
    bp.b_resid = size
    _hand_over(mbp)
    if direction == Dir.WRITE:
        bp.vp.v_numoutput += 1


@atomic
def vwakeup(vp: Vnode) -> None:
    """One write less is outstanding (object lock held, or free and not needed)."""
    if vp.v_numoutput <= 0:
        panic("vwakeup: negative v_numoutput")
    vp.v_numoutput -= 1
    if vp.v_numoutput == 0:
        wakeup(vp.v_cv)


@atomic
def _queue_aiodone(bp: Buf) -> None:
    bp.b_iodone = Iodone.AIO_AIODONE
    bp.owner = NOBODY
    uvm.aiodone.insert_tail(bp)


@atomic
def uvm_aio_biodone(bp: Buf) -> None:
    """Hand the buffer to the completion thread."""
    _queue_aiodone(bp)


@atomic
def _biodone_master(mbp: Buf) -> None:
    """A master buffer is done."""
    check("claim-8-counters", not mbp.done, "biodone twice")
    mbp.done = True
    if mbp.dir == Dir.WRITE:
        # Write errors lose data: the page stays clean, and nobody may rely on it.
        kept: bool = fixed("failed-write-stays-dirty") or mbp.b_error == ENOMEM
        if mbp.b_error != 0 and not kept:
            for i in range(WINDOW_PAGES):
                if i < mbp.kva.npages:
                    for j in range(PAGE_SIZE):
                        excuse(mbp.vp, mbp.kva.map[i].offset + j)
        vwakeup(mbp.vp)
    if mbp.b_iodone == Iodone.AIO_BIODONE:
        _queue_aiodone(mbp)


@atomic
def biodone(mbp: Buf) -> None:
    """A master buffer is done that needed no transfer at all; its pages are handed over."""
    wait_until(lock_free(mbp.vp), "object lock")
    _hand_over(mbp)
    mbp.b_resid = 0
    _biodone_master(mbp)


@atomic
def _nestiobuf_done(mbp: Buf, donebytes: size_t, error: errno) -> None:
    """So much more of the master is done."""
    check("claim-8-counters", donebytes <= mbp.b_resid, "more is done than was asked for")
    if error != 0:
        mbp.b_error = error
    mbp.b_resid -= donebytes
    if mbp.b_resid == 0:
        if mbp.b_error != 0:
            mbp.b_resid = mbp.b_bcount
        _biodone_master(mbp)


@atomic
def nestiobuf_done(mbp: Buf, donebytes: size_t, error: errno) -> None:
    """Account for a part of the master that needed no transfer.

    With no bytes nothing happens and the error is ignored; the master may be gone by then.
    """
    wait_until(donebytes == 0 or lock_free(mbp.vp), "object lock")
    if donebytes != 0:
        _hand_over(mbp)
        _nestiobuf_done(mbp, donebytes, error)


@atomic
def _biodone(bp: Buf) -> None:
    """A buffer that the device had is done (object lock free)."""
    if bp.b_iodone == Iodone.NESTED:
        mbp: Buf = bp.parent
        size: size_t = bp.b_bcount
        # A piece that was moved in part counts as failed.
        error: errno = EIO if bp.b_error == 0 and bp.b_resid != 0 else bp.b_error
        if bp.dir == Dir.WRITE:
            vwakeup(bp.vp)
        putiobuf(bp)
        _nestiobuf_done(mbp, size, error)
    else:
        if fixed("short-is-error") and bp.b_error == 0 and bp.b_resid != 0:
            bp.b_error = EIO
        _biodone_master(bp)


@atomic
def biowait(bp: Buf) -> errno:
    """Sleep until the buffer is done.  The flag is set under the lock that waiters hold."""
    wait_until(bp.done, "biowait")
    bp.owner = me()
    if bp.b_error != 0:
        perthread[me()].io_failed = True
    return bp.b_error


# ----------------------------------------------------------------------- the device


@atomic
def _submit(bp: Buf) -> None:
    """Queue the transfer."""
    _hand_over(bp if bp.parent is NULL else bp.parent)
    bp.owner = NOBODY
    check("claim-7-truncation", _blocks_owned(bp), "I/O is issued to a block of another file")
    bp.dev = Dev.QUEUED


@atomic
def _refuse(bp: Buf) -> None:
    """Copy-on-write has no memory for the page daemon: the buffer is completed at once."""
    wait_until(lock_free(bp.vp), "object lock")
    _hand_over(bp if bp.parent is NULL else bp.parent)
    faults.write_nomem -= 1
    bp.b_error = ENOMEM
    _biodone(bp)


@routine
def VOP_STRATEGY(bp: Buf) -> None:
    """Queue a transfer of ``b_bcount`` units at sector ``b_blkno``."""
    if PAGEDAEMON:
        if bp.kva.emergency and faults.write_nomem > 0 and choose_bool("no memory to copy"):
            _refuse(bp)
            return
    _submit(bp)


@pure
def _blocks_owned(bp: Buf) -> bool:
    """Do a write's blocks belong to the file?"""
    return bp.dir == Dir.READ or all(
        j >= bp.b_bcount
        or blocks[((bp.b_blkno << DEV_BSHIFT) + j) >> FS_BSHIFT].vp is bp.vp
        for j in range(WINDOW_PAGES * PAGE_SIZE)
    )


@atomic
def _transfer(bp: Buf, count: size_t) -> None:
    """Move the first ``count`` units between the disk and the pages."""
    for j in range(WINDOW_PAGES * PAGE_SIZE):
        if j < count:
            at: daddr_t = (bp.b_blkno << DEV_BSHIFT) + j
            k: size_t = bp.koff + j
            pg: Page = bp.kva.map[k >> PAGE_SHIFT]
            if bp.dir == Dir.WRITE:
                blocks[at >> FS_BSHIFT].data[at & (FS_BSIZE - 1)] = pg.data[k & PAGE_MASK]
            else:
                pg.data[k & PAGE_MASK] = blocks[at >> FS_BSHIFT].data[at & (FS_BSIZE - 1)]


@atomic
def _move(bp: Buf) -> None:
    """The transfer: all of it; an error and nothing; or all but a unit, and no error."""
    if bp.dir == Dir.WRITE and faults.write_error > 0 and choose_bool("write error"):
        faults.write_error -= 1
        bp.b_error = EIO
    elif bp.dir == Dir.READ and faults.read_error > 0 and choose_bool("read error"):
        faults.read_error -= 1
        bp.b_error = EIO
    else:
        check("claim-7-truncation", _blocks_owned(bp), "a write reaches a block of another file")
        rest: size_t = 0
        if faults.short_transfer > 0 and choose_bool("short transfer"):
            faults.short_transfer -= 1
            rest = 1
        _transfer(bp, bp.b_bcount - rest)
        bp.b_resid = rest
    bp.dev = Dev.MOVED


@atomic
def _complete(bp: Buf) -> None:
    """The completion interrupt."""
    wait_until(lock_free(bp.vp), "object lock")
    bp.dev = Dev.IDLE
    _biodone(bp)


@pure
def _movable(bp: Buf) -> bool:
    """Is a transfer queued?"""
    return bp.live and bp.dev == Dev.QUEUED


@pure
def _completable(bp: Buf) -> bool:
    """Is a transfer over, and the object lock free?"""
    return bp.live and bp.dev == Dev.MOVED and lock_free(bp.vp)


@actor
def device(slot: int32) -> None:
    """The device's work on one buffer of the pool: a daemon for each gives every order."""
    while True:
        rest_until(_movable(bufs[slot]), "a transfer")
        _move(bufs[slot])
        _complete(bufs[slot])


@atomic
def _device_step(bp: Buf) -> None:
    if _movable(bp):
        _move(bp)
    elif _completable(bp):
        bp.dev = Dev.IDLE
        _biodone(bp)


@actor
def disk() -> None:
    """The device as one daemon that serves any buffer next."""
    while True:
        rest_until(any(_movable(b) or _completable(b) for b in bufs), "a transfer")
        _device_step(bufs[choose(NBUFS, "which buffer")])


# ---------------------------------------------------------------- finishing pages


@atomic
def _take_pages(bp: Buf, pgs: WindowArray) -> int32:
    """Find the pages from the window; the executing thread owns them now."""
    for i in range(WINDOW_PAGES):
        if i < bp.kva.npages:
            pg: Page = bp.kva.map[i]
            check("claim-1-ownership", pg.io is bp, "finishes I/O on a page of another buffer")
            pg.io = NULL
            pg.owner = me()
            pgs[i] = pg
    return bp.kva.npages


@routine
def uvm_aio_aiodone(bp: Buf) -> None:
    """Finish the pages of a buffer, in the context of a thread."""
    write: bool = bp.dir == Dir.WRITE
    error: errno = bp.b_error
    vp: Vnode = bp.vp
    age: bool = bp.age
    pgs: WindowArray = array(NULL)
    npages: int32 = _take_pages(bp, pgs)
    uvm_pagermapout(bp.kva, npages)
    paged_out: int32 = 0
    mutex_enter(vp.interlock)
    mutex_enter(uvm.pageqlock)
    for i in range(npages):
        pg: PageOrDontcare = pgs[i]
        if error != 0 and not write:
            # Among them may be pages that were valid before, and were only held meanwhile.
            if not fixed("error-frees-fake-only"):
                pg.flags |= PG.RELEASED
            elif pg.flags & PG.FAKE:
                pg.flags |= PG.RELEASED
            continue
        if error == ENOMEM or (fixed("failed-write-stays-dirty") and error != 0):
            if pg.flags & PG.PAGEOUT:
                pg.flags &= ~PG.PAGEOUT
                paged_out += 1
            pg.flags &= ~PG.CLEAN
            excuse_flushes(vp, pg.offset)
            if fixed("failed-write-stays-dirty"):
                pg.flags &= ~PG.RELEASED
            uvm_pageactivate(pg)
        if pg.flags & PG.FAKE:
            kassert(not write)
            kassert(pg.flags & PG.CLEAN)
            pg.flags &= ~PG.FAKE
            uvm_pageenqueue(pg)
            pmap_clear_modify(pg)
        if pg.flags & PG.PAGEOUT:
            pg.flags &= ~PG.PAGEOUT
            pg.flags |= PG.RELEASED
            paged_out += 1
    if fixed("failed-write-stays-dirty") and write and error != 0:
        vp.g_dirtygen += 1
        vn_syncer_add_to_worklist(vp)
    uvm_page_unbusy(pgs, npages)
    if paged_out != 0:
        uvm_pageout_done(paged_out)
    mutex_exit(uvm.pageqlock)
    mutex_exit(vp.interlock)
    if write and age:
        mutex_enter(vp.interlock)
        vwakeup(vp)
        mutex_exit(vp.interlock)
    putiobuf(bp)


@atomic
def _next_done() -> Buf:
    bp: Buf = uvm.aiodone.first()
    uvm.aiodone.remove(bp)
    bp.b_iodone = Iodone.NONE
    bp.owner = me()
    return bp


@actor
def aiodone() -> None:
    """The one thread that finishes I/O, in the order of completion."""
    while True:
        rest_until(uvm.aiodone.first() is not NULL, "finished I/O")
        bp: Buf = _next_done()
        uvm_aio_aiodone(bp)
