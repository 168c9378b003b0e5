"""genfs_getpages (94-696): return busy, valid pages, reading or zeroing what is missing.

The seed's one function is cut at its labels: ``out_err`` is the end of ``genfs_getpages``,
``startover`` the loop of ``_getpages``, ``loopdone`` the return of ``_read_loop``, ``out`` the
start of ``_release``.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL,
    RW,
    array,
    fixed,
    int32,
    kassert,
    mutex_enter,
    mutex_exit,
    panic,
    routine,
    rw_enter,
    rw_exit,
    rw_tryenter,
    wakeup,
)
from ..kernel.buf import (
    VOP_STRATEGY,
    biowait,
    getiobuf,
    kva_zero,
    nestiobuf_done,
    nestiobuf_setup,
    putiobuf,
    uvm_pagermapin,
    uvm_pagermapout,
)
from ..kernel.fs import (
    GOP_ALLOC,
    GOP_MARKUPDATE,
    VOP_BMAP,
    WAPBL_BEGIN,
    WAPBL_END,
    fstrans_done,
    fstrans_start,
    gop_size,
    vn_syncer_add_to_worklist,
)
from ..kernel.kmem import kmem_free, kmem_zalloc
from ..kernel.pages import (
    uvm_page_disown,
    uvm_page_unbusy,
    uvm_pageenqueue,
    uvm_pagefree,
    uvm_pagezero,
    uvn_findpages,
)
from ..kernel.pmap import pmap_clear_modify
from ..kernel.state import PGO_DONTCARE, Buf, Kva, PageArray, PageOrDontcare, Vnode, uvm
from ..kernel.types import (
    DEBUG,
    DEV_BSHIFT,
    DIAGNOSTIC,
    EBUSY,
    EINVAL,
    ENOMEM,
    FS_BSHIFT,
    PAGE_MASK,
    PAGE_SHIFT,
    PAGE_SIZE,
    PG,
    PGO,
    UFP,
    VI,
    WAPBL,
    Dir,
    Iodone,
    Lock,
    daddr_t,
    errno,
    off_t,
    size_t,
)
from .constants import (
    GOP_UPDATE_ACCESSED,
    GOP_UPDATE_MODIFIED,
    MNT_NOATIME,
    MNT_NODEVMTIME,
    SIZEOF_ONSTACK,
    SIZEOF_PTR,
    V_TYPE,
    VBLK,
    VDIR,
    VLNK,
    VREG,
    Pgs,
    PgsArray,
    round_page,
    trunc_page,
)
from .rel_pages import genfs_rel_pages


@routine(seed=(94, 696))
def genfs_getpages(
    vp: Vnode,
    a_offset: off_t,
    a_m: PageArray,
    a_count: int32,
    a_centeridx: int32,
    write: bool,
    flags: PGO,
    have_m: bool,
) -> tuple[errno, int32]:
    """Entered with the object lock, which is kept only if PGO.LOCKED.

    ``have_m`` is false where the caller's array pointer is NULL.  The second result is what
    ``*ap->a_count`` holds on return: the function never writes it.
    """
    kassert(V_TYPE == VREG or V_TYPE == VDIR or V_TYPE == VLNK or V_TYPE == VBLK)  # 136-137
    error: errno = 0  # 143
    pgs_at: Pgs = Pgs.NOWHERE  # 139-140
    has_trans: bool = False  # 127
    error, pgs_at, has_trans = _getpages(
        vp, a_offset, a_m, a_count, a_centeridx, write, flags, have_m
    )  # 142
    if pgs_at != Pgs.NOWHERE and pgs_at != Pgs.ONSTACK:  # 691
        kmem_free()  # 692
    if has_trans:  # 693
        if fixed("transaction-first") and WAPBL and write:  # 694
            if not (flags & PGO.NOBLOCKALLOC):  # 694
                WAPBL_END()  # 694
        fstrans_done()  # 694
    return error, a_count  # 695


@routine(seed=(94, 696))
def _getpages(
    vp: Vnode,
    a_offset: off_t,
    a_m: PageArray,
    a_count: int32,
    a_centeridx: int32,
    write: bool,
    flags: PGO,
    have_m: bool,
) -> tuple[errno, Pgs, bool]:
    """Everything up to ``out_err``: the error, where ``pgs`` points, ``has_trans``."""
    async_: bool = not (flags & PGO.SYNCIO)  # 124
    has_trans: bool = False  # 127
    overwrite: bool = bool(flags & PGO.OVERWRITE)  # 128
    blockalloc: bool = write and not (flags & PGO.NOBLOCKALLOC)  # 129
    # With the fix, a caller may hold g_glock already, and keeps it.
    glock_held: bool = fixed("glock-held") and bool(flags & PGO.GLOCKHELD)  # 129
    pgs: PgsArray = array(NULL)  # 121
    pgs_at: Pgs = Pgs.NOWHERE  # 139
    pgs_size: int32 = 0  # 140
    error: errno = 0  # 143
    npages: int32 = 0  # 270
    while True:  # 142
        error = 0  # 143
        origvsize: off_t = vp.v_size  # 144
        origoffset: off_t = a_offset  # 145
        orignpages: int32 = a_count  # 146
        diskeof: off_t = gop_size(vp, origvsize, False)  # 147
        memeof: off_t = 0  # 155
        if flags & PGO.PASTEOF:  # 148
            newsize: off_t = max(origvsize, origoffset + (orignpages << PAGE_SHIFT))  # 153-154
            memeof = gop_size(vp, newsize, True)  # 155
            if DIAGNOSTIC:  # 156
                writeeof: off_t = gop_size(vp, vp.v_writesize, True)  # 157
                if newsize > round_page(writeeof):  # 158
                    panic("genfs_getpages: past eof")  # 159
        else:
            memeof = gop_size(vp, origvsize, True)  # 163
        kassert(a_centeridx >= 0 or a_centeridx <= orignpages)  # 165
        kassert((origoffset & (PAGE_SIZE - 1)) == 0 and origoffset >= 0)  # 166
        kassert(orignpages > 0)  # 167

        # Bounds of the request.
        if origoffset + (a_centeridx << PAGE_SHIFT) >= memeof:  # 173
            if not (flags & PGO.LOCKED):  # 174
                mutex_exit(vp.interlock)  # 175
            return EINVAL, pgs_at, has_trans  # 179-180

        _mark(vp, write, flags)  # 185
        if flags & PGO.LOCKED:  # 215
            error = _locked(vp, origoffset, a_m, a_count, a_centeridx, write)  # 215
            return error, pgs_at, has_trans  # 250
        mutex_exit(vp.interlock)  # 252

        # The array covers whole blocks.
        fs_bshift: int32 = FS_BSHIFT if V_TYPE != VBLK else DEV_BSHIFT  # 259-260, 263
        fs_bsize: int32 = 1 << fs_bshift  # 266
        orignpages = min(orignpages, round_page(memeof - origoffset) >> PAGE_SHIFT)  # 268-269
        npages = orignpages  # 270
        startoffset: off_t = origoffset & ~(fs_bsize - 1)  # 271
        endoffset: off_t = round_page(
            (origoffset + (npages << PAGE_SHIFT) + fs_bsize - 1) & ~(fs_bsize - 1)
        )  # 272-273
        endoffset = min(endoffset, round_page(memeof))  # 274
        ridx: int32 = (origoffset - startoffset) >> PAGE_SHIFT  # 275
        pgs_size = SIZEOF_PTR * ((endoffset - startoffset) >> PAGE_SHIFT)  # 277-278
        if pgs_size > SIZEOF_ONSTACK:  # 279
            if not kmem_zalloc(not async_):  # 280-281
                pgs_at = Pgs.ONSTACK  # 282
                return ENOMEM, pgs_at, has_trans  # 283-284
            pgs_at = Pgs.HEAP  # 280
            pgs.fill(NULL)  # 280
        else:
            pgs_at = Pgs.ONSTACK  # 287
            pgs.fill(NULL)  # 288
        if not has_trans:  # 295
            fstrans_start(Lock.SHARED)  # 296
            if fixed("transaction-first") and WAPBL and blockalloc:  # 296
                error = WAPBL_BEGIN()  # 296
                if error:  # 296
                    fstrans_done()  # 296
                    return error, pgs_at, has_trans  # 296
            has_trans = True  # 297

        # Keep truncate out, then see whether it has been here.
        if not glock_held:  # 306
            if blockalloc:  # 306
                rw_enter(vp.g_glock, RW.WRITER)  # 307
            else:
                rw_enter(vp.g_glock, RW.READER)  # 309
        mutex_enter(vp.interlock)  # 311
        if not (vp.v_size < origvsize):  # 312
            break  # 312
        if not glock_held:  # 313
            rw_exit(vp.g_glock)  # 313
        if pgs_at != Pgs.ONSTACK:  # 314
            # The pointer keeps its value.
            kmem_free()  # 315
            if fixed("startover-pgs"):  # 315
                pgs_at = Pgs.NOWHERE  # 315
        continue  # 316

    nfound: int32 = 0  # 319
    nfound, npages = uvn_findpages(
        vp, origoffset, npages, pgs[ridx:], UFP.NOWAIT if async_ else UFP(0)
    )  # 319-320
    if nfound != orignpages:  # 320
        if not glock_held:  # 321
            rw_exit(vp.g_glock)  # 321
        kassert(async_)  # 322
        genfs_rel_pages(pgs[ridx:], orignpages)  # 323
        mutex_exit(vp.interlock)  # 324
        return EBUSY, pgs_at, has_trans  # 325-326

    i: int32 = 0  # 333
    while i < npages:  # 333
        pg1: PageOrDontcare = pgs[ridx + i]  # 334
        if pg1.flags & PG.FAKE or (blockalloc and pg1.flags & PG.RDONLY):  # 336-337
            break  # 338
        i += 1  # 333
    if i == npages:  # 341
        if not glock_held:  # 342
            rw_exit(vp.g_glock)  # 342
        npages += ridx  # 344-345
    elif overwrite:  # 352
        if not glock_held:  # 353
            rw_exit(vp.g_glock)  # 353
        for k in range(npages):  # 356
            pg2: PageOrDontcare = pgs[ridx + k]  # 357
            pg2.flags &= ~(PG.RDONLY | PG.CLEAN)  # 359
        npages += ridx  # 361-362
    else:
        npages = (endoffset - startoffset) >> PAGE_SHIFT  # 371
        if startoffset != origoffset or npages != orignpages:  # 372
            genfs_rel_pages(pgs[ridx:], orignpages)  # 380
            pgs.fill(NULL)  # 381
            npgs: int32 = npages  # 385
            nfound, npgs = uvn_findpages(
                vp, startoffset, npgs, pgs, UFP.NOWAIT if async_ else UFP(0)
            )  # 386-387
            if nfound != npages:  # 387
                if not glock_held:  # 388
                    rw_exit(vp.g_glock)  # 388
                kassert(async_)  # 389
                genfs_rel_pages(pgs, npages)  # 390
                mutex_exit(vp.interlock)  # 391
                return EBUSY, pgs_at, has_trans  # 392-393
        if fixed("fresh-diskeof"):  # 396
            # The pages are held: from now on the file cannot grow into them.
            diskeof = gop_size(vp, vp.v_size, False)  # 396
        mutex_exit(vp.interlock)  # 396
        error = _io(
            vp, pgs, npages, startoffset, diskeof, write, blockalloc, async_, glock_held
        )  # 402
        if async_:  # 567
            return 0, pgs_at, has_trans  # 570-571
        if error:  # 629
            return error, pgs_at, has_trans  # 645
    _release(vp, pgs, npages, ridx, orignpages, a_m, write, blockalloc, overwrite, async_,
             have_m)  # 648  # fmt: skip
    return 0, pgs_at, has_trans  # 650


@routine(seed=(94, 696))
def _mark(vp: Vnode, write: bool, flags: PGO) -> None:
    """The times, and that the vnode is about to be dirty (object lock held)."""
    if not (flags & PGO.NOTIMESTAMP) and (V_TYPE != VBLK or MNT_NODEVMTIME == 0):  # 185-187
        updflags: int32 = 0  # 188
        if MNT_NOATIME == 0:  # 190
            updflags = GOP_UPDATE_ACCESSED  # 191
        if write:  # 193
            updflags |= GOP_UPDATE_MODIFIED  # 194
        if updflags != 0:  # 196
            GOP_MARKUPDATE(vp)  # 197
    _mark_dirty(vp, write)  # 201


@routine(seed=(94, 696))
def _mark_dirty(vp: Vnode, write: bool) -> None:
    """For a write access: a new generation, and on the syncer's list (object lock held)."""
    if write:  # 201
        vp.g_dirtygen += 1  # 202
        if not (vp.v_iflag & VI.ONWORKLST):  # 203
            vn_syncer_add_to_worklist(vp)  # 204
        if (vp.v_iflag & (VI.WRMAP | VI.WRMAPDIRTY)) == VI.WRMAP:  # 206
            vp.v_iflag |= VI.WRMAPDIRTY  # 207


