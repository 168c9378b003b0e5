"""Reclaiming a vnode: revoke(2) or a forced unmount, with users of its mappings still there."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, atomic, check, fixed, me, mutex_enter, mutex_exit, routine, rw_enter, rw_exit,
    wait_until,
)  # fmt: skip
from ..kernel.data import excuse
from ..kernel.state import Vnode
from ..kernel.syncer import vn_syncer_remove_from_worklist
from ..kernel.types import FILE_UNITS, PGO, VI, errno
from .calls import call_putpages
from .fsync import flush_buffers, fsync_vnode


@atomic
def _give_up(vp: Vnode) -> None:
    """What could not be written is dropped on purpose: nobody may rely on it."""
    for u in range(FILE_UNITS):
        excuse(vp, u)


@routine
def _clean(vp: Vnode) -> None:
    """Write and free every page; if that fails, free them without."""
    mutex_enter(vp.interlock)
    error: errno = call_putpages(
        vp, 0, 0, PGO.ALLPAGES | PGO.FREE | PGO.SYNCIO | PGO.CLEANIT | PGO.RECLAIM, False, 0
    )
    if error == 0:
        error = fsync_vnode(vp, True, 0, -1)
    flush_buffers(vp)
    if error:
        _give_up(vp)
        mutex_enter(vp.interlock)
        call_putpages(vp, 0, 0, PGO.ALLPAGES | PGO.FREE | PGO.SYNCIO, False, 0)
        if fixed("failed-write-stays-dirty"):
            # The pages that could not be written had put the vnode on the list again.
            mutex_enter(vp.interlock)
            vp.v_iflag &= ~VI.WRMAPDIRTY
            vn_syncer_remove_from_worklist(vp)
            mutex_exit(vp.interlock)


@atomic
def _destroy(vp: Vnode) -> None:
    """VOP_RECLAIM frees the genfs_node; from now on the vnode's operations are dead ones."""
    check("claim-12-lifetime", vp.inside == 0, "the genfs_node is freed under its user")
    check("claim-12-lifetime", (vp.v_iflag & VI.ONWORKLST) == 0, "a reclaimed vnode is listed")
    check("claim-12-lifetime", vp.uo_npages == 0, "a reclaimed vnode has pages")
    vp.dead = True


@atomic
def _drained(vp: Vnode) -> None:
    """Nobody else is in an operation of the vnode any more."""
    wait_until(vp.inside == 0, "users of the vnode")


@actor
def reclaim(vp: Vnode) -> None:
    """vclean: what VI_XLOCK keeps out (new references by name) is nobody here."""
    rw_enter(vp.v_lock, RW.WRITER)
    if fixed("reclaim-waits"):
        mutex_enter(vp.interlock)
        vp.reclaimer = me()
        mutex_exit(vp.interlock)
        _drained(vp)
    _clean(vp)
    mutex_enter(vp.interlock)
    _destroy(vp)
    mutex_exit(vp.interlock)
    rw_exit(vp.v_lock)
