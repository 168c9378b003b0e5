"""The syncer, one visit to one vnode: nothing that it would have to wait for is waited for."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, mutex_exit, mutex_tryenter, rw_exit, rw_tryenter,
)  # fmt: skip
from ..kernel.state import Vnode
from ..kernel.types import VI
from .fsync import fsync_vnode


@actor
def syncer(vp: Vnode) -> None:
    """If the vnode is listed and nobody is in the way, write it, lazily.

    The syncer's own mutex is left out: there is one syncer.  When it visits the vnode again is
    another call of this actor.
    """
    if mutex_tryenter(vp.interlock):
        due: bool = bool(vp.v_iflag & VI.ONWORKLST)
        locked: bool = False
        if due:
            locked = rw_tryenter(vp.v_lock, RW.WRITER)
        mutex_exit(vp.interlock)
        if locked:
            fsync_vnode(vp, False, 0, -1)
            rw_exit(vp.v_lock)
