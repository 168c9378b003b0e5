"""Suspending a file system to take a snapshot, and letting it go on."""

from __future__ import annotations

from ...checker.lang.prelude import actor, me, routine
from ..kernel.state import Vnode, perthread
from ..kernel.trans import fstrans_done, fstrans_setstate, wapbl_flush
from ..kernel.types import WAPBL, FsTrans, Lock, errno
from .fsync import fsync_vnode


@routine
def _enter_exclusively() -> None:
    """The suspender's own transaction: what it calls only counts, in any state."""
    perthread[me()].fstrans_type = Lock.SUSPENDER
    perthread[me()].fstrans_count = 1


@actor
def suspend(vp: Vnode) -> None:
    """Stop new work, write everything, stop the writers too, and resume.

    If not everything can be written, the suspension ends there.
    """
    _enter_exclusively()
    fstrans_setstate(FsTrans.SUSPENDING)
    # The file system does without the vnode lock here: its holder may be waiting to get in.
    error: errno = fsync_vnode(vp, True, 1, -1)
    if error == 0:
        fstrans_setstate(FsTrans.SUSPENDED)
        if WAPBL:
            wapbl_flush(True)
    fstrans_setstate(FsTrans.NORMAL)
    fstrans_done()