@routine(seed=(94, 696))
def _locked(
    vp: Vnode, origoffset: off_t, a_m: PageArray, a_count: int32, a_centeridx: int32, write: bool
) -> errno:
    """PGO_LOCKED: only what is resident and not busy, without sleeping."""
    npages: int32 = a_count  # 218
    if DEBUG:  # 219
        for i in range(npages):  # 220
            pg: PageOrDontcare = a_m[i]  # 221
            kassert(pg is NULL or pg is PGO_DONTCARE)  # 222
    nfound: int32 = 0  # 225
    nfound, npages = uvn_findpages(
        vp, origoffset, npages, a_m, UFP.NOWAIT | UFP.NOALLOC | (UFP.NORDONLY if write else UFP(0))
    )  # 225-226
    kassert(npages == a_count)  # 227
    if nfound == 0:  # 228
        return EBUSY  # 229-230
    if not rw_tryenter(vp.g_glock, RW.READER):  # 232
        genfs_rel_pages(a_m, npages)  # 233
        for j in range(npages):  # 239
            pg1: PageOrDontcare = a_m[j]  # 240
            # True of every pointer.
            if fixed("dontcare-kept"):  # 242
                if pg1 is not NULL and pg1 is not PGO_DONTCARE:  # 242
                    a_m[j] = NULL  # 243
            elif pg1 is not NULL or pg1 is not PGO_DONTCARE:  # 242
                a_m[j] = NULL  # 243
    else:
        rw_exit(vp.g_glock)  # 247
    return EBUSY if a_m[a_centeridx] is NULL else 0  # 249


