"""What a file system does for its callers: read, write, truncate, fsync, reclaim."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .genfs.directio import Uio, directio
from .genfs.flags import (
    PGO_ALLPAGES,
    PGO_CLEANIT,
    PGO_DEACTIVATE,
    PGO_FREE,
    PGO_GLOCKHELD,
    PGO_JOURNALLOCKED,
    PGO_NOBLOCKALLOC,
    PGO_NOTIMESTAMP,
    PGO_PASTEOF,
    PGO_RECLAIM,
    PGO_SYNCIO,
    VI_ONWORKLST,
    VI_WRMAP,
    VI_WRMAPDIRTY,
    VI_XLOCK,
    VV_MAPPED,
)
from .hook import At
from .pages import PG_CLEAN, PG_RDONLY, Page, Slot
from .pmap import PROT_READ, PROT_WRITE
from .sync import READER, WRITER
from .trans import LAZY, SHARED

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode

_FLUSH_SHIFT = 16  # a writer starts output whenever it has passed so many bytes


# read(2) and write(2).


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
            error = _flush_mapped(vp, uio.offset, count, 0)
            if not error:
                error, data = kernel.rawio.read(vp, uio.offset, count)
        else:
            error, data = kernel.ubc.read(vp, uio.offset, count)
        if not error:
            uio.view[: len(data)] = data
            uio.advance(len(data))
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
    error = _begin(kernel, "write")
    if offset is None:
        offset = vp.v_size.get("write")
    uio = Uio(data, offset, write=True)
    if not error:
        error = _write(vp, uio, direct)
        _end(kernel, "write")
    if not error and sync:
        vp.interlock.enter("write")
        flags = PGO_CLEANIT | PGO_SYNCIO
        lo, hi = kernel.trunc_page(offset), kernel.round_page(uio.offset)
        error = vp.putpages(lo, hi, flags) if lo < hi else _unlock(vp)
    vp.touch(accessed=False, modified=True)
    kernel.fstrans.done("write")
    vp.v_lock.exit("write")
    return error, uio.offset - offset, uio.offset


def _write(vp: Vnode, uio: Uio, direct: bool) -> int:
    kernel = vp.mnt
    osize = vp.v_size.get("write")
    if uio.offset + uio.resid > kernel.fs.sb.map_entries * kernel.fs.bsize:
        return errno.EFBIG
    start, error = uio.offset, 0
    if uio.offset > osize and uio.resid and not kernel.config.compat:
        error = fill_growth(vp, osize, uio.offset)
    while uio.resid and not error:
        if kernel.config.compat:
            error = _write_compat(vp, uio)
            break
        if direct:
            directio(vp, uio, journal_locked=True)
            if not uio.resid:
                break
        before = uio.offset
        error = _write_piece(vp, uio, osize)
        if not error and before >> _FLUSH_SHIFT != uio.offset >> _FLUSH_SHIFT:
            lo = before >> _FLUSH_SHIFT << _FLUSH_SHIFT
            hi = uio.offset >> _FLUSH_SHIFT << _FLUSH_SHIFT
            vp.interlock.enter("write")
            lo, hi = kernel.trunc_page(lo), kernel.trunc_page(hi)
            if lo < hi:
                vp.putpages(lo, hi, PGO_CLEANIT | PGO_JOURNALLOCKED)
            else:
                vp.interlock.exit("write")
    if error and vp.v_writesize.get("write") > osize:
        _cut(vp, max(osize, uio.offset if uio.offset > start else osize))
    return error


def _write_piece(vp: Vnode, uio: Uio, osize: int) -> int:
    """One block, or a run of whole blocks and pages; an errno."""
    kernel = vp.mnt
    bsize, size = kernel.fs.bsize, kernel.page_size
    offset = uio.offset
    whole = 0
    if offset % max(bsize, size) == 0:
        most = min(uio.resid, kernel.config.maxphys)
        if offset >= kernel.round_page(kernel.fs.gop_size(osize)):
            whole = most // bsize * bsize
        elif not vp.v_vflag.get("write") & VV_MAPPED:
            whole = most // max(bsize, size) * max(bsize, size)
    count = whole or min(uio.resid, bsize - offset % bsize)
    if offset + count > vp.v_size.get("write"):
        setwritesize(vp, offset + count)
    data = uio.view[:count]
    if whole:
        vp.g_glock.enter(WRITER, "write")
        error = kernel.fs.gop_alloc(vp, offset, count, "write")
        vp.g_glock.exit("write")
        if not error:
            error = kernel.ubc.overwrite(vp, offset, data)
    else:
        error = balloc_range(vp, offset, count)
        if not error:
            error = kernel.ubc.write(vp, offset, data)
    if error:
        return error
    uio.advance(count)
    if offset + count > vp.v_size.get("write"):
        setsize(vp, offset + count)
    return 0


def _write_compat(vp: Vnode, uio: Uio) -> int:
    error = _flush_mapped(vp, uio.offset, uio.resid, PGO_FREE)
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


def _flush_mapped(vp: Vnode, offset: int, length: int, flags: int) -> int:
    """Compat mounts: what mappings stored goes out before read and write pass it by."""
    kernel = vp.mnt
    vp.interlock.enter("compat")
    lo, hi = kernel.trunc_page(offset), kernel.round_page(offset + length)
    return vp.putpages(lo, hi, PGO_CLEANIT | PGO_SYNCIO | flags)


def balloc_range(vp: Vnode, offset: int, length: int) -> int:
    """Gives blocks to a range whose pages are, or become, valid (ufs_balloc_range).

    The pages stay BUSY around the allocation, so that nobody sees what the new blocks held.
    """
    kernel, uvm = vp.mnt, vp.mnt.uvm
    held = kernel.fixes.glock_held
    lo = offset & -kernel.fs.bsize & -kernel.page_size
    eob = -(-(offset + length) // kernel.fs.bsize) * kernel.fs.bsize
    writeend = kernel.fs.gop_size(max(vp.v_writesize.get("balloc"), vp.v_size.get("balloc")))
    hi = min(kernel.round_page(eob), kernel.round_page(writeend))
    pgs: list[Slot] = [None] * (hi - lo >> kernel.page_shift)
    flags = PGO_SYNCIO | PGO_PASTEOF | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP
    if held:
        vp.g_glock.enter(WRITER, "ufs_balloc_range")
        flags |= PGO_GLOCKHELD
    vp.interlock.enter("ufs_balloc_range")
    error = vp.getpages(lo, pgs, len(pgs), 0, PROT_WRITE, flags)
    if error:
        if held:
            vp.g_glock.exit("ufs_balloc_range")
        return error
    pages = [page for page in pgs if isinstance(page, Page)]
    vp.interlock.enter("ufs_balloc_range")
    uvm.pageqlock.enter("ufs_balloc_range")
    for page in pages:
        page.flags.off(PG_CLEAN, "ufs_balloc_range")
        uvm.activate(page)
    uvm.pageqlock.exit("ufs_balloc_range")
    vp.interlock.exit("ufs_balloc_range")
    if not held:
        vp.g_glock.enter(WRITER, "ufs_balloc_range")
    error = kernel.fs.gop_alloc(vp, offset, length, "ufs_balloc_range")
    vp.g_glock.exit("ufs_balloc_range")
    vp.interlock.enter("ufs_balloc_range")
    if not error:
        first = offset & -kernel.fs.bsize
        for page in pages:
            if first <= page.offset and page.offset + kernel.page_size <= eob:
                page.flags.off(PG_RDONLY, "ufs_balloc_range")
    uvm.pageqlock.enter("ufs_balloc_range")
    uvm.unbusy(pgs, "ufs_balloc_range")
    uvm.pageqlock.exit("ufs_balloc_range")
    vp.interlock.exit("ufs_balloc_range")
    return error


def fill_growth(vp: Vnode, osize: int, start: int) -> int:
    """Hardened: before the file grows and ``start`` gets a block, so do its surroundings.

    A page that was complete when it was read has holes after its file has grown sparsely,
    and one that is made past the end has holes before ``start``; nothing would tell a store
    through a mapping.  So the rest of the page with the old end gets blocks, and what is
    before ``start`` in its page.
    """
    kernel = vp.mnt
    if not kernel.fixes.grow_fills_last_page:
        return 0
    end = kernel.fs.gop_size(osize)
    for lo, hi in (
        (end, min(kernel.round_page(osize), start)),
        (max(end, kernel.trunc_page(start)), start),
    ):
        if lo < hi:
            setwritesize(vp, hi)
            error = balloc_range(vp, lo, hi - lo)
            if error:
                return error
    return 0


# Sizes.


def setwritesize(vp: Vnode, size: int) -> None:
    """uvm_vnp_setwritesize."""
    vp.interlock.enter("setwritesize")
    vp.v_writesize.set(size, "setwritesize")
    vp.interlock.exit("setwritesize")


def setsize(vp: Vnode, size: int) -> None:
    """uvm_vnp_setsize: frees the pages past the new end."""
    kernel = vp.mnt
    end = kernel.round_page(size)
    vp.interlock.enter("setsize")
    if vp.v_writesize.get("setsize") > end:
        vp.putpages(end, 0, PGO_FREE | PGO_SYNCIO)
        vp.interlock.enter("setsize")
    vp.v_size.set(size, "setsize")
    vp.v_writesize.set(size, "setsize")
    vp.interlock.exit("setsize")


def truncate(vp: Vnode, size: int) -> int:
    """Makes the file ``size`` bytes long; an errno."""
    kernel = vp.mnt
    if size > kernel.fs.sb.map_entries * kernel.fs.bsize:
        return errno.EFBIG
    vp.v_lock.enter(WRITER, "truncate")
    kernel.fstrans.start(SHARED, "truncate")
    error = _begin(kernel, "truncate")
    if not error:
        osize = vp.v_size.get("truncate")
        if size > osize:
            error = _extend(vp, osize, size)
        elif size < osize:
            error = _cut(vp, size)
        _end(kernel, "truncate")
    vp.touch(accessed=False, modified=True)
    kernel.fstrans.done("truncate")
    vp.v_lock.exit("truncate")
    return error


def _extend(vp: Vnode, osize: int, size: int) -> int:
    kernel = vp.mnt
    if kernel.config.compat:
        kernel.fs.set_isize(vp, size, "truncate")
        setwritesize(vp, size)
        setsize(vp, size)
        return 0
    error = fill_growth(vp, osize, size - 1)
    if not error:
        setwritesize(vp, size)
        error = balloc_range(vp, size - 1, 1)
    if error:
        _cut(vp, osize)
        return error
    setsize(vp, size)
    return 0


def _cut(vp: Vnode, size: int) -> int:
    """Shrinks; the vnode lock is held, and the transaction open."""
    kernel = vp.mnt
    fs = kernel.fs
    error = _zero_rest(vp, size)
    if error:
        return error
    vp.g_glock.enter(WRITER, "truncate")
    osize = vp.inode.size
    fs.set_isize(vp, size, "truncate")
    setsize(vp, size)
    if kernel.wapbl is None:
        error = fs.update(vp, "truncate")
    fs.set_isize(vp, osize, "truncate")
    vp.interlock.enter("truncate")
    vp.putpages(kernel.round_page(fs.gop_size(size)), 0, PGO_FREE | PGO_SYNCIO)
    fs.free_blocks(vp, size, "truncate")
    fs.set_isize(vp, size, "truncate")
    if kernel.wapbl is None:
        error = fs.update(vp, "truncate") or error
    vp.g_glock.exit("truncate")
    return error


def _zero_rest(vp: Vnode, size: int) -> int:
    """Zeroes what stays behind the new end: the rest of its block, and of its page.

    Also what lies behind the old end: pages there may hold the only zeros for the rest of
    the block, and they are about to be freed.  A new end inside a block gives it that block
    if it has none.
    """
    kernel = vp.mnt
    end = max(kernel.fs.gop_size(size), kernel.round_page(size))
    if size == end:
        return 0
    if kernel.config.compat:
        error = _flush_mapped(vp, size, end - size, PGO_FREE)
        return error or kernel.rawio.write(vp, size, bytes(end - size))
    error = balloc_range(vp, size, 1) if size % kernel.fs.bsize else 0
    if error:
        return error
    error = kernel.ubc.write(vp, size, memoryview(bytes(end - size)))
    if error:
        return error
    lo, hi = kernel.round_page(size), kernel.round_page(end)
    if lo < hi:
        vp.interlock.enter("truncate")
        vp.putpages(lo, hi, PGO_CLEANIT | PGO_DEACTIVATE | PGO_JOURNALLOCKED)
    return 0


# fsync(2), and the end of a vnode.


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
        if wait or vp.dirtyblkhd:
            error = kernel.fs.update(vp, at) or error
    elif wait:
        if vp.inode_dirty:
            begun = kernel.wapbl.begin(at)
            if not begun:
                kernel.wapbl.changed(vp)
                kernel.wapbl.end(at)
            error = error or begun
        error = kernel.wapbl.flush(True, at) or error
    if wait:
        vp.interlock.enter(at)
        vp.wait_output(at)
        vp.interlock.exit(at)
        kernel.dev.flush()
    kernel.fstrans.done(at)
    return error


def inactive(vp: Vnode) -> None:
    """Nobody refers to the vnode any more, so nobody maps it."""
    vp.interlock.enter("inactive")
    vp.v_vflag.off(VV_MAPPED, "inactive")
    vp.v_iflag.off(VI_WRMAP, "inactive")
    vp.interlock.exit("inactive")


def reclaim(vp: Vnode) -> int:
    """vclean: writes what can be written and frees all pages; an errno."""
    kernel = vp.mnt
    vp.interlock.enter("vclean")
    vp.v_iflag.on(VI_XLOCK, "vclean")
    vp.interlock.exit("vclean")
    vp.v_lock.enter(WRITER, "vclean")
    kernel.ubc.forget(vp)
    vp.interlock.enter("vclean")
    flags = PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO | PGO_CLEANIT | PGO_RECLAIM
    error = vp.putpages(0, 0, flags)
    error = flush_vnode(vp, wait=True, at="vclean") or error
    if error:
        vp.interlock.enter("vclean")
        vp.putpages(0, 0, PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO)
    vp.interlock.enter("vclean")
    kernel.machine.kassert(vp.uobj.npages.get("vclean") == 0, "vclean", f"{vp} has pages")
    if vp.v_iflag.get("vclean") & VI_ONWORKLST:
        vp.v_iflag.off(VI_WRMAPDIRTY, "vclean")
        kernel.worklist.remove(vp, "vclean")
    vp.interlock.exit("vclean")
    vp.v_lock.exit("vclean")
    return error


def remove(vp: Vnode) -> int:
    """A file without a name and without users goes; an errno."""
    kernel = vp.mnt
    error = truncate(vp, 0)
    if error:
        return error
    vp.v_lock.enter(WRITER, "remove")
    error = _begin(kernel, "remove")
    if not error:
        vp.inode.name = ""
        kernel.fs.set_isize(vp, 0, "remove")
        _end(kernel, "remove")
        if kernel.wapbl is None:
            error = kernel.fs.update(vp, "remove")
        else:
            error = kernel.wapbl.flush(True, "remove")
    vp.interlock.enter("remove")
    vp.putpages(0, 0, PGO_ALLPAGES | PGO_FREE | PGO_SYNCIO)
    vp.interlock.enter("remove")
    if vp.v_iflag.get("remove") & VI_ONWORKLST:
        vp.v_iflag.off(VI_WRMAPDIRTY, "remove")
        kernel.worklist.remove(vp, "remove")
    vp.interlock.exit("remove")
    kernel.ubc.forget(vp)
    vp.v_lock.exit("remove")
    return error


def _begin(kernel: Kernel, at: At) -> int:
    return kernel.wapbl.begin(at) if kernel.wapbl is not None else 0


def _end(kernel: Kernel, at: At) -> None:
    if kernel.wapbl is not None:
        kernel.wapbl.end(at)


def _unlock(vp: Vnode) -> int:
    vp.interlock.exit("write")
    return 0


__all__ = [
    "PROT_READ",
    "PROT_WRITE",
    "balloc_range",
    "flush_vnode",
    "fsync",
    "inactive",
    "read",
    "reclaim",
    "remove",
    "setsize",
    "truncate",
    "write",
]
