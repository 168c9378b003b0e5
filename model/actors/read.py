"""read(2), through the windows."""

from __future__ import annotations

from ...checker.lang.prelude import RW, actor, int32, routine, rw_enter, rw_exit
from ..genfs.constants import trunc_page
from ..kernel.pmap import user_load
from ..kernel.state import Vnode
from ..kernel.trans import fstrans_done, fstrans_start
from ..kernel.types import Lock, errno, off_t
from .readahead import readahead_range
from .ubc import ubc_fault


@routine
def _copy_out(vp: Vnode, off: off_t, length: off_t, window: int32, ahead: int32) -> errno:
    """Copy unit by unit; a unit that is not mapped faults, with readahead first."""
    end: off_t = min(off + length, vp.v_size)
    at: off_t = off
    while at < end:
        if user_load(vp, at, window):
            at += 1
        else:
            if ahead > 0:
                readahead_range(vp, trunc_page(at), ahead, 1)
            error: errno = ubc_fault(vp, at, window, False, 0, 0, 1)
            if error:
                return error
    return 0


@actor
def read(vp: Vnode, off: off_t, length: off_t, window: int32, ahead: int32 = 0) -> None:
    """Read; ``window`` is the number of the UBC mapping, ``ahead`` how many readaheads."""
    rw_enter(vp.v_lock, RW.READER)
    fstrans_start(Lock.SHARED)
    _copy_out(vp, off, length, window, ahead)
    fstrans_done()
    rw_exit(vp.v_lock)
