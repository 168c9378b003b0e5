"""genfs_directio (1556-1642) and genfs_do_directio (1666-1765): reads and writes without pages.

In the model's language, but no part of the model: no scenario starts it, so that only the
arithmetic is here.  The checks of 1574-1592 (whose memory, whether the file is mapped, the
journal) decide whether the loop runs at all, not what it does.  genfs_dio_iodone (1653), which
1749 names, gives the buffer back; NONE stands for it.
"""

from __future__ import annotations

from ..checker.lang.prelude import int32, mutex_enter, routine
from ..model.genfs.constants import round_page, trunc_page
from ..model.genfs.do_io import genfs_do_io
from ..model.kernel.fs import VOP_BMAP
from ..model.kernel.state import Vnode, kvas
from ..model.kernel.types import (
    DEV_BSHIFT,
    ENOSPC,
    FS_BSHIFT,
    MAXPHYS,
    PAGE_MASK,
    PAGE_SIZE,
    PGO,
    Dir,
    Iodone,
    daddr_t,
    errno,
    off_t,
    size_t,
)
from .uio import VOP_PUTPAGES, enter_page, next_vector, uio, uvm_vslock


@routine(seed=(1556, 1642))
def genfs_directio(vp: Vnode, rw: Dir) -> None:
    while uio.uio_resid != 0:  # 1599
        if uio.iov_len == 0:  # 1601
            next_vector()  # 1602
            uio.uio_iovcnt -= 1  # 1603
            continue  # 1604
        if not _chunk(vp, rw):  # 1606
            break  # 1616, 1627, 1632


@routine(seed=(1556, 1642))
def _chunk(vp: Vnode, rw: Dir) -> bool:
    """The rest of the loop's body: is there more to do?"""
    mask: int32 = (1 << DEV_BSHIFT) - 1  # 1563
    va: size_t = uio.iov_base  # 1606
    length: size_t = min(uio.iov_len, MAXPHYS)  # 1607
    length &= ~mask  # 1608
    if length == 0 or uio.uio_offset + length > vp.v_size:  # 1615
        return False  # 1616
    if uio.uio_offset & mask or va & mask:  # 1626
        return False  # 1627
    error: errno = genfs_do_directio(va, length, vp, uio.uio_offset, rw)  # 1629-1630
    if error:  # 1631
        return False  # 1632
    uio.iov_base += length  # 1634
    uio.iov_len -= length  # 1635
    uio.uio_offset += length  # 1636
    uio.uio_resid -= length  # 1637
    return True  # 1637


@routine(seed=(1666, 1765))
def genfs_do_directio(uva: size_t, length: size_t, vp: Vnode, off: off_t, rw: Dir) -> errno:
    """``puva`` is not here: 1737 adds the same ``poff`` to it as 1739 to the mapping."""
    top: size_t = uva + length  # 1672
    klen: size_t = ((top + PAGE_MASK) & ~PAGE_MASK) - (uva & ~PAGE_MASK)  # 1672
    flags: PGO = PGO.CLEANIT | PGO.SYNCIO | PGO.JOURNALLOCKED  # 1678
    if rw == Dir.WRITE:  # 1679
        flags |= PGO.FREE  # 1679
    error: errno = 0  # 1677
    if rw == Dir.WRITE:  # 1687
        blkno: daddr_t = 0  # 1688
        run: int32 = 0  # 1689
        bshift: int32 = FS_BSHIFT  # 1691
        bsize: int32 = 1 << bshift  # 1692
        lbn: daddr_t = off >> bshift  # 1693
        elbn: daddr_t = (off + length + bsize - 1) >> bshift  # 1694
        while lbn < elbn:  # 1695
            error, blkno, run = VOP_BMAP(vp, lbn)  # 1696
            if error:  # 1697
                return error  # 1698
            if blkno == -1:  # 1700
                return ENOSPC  # 1701
            lbn += 1 + run  # 1703
    spoff: off_t = trunc_page(off)  # 1712
    epoff: off_t = round_page(off + length)  # 1713
    mutex_enter(vp.interlock)  # 1714
    error = VOP_PUTPAGES(vp, spoff, epoff, flags)  # 1715
    if error:  # 1716
        return error  # 1717
    error = uvm_vslock(uva, length)  # 1725
    if error:  # 1726
        return error  # 1727
    poff: int32 = 0  # 1736
    while poff < klen:  # 1736
        enter_page(poff, klen)  # 1737-1739
        poff += PAGE_SIZE  # 1736
    koff: int32 = uva - (uva & ~PAGE_MASK)  # 1747  # noqa: F841
    error = genfs_do_io(vp, off, kvas[0], length, PGO.SYNCIO, rw, Iodone.NONE)  # 1748-1749
    return error  # 1764
