"""Reclaiming a vnode: revoke(2) or a forced unmount, with users of its mappings still there."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, actor, atomic, check, mutex_enter, mutex_exit, routine, rw_enter, rw_exit,
)  # fmt: skip
from ..kernel.state import Vnode
from ..kernel.types import PGO, VI, errno
from .calls import call_putpages
from .fsync import flush_buffers, fsync_vnode


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
        mutex_enter(vp.interlock)
        call_putpages(vp, 0, 0, PGO.ALLPAGES | PGO.FREE | PGO.SYNCIO, False, 0)


@atomic
def _destroy(vp: Vnode) -> None:
    """VOP_RECLAIM frees the genfs_node; from now on the vnode's operations are dead ones."""
    check("claim-12-lifetime", vp.inside == 0, "the genfs_node is freed under its user")
    check("claim-12-lifetime", (vp.v_iflag & VI.ONWORKLST) == 0, "a reclaimed vnode is listed")
    check("claim-12-lifetime", vp.uo_npages == 0, "a reclaimed vnode has pages")
    vp.dead = True


@actor
def reclaim(vp: Vnode) -> None:
    """vclean: what VI_XLOCK keeps out (new references by name) is nobody here."""
    rw_enter(vp.v_lock, RW.WRITER)
    _clean(vp)
    mutex_enter(vp.interlock)
    _destroy(vp)
    mutex_exit(vp.interlock)
    rw_exit(vp.v_lock)
