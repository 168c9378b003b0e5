"""genfs_directio and its helpers (1549-1765): transfers without the page cache."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..buf import B_ASYNC, BC_AGE, Buf, putiobuf
from ..device import SECTOR
from ..hook import At
from .do_io import do_io
from .flags import PGO_CLEANIT, PGO_FREE, PGO_JOURNALLOCKED, PGO_SYNCIO, VV_MAPPED

if TYPE_CHECKING:
    from ..vnode import Vnode


class UserMemory:
    """A user's buffer as the memory of a transfer."""

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._view[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self._view[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int, at: At) -> None:
        self._view[offset : offset + length] = bytes(length)


@dataclass
class Uio:
    """A request of a user: the rest of a buffer, and where in the file it belongs.

    ``address`` is the buffer's address; only its alignment to sectors matters.
    """

    view: memoryview
    offset: int
    write: bool
    address: int = 0

    @property
    def resid(self) -> int:
        return len(self.view)

    def advance(self, count: int) -> None:
        self.view = self.view[count:]
        self.offset += count
        self.address += count


def directio(vp: Vnode, uio: Uio, journal_locked: bool) -> None:
    """Does as much of ``uio`` as is possible directly; the caller does the rest."""
    kernel = vp.mnt
    if vp.v_vflag.get(1584) & VV_MAPPED:
        return
    journal = kernel.wapbl if not journal_locked else None
    if journal is not None and journal.begin(1589):
        return
    while uio.resid:
        length = min(uio.resid, kernel.config.maxphys) & -SECTOR  # 1607
        if length == 0 or uio.offset + length > vp.v_size.get(1615):
            break
        if uio.offset % SECTOR or uio.address % SECTOR:
            break
        if _chunk(vp, uio.view[:length], uio.offset, uio.write):
            break
        uio.advance(length)
    if journal is not None:
        journal.end(1641)


def _dio_iodone(bp: Buf) -> None:
    """1649-1660."""
    bp.machine.kassert(not bp.flags & B_ASYNC, 1653)
    if not bp.is_read and bp.cflags & BC_AGE:
        bp.objlock.enter(1655)
        bp.vp.vwakeup(1656)
        bp.objlock.exit(1657)
    putiobuf(bp, 1659)


def _chunk(vp: Vnode, view: memoryview, off: int, write: bool) -> int:
    """genfs_do_directio (1666-1765): one chunk; an errno."""
    kernel = vp.mnt
    length = len(view)
    if write:
        bshift = kernel.fs.bshift
        lbn = off >> bshift
        elbn = off + length + kernel.fs.bsize - 1 >> bshift
        while lbn < elbn:
            error, blkno, run = kernel.fs.bmap(vp, lbn, 1696)
            if error:
                return error
            if blkno == -1:
                return errno.ENOSPC
            lbn += 1 + run
    flags = PGO_CLEANIT | PGO_SYNCIO | PGO_JOURNALLOCKED | (PGO_FREE if write else 0)
    vp.interlock.enter(1714)
    error = vp.putpages(kernel.trunc_page(off), kernel.round_page(off + length), flags)
    if error:
        return error
    error = kernel.faults.hit("user") or 0  # 1725: the user's memory cannot be wired
    if error:
        return error
    return do_io(vp, off, UserMemory(view), length, PGO_SYNCIO, write, _dio_iodone)
