"""fsync(2), and the end of a vnode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .genfs.flags import (
    PGO_ALLPAGES,
    PGO_CLEANIT,
    PGO_FREE,
    PGO_RECLAIM,
    PGO_SYNCIO,
    VI_ONWORKLST,
    VI_WRMAP,
    VI_WRMAPDIRTY,
    VI_XLOCK,
    VV_MAPPED,
)
from .hook import At
from .sizes import journal_begin, journal_end, truncate
from .sync import WRITER
from .trans import LAZY

if TYPE_CHECKING:
    from .vnode import Vnode


def fsync(vp: Vnode, lo: int = 0, hi: int = 0) -> int:
    """Everything of the file, or of a range of its pages, is on the device; an errno."""
    kernel = vp.mnt
    vp.v_lock.enter(WRITER, "fsync")
    if hi:
        kernel.fstrans.start(LAZY, "fsync")
        vp.interlock.enter("fsync")
        error = vp.putpages(lo, hi, PGO_CLEANIT | PGO_SYNCIO)
        kernel.fstrans.done("fsync")
    else:
        error = flush_vnode(vp, wait=True, at="fsync")
    vp.v_lock.exit("fsync")
    return error


def flush_vnode(vp: Vnode, wait: bool, at: At) -> int:
    """Writes pages, then the inode; the vnode lock is held exclusively.  An errno.

    1.18 without a journal, as its callers of that time, ignores how the pages fared.
    """
    kernel = vp.mnt
    kernel.fstrans.start(LAZY, at)
    vp.interlock.enter(at)
    flags = PGO_ALLPAGES | PGO_CLEANIT | (PGO_SYNCIO if wait else 0)
    error = vp.putpages(0, 0, flags)
    if kernel.wapbl is None:
        if not kernel.config.reports_fsync:
            error = 0
        if wait or vp.inode_dirty:
            error = kernel.fs.update(vp, at) or error
    else:
        if not error and vp.inode_dirty:
            error = kernel.wapbl.begin(at)
            if not error:
                kernel.wapbl.changed(vp)
                kernel.wapbl.end(at)
        if not error and wait:
            error = kernel.wapbl.flush(False, at)
    _metadata_written(vp, at)
    if wait and (kernel.wapbl is None or not error):
        vp.interlock.enter(at)
        vp.wait_output(at)
        vp.interlock.exit(at)
        kernel.dev.flush()
    kernel.fstrans.done(at)
    return kernel.machine.returns("fsync", error)


def _metadata_written(vp: Vnode, at: At) -> None:
    """The vnode's last dirty buffer is clean: without pages the syncer need not come."""
    if not vp.mnt.config.metadata:
        return
    vp.interlock.enter(at)
    if vp.dirtyblkhd.get(at) and not vp.inode_dirty:
        with vp.mnt.machine.service("metadata", at, vp=vp):
            vp.dirtyblkhd.value = 0
            if vp.uobj.npages.value == 0 and vp.v_iflag.value & VI_ONWORKLST:
                vp.v_iflag.value &= ~VI_WRMAPDIRTY
                vp.mnt.worklist.drop(vp)
    vp.interlock.exit(at)


def inactive(vp: Vnode) -> None:
    """Nobody refers to the vnode any more, so nobody maps it."""
    vp.interlock.enter("inactive")
    vp.v_vflag.off(VV_MAPPED, "inactive")
    vp.v_iflag.off(VI_WRMAP, "inactive")
    vp.interlock.exit("inactive")


def reclaim(vp: Vnode) -> int:
    """vclean: nobody gets a new reference, and the vnode is cleaned and destroyed; an errno."""
    vp.interlock.enter("vclean")
    vp.v_iflag.on(VI_XLOCK, "vclean")
    vp.interlock.exit("vclean")
    return destroy(vp)


def destroy(vp: Vnode) -> int:
    """Writes what can be written, frees all pages, and leaves a dead vnode; an errno."""
    kernel = vp.mnt
    vp.v_lock.enter(WRITER, "vclean")
    if kernel.fixes.reclaim_waits:
        vp.close_operations("vclean")
    kernel.ubc.forget(vp)
    vp.interlock.enter("vclean")
    flags = PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO | PGO_CLEANIT | PGO_RECLAIM
    error = vp.putpages(0, 0, flags)
    if not error:
        error = flush_vnode(vp, wait=True, at="vclean")
    else:
        _metadata_written(vp, "vclean")
    if error:
        vp.interlock.enter("vclean")
        vp.putpages(0, 0, PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO)
        if kernel.fixes.failed_write_stays_dirty:  # which had put it on the list again
            vp.interlock.enter("vclean")
            vp.v_iflag.off(VI_WRMAPDIRTY, "vclean")
            kernel.worklist.remove(vp, "vclean")
            vp.interlock.exit("vclean")
    kernel.machine.returns("vclean", error)
    vp.interlock.enter("vclean")
    kernel.machine.kassert(vp.uobj.npages.get("vclean") == 0, "vclean", f"{vp} has pages")
    listed = bool(vp.v_iflag.get("vclean") & VI_ONWORKLST)
    kernel.machine.kassert(not listed, "vclean", f"{vp} is listed")
    vp.dead = True
    vp.interlock.exit("vclean")
    vp.v_lock.exit("vclean")
    return error


def unname(vp: Vnode) -> int:
    """A file has no name any more, on the device either; an errno, and then it has it still."""
    kernel = vp.mnt
    vp.v_lock.enter(WRITER, "remove")
    error = journal_begin(kernel, "remove")
    if not error:
        name, vp.inode.name = vp.inode.name, ""
        kernel.fs.set_isize(vp, vp.inode.size, "remove")
        journal_end(kernel, "remove")
        if kernel.wapbl is None:
            error = kernel.fs.update(vp, "remove")
        else:
            error = kernel.wapbl.flush(True, "remove")
        if error:
            vp.inode.name = name  # the inode is dirty, or in the journal, still
    vp.v_lock.exit("remove")
    return error


def remove(vp: Vnode) -> int:
    """The blocks of a file without a name and without users are free; an errno."""
    kernel = vp.mnt
    error = truncate(vp, 0)
    if not error and kernel.wapbl is not None:
        error = kernel.wapbl.flush(True, "remove")
    if error:
        return error
    vp.v_lock.enter(WRITER, "remove")
    vp.interlock.enter("remove")
    vp.putpages(0, 0, PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO)
    vp.interlock.enter("remove")
    if vp.v_iflag.get("remove") & VI_ONWORKLST:
        vp.v_iflag.off(VI_WRMAPDIRTY, "remove")
        kernel.worklist.remove(vp, "remove")
    vp.interlock.exit("remove")
    kernel.ubc.forget(vp)
    vp.v_lock.exit("remove")
    return 0