@routine(seed=(94, 696))
def _io(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    diskeof: off_t,
    write: bool,
    blockalloc: bool,
    async_: bool,
    glock_held: bool,
) -> errno:
    """Fill the pages.  Returns with the object lock only where it returns 0 and is synchronous."""
    totalbytes: size_t = npages << PAGE_SHIFT  # 402
    bytes_: size_t = min(totalbytes, max(diskeof - startoffset, 0))  # 403
    tailbytes: size_t = totalbytes - bytes_  # 404
    kva: Kva = uvm_pagermapin(pgs, npages, False)  # 407-408
    mbp: Buf = getiobuf(vp)  # 410
    mbp.b_bufsize = totalbytes  # 411
    mbp.kva = kva  # 412
    mbp.b_bcount = bytes_  # 413
    mbp.b_resid = bytes_  # 413
    mbp.age = False  # 414
    mbp.dir = Dir.READ  # 416, 419
    if async_:  # 415
        mbp.b_async = True  # 416
        mbp.b_iodone = Iodone.AIO_BIODONE  # 417
    else:
        mbp.b_async = False  # 419
        mbp.b_iodone = Iodone.NONE  # 420

    # What lies past the end on disk is zero.
    tailstart: size_t = bytes_  # 433
    while tailbytes > 0:  # 434
        len_: int32 = PAGE_SIZE - (tailstart & PAGE_MASK)  # 435
        kassert(len_ <= tailbytes)  # 437
        if pgs[tailstart >> PAGE_SHIFT].flags & PG.FAKE:  # 438
            kva_zero(kva, tailstart, len_)  # 439
        tailstart += len_  # 443
        tailbytes -= len_  # 444

    error: errno = 0  # 143
    skipbytes: size_t = 0  # 405
    sawhole: bool = False  # 126
    started: bool = False  # 451
    error, skipbytes, sawhole, started = _read_loop(
        vp, pgs, npages, startoffset, bytes_, kva, mbp, write, blockalloc
    )  # 451
    nestiobuf_done(mbp, skipbytes, error)  # 565-566
    if async_:  # 567
        if not glock_held:  # 569
            rw_exit(vp.g_glock)  # 569
        return 0  # 570-571
    if started:  # 573
        error = biowait(mbp)  # 574

    readable: bool = not error  # 585
    # A write fault on a hole gives it blocks while the pages are held.
    if not error and sawhole and blockalloc:  # 585
        if WAPBL and not fixed("transaction-first"):  # 590
            error = WAPBL_BEGIN()  # 591
        if not error:  # 594
            alloclen: off_t = npages << PAGE_SHIFT  # 596
            if fixed("alloc-within-file"):  # 596
                alloclen = min(alloclen, vp.v_size - startoffset)  # 596
            error = GOP_ALLOC(vp, startoffset, alloclen)  # 595-596
            if WAPBL and not fixed("transaction-first"):  # 597
                WAPBL_END()  # 598
        if not error:  # 604
            if fixed("flags-under-lock"):  # 605
                mutex_enter(vp.interlock)  # 605
            for i in range(npages):  # 605
                if pgs[i] is NULL:  # 606
                    continue  # 607
                # Without the object lock: a load and a store.
                pgs[i].flags &= ~(PG.CLEAN | PG.RDONLY)  # 609
            if fixed("flags-under-lock"):  # 609
                mutex_exit(vp.interlock)  # 609
    if not glock_held:  # 615
        rw_exit(vp.g_glock)  # 615
    putiobuf(mbp)  # 617
    uvm_pagermapout(kva, npages)  # 618
    mutex_enter(vp.interlock)  # 620
    if error:  # 629
        if fixed("keep-zeroed") and readable:  # 629
            # The pages will be dirty, and a flush may have unlisted the vnode meanwhile.
            _mark_dirty(vp, write)  # 629
        for j in range(npages):  # 630
            if pgs[j] is NULL:  # 631
                continue  # 632
            if fixed("keep-zeroed") and readable:  # 636
                # Allocation failed, perhaps in part: what was zeroed must reach the blocks.
                pgs[j].flags &= ~(PG.FAKE | PG.CLEAN)  # 637
                pgs[j].flags |= PG.RDONLY  # 637
            if pgs[j].flags & PG.FAKE:  # 636
                pgs[j].flags |= PG.RELEASED  # 637
        mutex_enter(uvm.pageqlock)  # 640
        uvm_page_unbusy(pgs, npages)  # 641
        mutex_exit(uvm.pageqlock)  # 642
        mutex_exit(vp.interlock)  # 643
    return error  # 629


