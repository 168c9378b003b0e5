"""The sizes of a file, and the blocks under what is about to be written: truncate(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .genfs.flags import (
    PGO_CLEANIT,
    PGO_DEACTIVATE,
    PGO_FREE,
    PGO_GLOCKHELD,
    PGO_JOURNALLOCKED,
    PGO_NOBLOCKALLOC,
    PGO_NOTIMESTAMP,
    PGO_PASTEOF,
    PGO_SYNCIO,
)
from .hook import At
from .pages import PG_CLEAN, PG_RDONLY, Page, Slot
from .pmap import PROT_WRITE
from .sync import WRITER
from .trans import SHARED

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode


def flush_mapped(vp: Vnode, offset: int, length: int, flags: int) -> int:
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
    writeend = max(vp.v_writesize.get("balloc"), vp.v_size.get("balloc"))
    writeend = kernel.fs.storage_end(vp, writeend, "balloc")
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
        return kernel.machine.returns("balloc", error)
    pages = [page for page in pgs if isinstance(page, Page)]
    vp.interlock.enter("ufs_balloc_range")
    for page in pages:
        page.flags.off(PG_CLEAN, "ufs_balloc_range")
        uvm.activate_locked(page, "ufs_balloc_range")
    vp.interlock.exit("ufs_balloc_range")
    if not held:
        vp.g_glock.enter(WRITER, "ufs_balloc_range")
    error = kernel.fs.gop_alloc(vp, offset, length, "ufs_balloc_range")
    vp.g_glock.exit("ufs_balloc_range")
    stored = kernel.fs.storage_end(vp, offset + length, "ufs_balloc_range")
    vp.interlock.enter("ufs_balloc_range")
    if not error:
        first = offset & -kernel.fs.bsize
        for page in pages:
            if first <= page.offset and page.offset + kernel.page_size <= stored:
                page.flags.off(PG_RDONLY, "ufs_balloc_range")
    uvm.pageqlock.enter("ufs_balloc_range")
    uvm.unbusy(pgs, "ufs_balloc_range")
    uvm.pageqlock.exit("ufs_balloc_range")
    vp.interlock.exit("ufs_balloc_range")
    return kernel.machine.returns("balloc", error)


def fill_fragment(vp: Vnode, size: int, sync: bool = False) -> int:
    """A fragment that the file outgrows becomes a whole block first; an errno.

    All pages of that block are dirty then, also those that held nothing of the file.
    """
    kernel = vp.mnt
    bsize, osize = kernel.fs.bsize, vp.i_size.get("truncate")
    eob = -(-osize // bsize) * bsize
    if not kernel.config.fragments or osize in (size, eob) or size < osize:
        return 0
    if osize // bsize == size // bsize:
        return 0
    setwritesize(vp, eob)
    error = balloc_range(vp, osize, eob - osize)
    if sync and not error:
        vp.interlock.enter("write")
        lo = kernel.trunc_page(osize & -bsize)
        vp.putpages(lo, kernel.round_page(eob), PGO_CLEANIT | PGO_SYNCIO | PGO_JOURNALLOCKED)
    return error


def fill_growth(vp: Vnode, osize: int, start: int) -> int:
    """Hardened: before the file grows and ``start`` gets a block, so do its surroundings.

    A page that was complete when it was read has holes after its file has grown sparsely,
    and one that is made past the end has holes before ``start``; nothing would tell a store
    through a mapping.  So the rest of the page with the old end gets blocks, and what is
    before ``start`` in its page.
    """
    kernel = vp.mnt
    end = kernel.fs.storage_end(vp, osize, "truncate")
    last = (end, min(kernel.round_page(osize), start))
    new = (max(end, kernel.trunc_page(start)), start)
    for wanted, (lo, hi) in (
        (kernel.fixes.grow_fills_last_page, last),
        (kernel.fixes.grow_fills_new_page, new),
    ):
        if wanted and lo < hi:
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
    error = journal_begin(kernel, "truncate")
    if not error:
        osize = vp.i_size.get("truncate")
        if size > osize:
            error = kernel.machine.returns("extend", _extend(vp, osize, size))
        else:
            if size < osize:
                error = cut(vp, size)
            else:
                setsize(vp, size)  # writesize may be larger
            kernel.machine.returns("cut", error)
        journal_end(kernel, "truncate")
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
    last = size - (kernel.config.copy_unit or 1)  # where what is stored last begins
    error = fill_fragment(vp, size)
    if error:
        return error
    error = fill_growth(vp, osize, last)
    if not error:
        setwritesize(vp, size)
        error = balloc_range(vp, size - 1, 1)
    if error:
        cut(vp, osize, zero=kernel.config.zero_past_end)
        return error
    setsize(vp, size)
    return 0


def cut(vp: Vnode, size: int, zero: bool = True) -> int:
    """Shrinks; the vnode lock is held, and the transaction open.

    Without ``zero`` what stays of the last block and page is left as it is.
    """
    kernel = vp.mnt
    fs = kernel.fs
    osize = vp.i_size.get("truncate")
    error = _zero_rest(vp, size, osize) if zero else 0
    if error:
        return error
    if size == osize:  # back after a failure: there is nothing behind the end
        setsize(vp, size)
        return 0
    vp.g_glock.enter(WRITER, "truncate")
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


def _zero_rest(vp: Vnode, size: int, osize: int) -> int:
    """Zeroes what stays behind the new end: the rest of its block, and of its page.

    Unless the mount is told otherwise also what lies behind the old end: pages there may hold
    the only zeros for the rest of the block, and they are about to be freed.  The new end's
    block is given to the file if it has none.
    """
    kernel = vp.mnt
    end = max(kernel.fs.gop_size(size), kernel.round_page(size))
    if not kernel.config.zero_past_end:
        if size >= osize or not (size % kernel.fs.bsize or size % kernel.page_size):
            return 0
        end = min(end, osize)
    if size == end:
        return 0
    if kernel.config.compat:
        error = flush_mapped(vp, size, end - size, PGO_FREE)
        error = error or kernel.rawio.write(vp, size, bytes(end - size))
        if error:  # blocks behind the end may have been given before
            kernel.fs.set_isize(vp, osize, "truncate")
        return error
    error = balloc_range(vp, size - 1, 1)
    if error:
        return error
    error = kernel.ubc.write(vp, size, memoryview(bytes(end - size)), of_user=False)
    if error:
        return error
    lo, hi = kernel.round_page(size), kernel.round_page(end)
    if lo < hi:
        flags = PGO_CLEANIT | PGO_DEACTIVATE | PGO_JOURNALLOCKED
        if kernel.fixes.zeros_are_written:  # these pages are freed next, written or not
            flags |= PGO_SYNCIO
        vp.interlock.enter("truncate")
        error = vp.putpages(lo, hi, flags)
    return error


def journal_begin(kernel: Kernel, at: At) -> int:
    return kernel.wapbl.begin(at) if kernel.wapbl is not None else 0


def journal_end(kernel: Kernel, at: At) -> None:
    if kernel.wapbl is not None:
        kernel.wapbl.end(at)
