"""fsync(2), of the whole file or a range, and what it shares with the syncer and others."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, atomic, cv_wait, int32, mutex_enter, mutex_exit, routine, rw_enter, rw_exit,
)  # fmt: skip
from ..kernel.data import begin_flush, end_flush
from ..kernel.state import Vnode
from ..kernel.syncer import vn_syncer_remove_from_worklist
from ..kernel.trans import (
    WAPBL_BEGIN, WAPBL_END, fstrans_done, fstrans_start, wapbl_flush,
)  # fmt: skip
from ..kernel.types import FILE_UNITS, METADATA, PGO, VI, WAPBL, Lock, errno, off_t
from .calls import call_putpages, flush_range


@atomic
def _reassign(vp: Vnode) -> None:
    """The last dirty buffer is clean: without pages, the vnode leaves the syncer's list."""
    vp.dirtyblk = False
    if vp.uo_npages == 0 and (vp.v_iflag & VI.ONWORKLST) != 0:
        vp.v_iflag &= ~VI.WRMAPDIRTY
        vn_syncer_remove_from_worklist(vp)


@routine
def flush_buffers(vp: Vnode) -> None:
    """Write the vnode's dirty metadata buffers."""
    if METADATA:
        mutex_enter(vp.interlock)
        if vp.dirtyblk:
            _reassign(vp)
        mutex_exit(vp.interlock)


@routine
def wait_for_output(vp: Vnode) -> None:
    """Sleep until no write of the vnode is outstanding."""
    mutex_enter(vp.interlock)
    while vp.v_numoutput != 0:
        cv_wait(vp.v_cv, vp.interlock)
    mutex_exit(vp.interlock)


@routine
def fsync_vnode(vp: Vnode, wait: bool, depth: int32, slot: int32) -> errno:
    """Write everything; the vnode lock is the caller's.

    A negative ``slot``: not judged.  Without a journal the result of putpages is ignored, and
    then nothing is promised about the data.
    """
    if slot >= 0:
        begin_flush(vp, slot, 0, FILE_UNITS)
    fstrans_start(Lock.LAZY)
    flags: PGO = PGO.ALLPAGES | PGO.CLEANIT
    if wait:
        flags |= PGO.SYNCIO
    mutex_enter(vp.interlock)
    flushed: errno = call_putpages(vp, 0, 0, flags, False, depth + 1)
    error: errno = 0
    if WAPBL:
        error = flushed
        if error == 0:
            error = WAPBL_BEGIN()
            if error == 0:
                WAPBL_END()
        if error == 0 and wait:
            wapbl_flush(False)
    flush_buffers(vp)
    if wait and error == 0:
        wait_for_output(vp)
    fstrans_done()
    if slot >= 0:
        end_flush(vp, slot, error == 0 and flushed == 0)
    return error


@actor
def fsync(vp: Vnode, slot: int32 = 0) -> None:
    """fsync(2) of the whole file, judged in ``slot``."""
    rw_enter(vp.v_lock, RW.WRITER)
    fsync_vnode(vp, True, 0, slot)
    rw_exit(vp.v_lock)


@actor
def fsync_range(vp: Vnode, low: off_t, high: off_t, slot: int32 = 0) -> None:
    """fsync_range(2) of some pages."""
    rw_enter(vp.v_lock, RW.WRITER)
    fstrans_start(Lock.LAZY)
    flush_range(vp, low, high, PGO.CLEANIT | PGO.SYNCIO, 1, slot)
    fstrans_done()
    rw_exit(vp.v_lock)