@routine(seed=(94, 696))
def _read_loop(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    bytes_: size_t,
    kva: Kva,
    mbp: Buf,
    write: bool,
    blockalloc: bool,
) -> tuple[errno, size_t, bool, bool]:
    """Start a transfer for each run of blocks.

    Returns the error, ``skipbytes``, ``sawhole``, and whether ``bp`` is not NULL.
    """
    error: errno = 0  # 143
    skipbytes: size_t = 0  # 405
    sawhole: bool = False  # 126
    started: bool = False  # 451
    bp: Buf = NULL  # 451
    fs_bshift: int32 = FS_BSHIFT if V_TYPE != VBLK else DEV_BSHIFT  # 259-260, 263
    dev_bshift: int32 = DEV_BSHIFT  # 261, 264
    blkno: daddr_t = 0  # 487
    run: int32 = 0  # 487
    offset: off_t = startoffset  # 452
    while bytes_ > 0:  # 453
        # Pages that are valid already.
        pidx: int32 = (offset - startoffset) >> PAGE_SHIFT  # 460
        while not (pgs[pidx].flags & PG.FAKE):  # 461
            kassert((offset & (PAGE_SIZE - 1)) == 0)  # 464
            if pgs[pidx].flags & PG.RDONLY:  # 465
                sawhole = True  # 466
            b: size_t = min(PAGE_SIZE, bytes_)  # 468
            offset += b  # 469
            bytes_ -= b  # 470
            skipbytes += b  # 471
            pidx += 1  # 472
            if bytes_ == 0:  # 475
                return error, skipbytes, sawhole, started  # 476

        lbn: daddr_t = offset >> fs_bshift  # 486
        error, blkno, run = VOP_BMAP(vp, lbn)  # 487
        if error:  # 488
            skipbytes += bytes_  # 491
            return error, skipbytes, sawhole, started  # 492

        # Up to the next page that is valid.
        iobytes: size_t = min(((lbn + 1 + run) << fs_bshift) - offset, bytes_)  # 501-502
        if offset + iobytes > round_page(offset):  # 503
            pcount: int32 = 1  # 504
            while pidx + pcount < npages and pgs[pidx + pcount].flags & PG.FAKE:  # 505-506
                pcount += 1  # 507
            iobytes = min(
                iobytes, (pcount << PAGE_SHIFT) - (offset - trunc_page(offset))
            )  # 509-510

        if blkno < 0:  # 519
            holepages: int32 = (
                round_page(offset + iobytes) - trunc_page(offset)
            ) >> PAGE_SHIFT  # 520-521
            sawhole = True  # 524
            kva_zero(kva, offset - startoffset, iobytes)  # 525-526
            skipbytes += iobytes  # 527
            if fixed("flags-under-lock"):  # 529
                mutex_enter(vp.interlock)  # 529
            for i in range(holepages):  # 529
                # Without the object lock: a load and a store each.
                if write:  # 530
                    pgs[pidx + i].flags &= ~PG.CLEAN  # 531
                if not blockalloc:  # 533
                    pgs[pidx + i].flags |= PG.RDONLY  # 534
            if fixed("flags-under-lock"):  # 534
                mutex_exit(vp.interlock)  # 534
        else:
            if offset == startoffset and iobytes == bytes_:  # 546
                bp = mbp  # 547
            else:
                bp = getiobuf(vp)  # 549
                nestiobuf_setup(mbp, bp, offset - startoffset, iobytes, Dir.READ)  # 550
            started = True  # 547, 549
            bp.b_blkno = blkno + ((offset - (lbn << fs_bshift)) >> dev_bshift)  # 555-556
            VOP_STRATEGY(bp)  # 562
        offset += iobytes  # 454, 537
        bytes_ -= iobytes  # 454, 537
    return error, skipbytes, sawhole, started  # 453


