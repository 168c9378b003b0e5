"""truncate(2): shrink and extend."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, fixed, int32, mutex_enter, panic, routine, rw_enter, rw_exit,
)  # fmt: skip
from ..genfs.constants import round_page
from ..kernel.data import begin_extend, begin_truncate, end_truncate
from ..kernel.fs import (
    WAPBL_BEGIN, WAPBL_END, blkroundup, free_blocks_from, fstrans_done, fstrans_start,
)  # fmt: skip
from ..kernel.state import Vnode
from ..kernel.types import (
    FS_BSHIFT, FS_BSIZE, PAGE_MASK, PGO, WAPBL, ZERO, Lock, errno, off_t,
)  # fmt: skip
from .calls import call_putpages
from .sizes import (
    fill_fragment, fill_growth, ufs_balloc_range, uvm_vnp_setsize, uvm_vnp_setwritesize,
)  # fmt: skip
from .ubc import fill_window


@routine
def _zero_tail(vp: Vnode, length: off_t, old: off_t, window: int32, depth: int32) -> errno:
    """Zero what stays of the last block, and of the last page, past the new end."""
    error: errno = ufs_balloc_range(vp, length - 1, 1, depth)
    if error:
        return error
    stop: off_t = min(max(blkroundup(length), round_page(length)), old)
    error = fill_window(vp, length, stop, window, ZERO, depth)
    if error:
        return error
    if round_page(stop) > round_page(length):
        flags: PGO = PGO.CLEANIT | PGO.DEACTIVATE | PGO.JOURNALLOCKED
        if fixed("zeros-are-written"):
            flags |= PGO.SYNCIO
        mutex_enter(vp.interlock)
        error = call_putpages(vp, round_page(length), round_page(stop), flags, False, depth)
    return error


@routine
def _cut(vp: Vnode, length: off_t, old: off_t, depth: int32) -> None:
    """Set the sizes, drop what is past the end, free the blocks: getpages is kept out.

    The inode's size is the old one again while blocks are being freed.
    """
    if length == old:
        uvm_vnp_setsize(vp, length, depth)
        return
    rw_enter(vp.g_glock, RW.WRITER)
    vp.i_size = length
    uvm_vnp_setsize(vp, length, depth, True)
    vp.i_size = old
    dead: off_t = blkroundup(length)
    mutex_enter(vp.interlock)
    call_putpages(vp, round_page(dead), 0, PGO.FREE | PGO.SYNCIO, False, depth, True)
    free_blocks_from(vp, dead >> FS_BSHIFT)
    vp.i_size = length
    rw_exit(vp.g_glock)


@routine
def shrink(vp: Vnode, length: off_t, window: int32, depth: int32) -> errno:
    """Make the file no longer than ``length``; the locks and transactions are the caller's.

    A failed write comes here too, to go back to the size it found: then the inode may be no
    larger than that, but the vnode's writesize is.
    """
    old: off_t = vp.i_size
    error: errno = 0
    if length < old:
        begin_truncate(vp, length)
    else:
        begin_extend(vp, length)  # nothing is cut off, and nothing behind the end is zeroed
    if length < old and length & ((FS_BSIZE - 1) | PAGE_MASK):
        error = _zero_tail(vp, length, old, window, depth)
    if error == 0:
        _cut(vp, length, old, depth)
    end_truncate(vp, error == 0)
    return error


@routine
def _grow(vp: Vnode, length: off_t, depth: int32) -> None:
    """Make the file ``length`` units long, with a block under the last of them."""
    old: off_t = vp.i_size
    begin_extend(vp, old)
    error: errno = fill_fragment(vp, length, False, depth)
    if error == 0:
        error = fill_growth(vp, length - 1, depth)
        if error == 0:
            uvm_vnp_setwritesize(vp, length)
            error = ufs_balloc_range(vp, length - 1, 1, depth)
        if error:
            # Back to the old size; the blocks that were allocated on the way are given up.
            _cut(vp, old, vp.i_size, depth)
        else:
            uvm_vnp_setsize(vp, length, depth)
    end_truncate(vp, True)


@routine
def change(vp: Vnode, length: off_t, window: int32, shrinks: bool, grows: bool) -> None:
    """truncate(2), which learns under the vnode lock what it has to do.

    ``shrinks``, ``grows``: which of the two the caller knows to be possible; constants, so that
    the other is not compiled.
    """
    rw_enter(vp.v_lock, RW.WRITER)
    fstrans_start(Lock.SHARED)
    error: errno = 0
    if WAPBL:
        error = WAPBL_BEGIN()
    if error == 0:
        if grows and (not shrinks or length > vp.i_size):
            if length < vp.i_size:
                panic("extend to less than the file has")
            _grow(vp, length, 1)
        else:
            if length > vp.i_size:
                panic("truncate to more than the file has")
            shrink(vp, length, window, 1)
        if WAPBL:
            WAPBL_END()
    fstrans_done()
    rw_exit(vp.v_lock)


@actor
def truncate(vp: Vnode, length: off_t, window: int32) -> None:
    """truncate(2) to no more than the file has; ``window`` is the number of the UBC mapping."""
    change(vp, length, window, True, False)


@actor
def extend(vp: Vnode, length: off_t) -> None:
    """truncate(2) to no less than the file has."""
    change(vp, length, 0, False, True)
