"""genfs_do_io (1271-1390): pages or a user's memory to or from the blocks of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..buf import (
    B_ASYNC,
    B_READ,
    BC_AGE,
    BC_BUSY,
    Buf,
    Memory,
    biodone,
    biowait,
    getiobuf,
    nestiobuf_done,
    nestiobuf_setup,
)
from ..device import SECTOR_SHIFT
from .flags import PGO_COUNTED, PGO_SYNCIO

if TYPE_CHECKING:
    from ..vnode import Vnode


def do_io(
    vp: Vnode,
    off: int,
    memory: Memory,
    length: int,
    flags: int,
    write: bool,
    iodone: Callable[[Buf], None],
) -> int:
    """Transfers ``length`` bytes at ``off``, cut at the end of storage; returns an errno.

    Without PGO_SYNCIO the completion thread is told when all is over, and 0 is returned.  With
    it, ``iodone`` is called here, after waiting.  Bytes that fall into holes are dropped on
    writing and zero on reading.
    """
    kernel = vp.mnt
    is_async = not flags & PGO_SYNCIO
    count = _within_file(vp, off, length)
    if write and not flags & PGO_COUNTED:
        vp.interlock.enter(1306)
        vp.v_numoutput.add(2, 1307)
        vp.interlock.exit(1308)
    mbp = getiobuf(vp, 1310)
    mbp.bufsize = length
    mbp.data = memory
    mbp.resid = mbp.bcount = count
    mbp.cflags = BC_BUSY | BC_AGE
    mbp.flags = 0 if write else B_READ
    if is_async:
        mbp.flags |= B_ASYNC
        mbp.iodone = kernel.aiodone.add
    if count:
        error, skipped = _submit(vp, mbp, off, count, write)
        nestiobuf_done(mbp, skipped, error, 1378)
    else:
        biodone(mbp, 1303)
    if is_async:
        return 0
    error = biowait(mbp, 1384)
    iodone(mbp)
    kernel.machine.check()
    return error


def _within_file(vp: Vnode, off: int, length: int) -> int:
    """1290-1303: how much of the transfer lies before the end of storage."""
    kernel = vp.mnt
    if kernel.fixes.sizes_under_lock:
        vp.interlock.enter(1290)
    size = vp.v_size.get(1290)
    writesize = vp.v_writesize.get(1290)
    kernel.machine.kassert(size <= writesize, 1290, f"{size} <= {writesize}")
    writesize = vp.v_writesize.get(1291)
    inside = kernel.fs.storage_end(vp, writesize, 1291) - off
    if kernel.fixes.sizes_under_lock:
        vp.interlock.exit(1291)
    if kernel.fixes.clip_past_eof:
        return max(0, min(length, inside))
    kernel.machine.kassert(inside != 0, 1303)
    return min(length, inside) if inside > 0 else length  # 1301 compares without sign


def _submit(vp: Vnode, mbp: Buf, off: int, count: int, write: bool) -> tuple[int, int]:
    """1331-1374: block by block; (errno, bytes that no transfer was started for)."""
    kernel = vp.mnt
    bshift = kernel.fs.bshift
    offset, left, skipped = off, count, 0
    while left > 0:
        lbn = offset >> bshift
        error, blkno, run = kernel.fs.bmap(vp, lbn, 1336)
        if error:
            return error, skipped + left
        size = min((lbn + 1 + run << bshift) - offset, left)
        if blkno == -1:
            if not write:
                assert mbp.data is not None
                mbp.data.zero(offset - off, size, 1348)
            skipped += size
        else:
            bp = mbp
            if offset != off or size != left:
                bp = getiobuf(vp, 1361)
                nestiobuf_setup(mbp, bp, offset - off, size, 1362)
            bp.blkno = blkno + (offset - (lbn << bshift) >> SECTOR_SHIFT)
            kernel.dev.strategy(bp, 1373)
        offset += size
        left -= size
    return 0, skipped