@routine(seed=(94, 696))
def _release(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    ridx: int32,
    orignpages: int32,
    a_m: PageArray,
    write: bool,
    blockalloc: bool,
    overwrite: bool,
    async_: bool,
    have_m: bool,
) -> None:
    """Mark what was read as valid, give back what was not asked for, copy the array."""
    if fixed("list-at-out"):  # 648
        _mark_dirty(vp, write)  # 648
    mutex_enter(uvm.pageqlock)  # 651
    for i in range(npages):  # 652
        pg: PageOrDontcare = pgs[i]  # 653
        if pg is NULL:  # 654
            continue  # 655
        if pg.flags & PG.FAKE and not overwrite:  # 659
            pg.flags &= ~PG.FAKE  # 660
            pmap_clear_modify(pg)  # 661
        kassert(not write or not blockalloc or not (pg.flags & PG.RDONLY))  # 663
        if i < ridx or i >= ridx + orignpages or async_:  # 664
            if pg.flags & PG.WANTED:  # 667
                wakeup(pg.wanted)  # 668
            if pg.flags & PG.FAKE:  # 670
                kassert(overwrite)  # 671
                uvm_pagezero(pg)  # 672
            if pg.flags & PG.RELEASED:  # 674
                uvm_pagefree(pg)  # 675
                continue  # 676
            uvm_pageenqueue(pg)  # 678
            pg.flags &= ~(PG.WANTED | PG.BUSY | PG.FAKE)  # 679
            uvm_page_disown(pg)  # 680
    mutex_exit(uvm.pageqlock)  # 683
    mutex_exit(vp.interlock)  # 684
    if have_m:  # 685
        for j in range(orignpages):  # 686-687
            a_m[j] = pgs[ridx + j]  # 686-687
