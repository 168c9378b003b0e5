"""read(2) and write(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .genfs.directio import Uio, directio
from .genfs.flags import PGO_CLEANIT, PGO_FREE, PGO_JOURNALLOCKED, PGO_SYNCIO, VV_MAPPED
from .sizes import (
    balloc_range,
    cut,
    fill_fragment,
    fill_growth,
    flush_mapped,
    journal_begin,
    journal_end,
    setsize,
    setwritesize,
)
from .sync import READER, WRITER
from .trans import SHARED

if TYPE_CHECKING:
    from .vnode import Vnode


def read(vp: Vnode, offset: int, buffer: memoryview, direct: bool = False) -> tuple[int, int]:
    """(errno, bytes read): fewer than asked for at the end of the file."""
    kernel = vp.mnt
    vp.v_lock.enter(READER, "read")
    kernel.fstrans.start(SHARED, "read")
    uio = Uio(buffer, offset, write=False)
    error = 0
    while uio.resid and not error:
        if direct and not kernel.config.compat:
            directio(vp, uio, journal_locked=False)
        count = min(uio.resid, vp.v_size.get("read") - uio.offset)
        if count <= 0:
            break
        if direct:
            count = min(count, kernel.page_size - uio.offset % kernel.page_size)
        if kernel.config.compat:
            error = flush_mapped(vp, uio.offset, count, 0)
            if not error:
                error, data = kernel.rawio.read(vp, uio.offset, count)
        else:
            error, data = kernel.ubc.read(vp, uio.offset, count)
        if not error:
            uio.view[: len(data)] = data
            uio.advance(len(data))
    kernel.machine.returns("read", error, count=uio.offset - offset)
    vp.touch(accessed=True, modified=False)
    kernel.fstrans.done("read")
    vp.v_lock.exit("read")
    return error, uio.offset - offset


def write(
    vp: Vnode, offset: int | None, data: memoryview, direct: bool = False, sync: bool = False
) -> tuple[int, int, int]:
    """(errno, bytes written, offset behind them); None for the end of the file.

    A failed write that would have extended the file leaves it as long as it was.
    """
    kernel = vp.mnt
    vp.v_lock.enter(WRITER, "write")
    kernel.fstrans.start(SHARED, "write")
    error = journal_begin(kernel, "write")
    if offset is None:
        offset = vp.v_size.get("write")
    uio = Uio(data, offset, write=True)
    if not error:
        error = _write(vp, uio, direct, sync)
        journal_end(kernel, "write")
    vp.touch(accessed=False, modified=True)
    kernel.fstrans.done("write")
    vp.v_lock.exit("write")
    return error, uio.offset - offset, uio.offset


def _write(vp: Vnode, uio: Uio, direct: bool, sync: bool) -> int:
    kernel = vp.mnt
    osize = vp.v_size.get("write")
    if uio.offset + uio.resid > kernel.fs.sb.map_entries * kernel.fs.bsize:
        return errno.EFBIG
    start, error = uio.offset, 0
    if uio.resid and not kernel.config.compat:
        error = fill_fragment(vp, start + uio.resid, sync)
    if uio.offset > osize and uio.resid and not (kernel.config.compat or error):
        error = fill_growth(vp, osize, uio.offset)
    grown = not error
    end, bsize = start + uio.resid, kernel.fs.bsize
    prealloc = kernel.round_page(-(-max(vp.v_size.get("write"), start) // bsize) * bsize)
    while uio.resid and not error:
        if kernel.config.compat:
            error = _write_compat(vp, uio)
            break
        if direct:
            directio(vp, uio, journal_locked=True)
            if not uio.resid:
                break
        before = uio.offset
        error = _write_piece(vp, uio, prealloc, end // bsize * bsize)
        if not error:
            error = _flush_behind(vp, before, uio.offset)
    if grown:
        kernel.machine.returns("write", error, count=uio.offset - start)
    if sync and not error:
        error = _flush_written(vp, start, uio.offset)
    if error and end > osize:
        kernel.machine.returns("cut", cut(vp, osize))
        uio.offset = start
    return error


def _flush_behind(vp: Vnode, before: int, after: int) -> int:
    """A writer that has come far starts the output of what is behind; an errno."""
    kernel = vp.mnt
    shift = kernel.config.flush_shift
    if shift is None or before >> shift == after >> shift:
        return 0
    lo = kernel.trunc_page(before >> shift << shift)
    hi = kernel.trunc_page(after >> shift << shift)
    if lo >= hi:
        return 0
    vp.interlock.enter("write")
    return vp.putpages(lo, hi, PGO_CLEANIT | PGO_JOURNALLOCKED)


def _flush_written(vp: Vnode, start: int, end: int) -> int:
    """O_SYNC: the blocks of what was written are on the device; an errno."""
    kernel = vp.mnt
    bsize = kernel.fs.bsize
    lo, hi = kernel.trunc_page(start & -bsize), kernel.round_page(-(-end // bsize) * bsize)
    if lo >= hi:
        return 0
    vp.interlock.enter("write")
    return vp.putpages(lo, hi, PGO_CLEANIT | PGO_SYNCIO | PGO_JOURNALLOCKED)


def _write_piece(vp: Vnode, uio: Uio, prealloc: int, lastblock: int) -> int:
    """One block or less, or the whole pages of one; an errno."""
    kernel = vp.mnt
    bsize, size = kernel.fs.bsize, kernel.page_size
    offset = uio.offset
    count = min(uio.resid, bsize - offset % bsize)
    over = prealloc <= offset < lastblock
    if kernel.fixes.overwrite_from_page and offset % size:
        over = False  # the page's other blocks may have been written and freed meanwhile
    if not over and offset % bsize == 0 and offset % size == 0:
        whole = kernel.trunc_page(count) // bsize * bsize
        if whole and not vp.v_vflag.get("write") & VV_MAPPED:
            over, count = True, whole
    if offset + count > vp.v_size.get("write"):
        setwritesize(vp, offset + count)
    data = uio.view[:count]
    if over:
        vp.g_glock.enter(WRITER, "write")
        error = kernel.fs.gop_alloc(vp, offset, count, "write")
        vp.g_glock.exit("write")
    else:
        error = balloc_range(vp, offset, count)
    if error:
        return error
    copy = kernel.ubc.overwrite if over else kernel.ubc.write
    error = copy(vp, offset, data)
    if offset + count > vp.v_size.get("write"):
        setsize(vp, offset + count)  # even if the copy failed
    if not error:
        uio.advance(count)
    return error


def _write_compat(vp: Vnode, uio: Uio) -> int:
    error = flush_mapped(vp, uio.offset, uio.resid, PGO_FREE)
    if error:
        return error
    end = uio.offset + uio.resid
    if end > vp.v_size.get("write"):
        setwritesize(vp, end)
    error = vp.mnt.rawio.write(vp, uio.offset, bytes(uio.view))
    if error:
        return error
    uio.advance(uio.resid)
    if end > vp.v_size.get("write"):
        setsize(vp, end)
    return 0
