"""write(2): block by block, with the pages read first, or over whole blocks without."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, fixed, int32, mutex_enter, panic, routine, rw_enter, rw_exit,
)  # fmt: skip
from ..genfs.constants import round_page, trunc_page
from ..kernel.data import begin_write, end_write
from ..kernel.fs import (
    GOP_ALLOC, WAPBL_BEGIN, WAPBL_END, blkroundup, fstrans_done, fstrans_start,
)  # fmt: skip
from ..kernel.state import Vnode
from ..kernel.types import (
    FIRST_STORE, FS_BSIZE, PAGE_MASK, PGO, WAPBL, Lock, errno, off_t, token,
)  # fmt: skip
from .calls import call_putpages, flush_range
from .sizes import (
    fill_fragment, fill_growth, ufs_balloc_range, uvm_vnp_setsize, uvm_vnp_setwritesize,
)  # fmt: skip
from .truncate import shrink
from .ubc import copy_in, copy_over


@routine
def _whole(vp: Vnode, at: off_t, length: off_t) -> off_t:
    """How much can be written over without reading: whole pages that are whole blocks.

    Only at the start of both, and only if nobody maps the file.
    """
    if vp.v_mapped or at & ((FS_BSIZE - 1) | PAGE_MASK):
        return 0
    whole: off_t = trunc_page(length)
    return whole & ~(FS_BSIZE - 1)


@routine
def _write_block(
    vp: Vnode, at: off_t, length: off_t, over: bool, window: int32, value: token
) -> errno:
    """One block or less: room in the file, blocks, the copy, the new size."""
    end: off_t = at + length
    extends: bool = vp.v_size < end
    if extends:
        uvm_vnp_setwritesize(vp, end)
    error: errno = 0
    if over:
        rw_enter(vp.g_glock, RW.WRITER)
        error = GOP_ALLOC(vp, at, length)
        rw_exit(vp.g_glock)
    else:
        error = ufs_balloc_range(vp, at, length, 1)
    if error:
        return error
    if over:
        error = copy_over(vp, at, end, value, 1)
    else:
        error = copy_in(vp, at, end, window, value, 1)
    # Even if the copy failed.
    if extends:
        uvm_vnp_setsize(vp, end, 1)
    return error


@routine
def _write(
    vp: Vnode, off: off_t, length: off_t, value: token, window: int32, crossing: off_t
) -> tuple[errno, off_t]:
    """All blocks; returns the error and how far it came."""
    end: off_t = off + length
    prealloc: off_t = round_page(blkroundup(max(vp.v_size, off)))
    lastblock: off_t = end & ~(FS_BSIZE - 1)
    at: off_t = off
    while at < end:
        piece: off_t = min(FS_BSIZE - (at & (FS_BSIZE - 1)), end - at)
        over: bool = (
            at >= prealloc
            and at < lastblock
            and (not fixed("overwrite-from-page") or at == trunc_page(at))
        )
        if not over:
            whole: off_t = _whole(vp, at, piece)
            if whole > 0:
                over = True
                piece = whole
        error: errno = _write_block(vp, at, piece, over, window, value)
        if error:
            return error, at
        before: off_t = at
        at += piece
        if crossing > 0:
            if before // crossing != at // crossing:
                mutex_enter(vp.interlock)
                error = call_putpages(
                    vp, (before // crossing) * crossing, (at // crossing) * crossing,
                    PGO.CLEANIT | PGO.JOURNALLOCKED, False, 1,
                )  # fmt: skip
                if error:
                    return error, at
    return 0, end


@actor
def write(
    vp: Vnode,
    off: off_t,
    length: off_t,
    store: int32,
    window: int32,
    sync: bool = False,
    crossing: off_t = 0,
    slot: int32 = 0,
    may_fail: bool = False,
) -> None:
    """Write ``length`` units of the ``store``-th token.

    ``window``: the number of the UBC mapping.  ``sync``: IO_SYNC, judged in ``slot``.
    ``crossing``: what stands for 64 KiB (a whole number of pages), on crossing which the part
    behind is flushed; 0 for never.  ``may_fail``: the scenario has a fault for it; then it
    truncates back to where the file ended.
    """
    rw_enter(vp.v_lock, RW.WRITER)
    fstrans_start(Lock.SHARED)
    error: errno = 0
    if WAPBL:
        error = WAPBL_BEGIN()
    if error == 0:
        old: off_t = vp.v_size
        done: off_t = off
        begin_write(vp, off, off + length, FIRST_STORE + store)
        error = fill_fragment(vp, off + length, sync, 1)
        if error == 0:
            error = fill_growth(vp, off, 1)
        if error == 0:
            error, done = _write(vp, off, length, FIRST_STORE + store, window, crossing)
        end_write(vp, done)
        if error == 0 and sync:
            error = flush_range(
                vp, trunc_page(off & ~(FS_BSIZE - 1)), round_page(blkroundup(off + length)),
                PGO.CLEANIT | PGO.SYNCIO | PGO.JOURNALLOCKED, 1, slot,
            )  # fmt: skip
        if error != 0:
            if not may_fail:
                panic("a write fails in a scenario that says it cannot")
            if off + length > old:
                shrink(vp, old, window, 1)
        if WAPBL:
            WAPBL_END()
    fstrans_done()
    rw_exit(vp.v_lock)
