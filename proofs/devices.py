"""Contracts, as in :mod:`.services`: windows of the pager map, buffers, and the file system.

One byte of the pager window is watched, any one: ``watch.position``.  So what is proved of it
is proved of every byte.
"""

from __future__ import annotations

from ..checker.lang.prelude import cast, check, int32, record, routine, single, wait_until
from ..model.kernel.state import Buf, Kva, PageArray, PageOrDontcare, Vnode, bufs, kvas
from ..model.kernel.types import (
    DEV_BSHIFT,
    FS_BSHIFT,
    FS_BSIZE,
    PAGE_SIZE,
    Dir,
    daddr_t,
    errno,
    off_t,
    size_t,
)
from .services import some


@record
class Watch:
    """The watched byte, and what has become of it; and sums over all transfers.

    ``position`` is its place in the window, ``file`` in the file; ``blkno`` the first sector
    of its block on disk, or -1.  ``window`` is the window's size, ``transferred`` the bytes
    given to the device.  ``reads`` and ``zeroes`` count what was done to the byte.
    ``asked`` counts the buffers: the first is the master.
    """

    position: size_t
    file: off_t
    blkno: daddr_t
    window: size_t
    transferred: size_t
    reads: int32
    zeroes: int32
    asked: int32


watch: Watch = single(Watch)


# ----------------------------------------------------------------- windows and buffers


@routine
def uvm_pagermapin(pgs: PageArray, npages: int32, pagedaemon: bool) -> Kva:
    """The window has ``npages`` pages, all of them from the array."""
    check("request", npages > 0, "maps no page")
    first: PageOrDontcare = pgs[0]  # noqa: F841
    last: PageOrDontcare = pgs[npages - 1]  # noqa: F841
    watch.window = cast(size_t, npages) * PAGE_SIZE  # type: ignore[redundant-cast]
    return kvas[0]


@routine
def uvm_pagermapout(kva: Kva, npages: int32) -> None:
    """The whole window and nothing else."""
    check("request", cast(size_t, npages) * PAGE_SIZE == watch.window, "unmaps a part")  # type: ignore[redundant-cast]


@routine
def kva_zero(kva: Kva, koff: size_t, length: size_t) -> None:
    """memset to zero of ``length`` bytes from ``koff`` on."""
    at: size_t = koff
    check(
        "window",
        length <= watch.window and at <= watch.window - length,
        "zeroes outside the window",
    )
    if at <= watch.position and watch.position - at < length:
        watch.zeroes += 1


@routine
def getiobuf(vp: Vnode) -> Buf:
    """The master first; the pieces are given away one by one, so one stands for all."""
    bp: Buf = bufs[0] if watch.asked == 0 else bufs[1]
    watch.asked = 1
    bp.koff = 0
    return bp


@routine
def putiobuf(bp: Buf) -> None:
    pass


@routine
def nestiobuf_setup(mbp: Buf, bp: Buf, off: size_t, size: size_t, direction: Dir) -> None:
    """A piece of the master: ``size`` bytes at ``off``."""
    bp.koff = off
    bp.b_bcount = size


@routine
def nestiobuf_done(mbp: Buf, donebytes: size_t, error: errno) -> None:
    """Every byte of the master is accounted for: transferred, or done without."""
    check(
        "accounting",
        watch.transferred <= mbp.b_bcount and mbp.b_bcount - watch.transferred == donebytes,
        "the pieces and what was skipped are not the whole",
    )


@routine
def biodone(mbp: Buf) -> None:
    pass


@routine
def biowait(bp: Buf) -> errno:
    return some.error


@routine
def uvm_aio_biodone(bp: Buf) -> None:
    pass


@routine
def VOP_STRATEGY(bp: Buf) -> None:
    """``b_bcount`` bytes between the window at ``koff`` and the sectors from ``b_blkno`` on."""
    at: size_t = bp.koff
    size: size_t = bp.b_bcount
    check("transfer", size > 0, "a transfer of no bytes")
    check(
        "window",
        size <= watch.window and at <= watch.window - size,
        "transfers outside the window",
    )
    watch.transferred += size
    if at <= watch.position and watch.position - at < size:
        watch.reads += 1
        sector: daddr_t = bp.b_blkno
        check("transfer", watch.blkno >= 0, "a transfer for a hole")
        check(
            "address",
            (sector << DEV_BSHIFT) + cast(off_t, watch.position - at)  # type: ignore[redundant-cast]
            == (watch.blkno << DEV_BSHIFT) + (watch.file & (FS_BSIZE - 1)),
            "the byte goes to another place than the file has for it",
        )


# ---------------------------------------------------------------------- the file system


@routine
def VOP_BMAP(vp: Vnode, lbn: daddr_t) -> tuple[errno, daddr_t, int32]:
    """An error; or where block ``lbn`` is, and how many more follow it on disk as in the file.

    What it says of the watched byte's block is ``watch.blkno``.
    """
    check("request", lbn >= 0, "a block of a negative number")
    error: errno = some.error
    blkno: daddr_t = some.block
    run: int32 = some.count
    mine: daddr_t = watch.file >> FS_BSHIFT
    wait_until(blkno >= -1 and blkno <= (1 << 46), "a sector, or none")
    wait_until(
        run >= 0 and run < (1 << 21) and ((cast(off_t, run) + 1) << FS_BSHIFT) <= (1 << 30),  # type: ignore[redundant-cast]
        "a run within a transfer",
    )
    wait_until(
        mine < lbn
        or mine - lbn > run
        or (blkno < 0 and watch.blkno < 0)
        or (
            blkno >= 0
            and watch.blkno == blkno + ((mine - lbn) << (FS_BSHIFT - DEV_BSHIFT))
        ),
        "the block map",
    )
    return error, blkno, run


@routine
def GOP_ALLOC(vp: Vnode, off: off_t, length: off_t) -> errno:
    """Allocates a range of the file."""
    check("request", off >= 0, "allocates before the file")
    return some.error
