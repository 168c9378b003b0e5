"""The compatibility routines (1392-1547): pages on top of a file system's read and write."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..buf import BC_AGE, BC_BUSY, getiobuf
from ..pages import (
    PG_FAKE,
    PG_RELEASED,
    UFP_ALL,
    UFP_NOALLOC,
    UFP_NORDONLY,
    UFP_NOWAIT,
    Page,
    Slot,
)
from ..pmap import PROT_WRITE
from .flags import PGO_COUNTED, PGO_LOCKED, PGO_SYNCIO, VI_ONWORKLST
from .gop_write import Gop

if TYPE_CHECKING:
    from ..vnode import Vnode


def null_putpages(vp: Vnode, _startoff: int, _endoff: int, _flags: int) -> int:
    """genfs_null_putpages (1396-1410): for vnodes that never have pages."""
    vp.mnt.machine.kassert(vp.uobj.npages.get(1407) == 0, 1407)
    vp.interlock.exit(1408)
    return 0


def compat_getpages(
    vp: Vnode,
    offset: int,
    pgs: list[Slot] | None,
    count: int,
    centeridx: int,
    access: int,
    flags: int,
) -> int:
    """genfs_compat_getpages (1412-1504); the contract is that of getpages."""
    kernel, uvm, uobj = vp.mnt, vp.mnt.uvm, vp.uobj
    write = bool(access & PROT_WRITE)
    if write and not vp.v_iflag.get(1442) & VI_ONWORKLST:
        kernel.worklist.add(vp, 1443)
    if flags & PGO_LOCKED:
        assert pgs is not None
        ufp = UFP_NOWAIT | UFP_NOALLOC | (UFP_NORDONLY if write else 0)
        uvm.findpages(uobj, offset, pgs, 0, count, ufp, 1446)
        return errno.EBUSY if pgs[centeridx] is None else 0
    if offset + (centeridx << kernel.page_shift) >= vp.v_size.get(1451):
        uobj.vmobjlock.exit(1452)
        return errno.EINVAL
    if not flags & PGO_SYNCIO:
        uobj.vmobjlock.exit(1456)
        return 0
    assert pgs is not None
    uvm.findpages(uobj, offset, pgs, 0, count, UFP_ALL, 1460)
    uobj.vmobjlock.exit(1461)
    pages = [page for page in pgs[:count] if isinstance(page, Page)]
    window = kernel.kva.mapin(pages, 1462)
    error = 0
    for i, page in enumerate(pages):
        if not page.flags.get(1466) & PG_FAKE:
            continue
        size = kernel.page_size
        error, data = kernel.rawio.read(vp, offset + i * size, size)  # 1478
        if error:
            break
        window.write(i * size, data + bytes(size - len(data)))
    kernel.kva.mapout(window, 1486)
    uobj.vmobjlock.enter(1487)
    uvm.pageqlock.enter(1488)
    for page in pages:
        if error and page.flags.get(1491) & PG_FAKE:
            page.flags.on(PG_RELEASED, 1492)
        else:
            kernel.pmaps.clear_modify(page, 1494)
            uvm.activate(page, 1495)
    if error:
        uvm.unbusy(list(pages), 1499)
    uvm.pageqlock.exit(1501)
    uobj.vmobjlock.exit(1502)
    return error


def compat_gop_write(vp: Vnode, pgs: list[Page], flags: int) -> int:
    """genfs_compat_gop_write (1506-1547): pages out by the file system's own write."""
    kernel = vp.mnt
    offset = pgs[0].offset
    window = kernel.kva.mapin(pgs, 1519)
    window.take()
    length = len(pgs) << kernel.page_shift
    error = kernel.rawio.write(vp, offset, window.read(0, length), pager=True)  # 1531
    if not flags & PGO_COUNTED:
        vp.interlock.enter(1533)
        vp.v_numoutput.add(1, 1534)
        vp.interlock.exit(1535)
    bp = getiobuf(vp, 1537)
    bp.cflags = BC_BUSY | BC_AGE
    bp.data = window
    bp.bcount = bp.bufsize = length
    bp.error = error
    kernel.finish_pages(bp)  # 1545
    return error


COMPAT_GOP = Gop(compat_gop_write, tickets=1)
