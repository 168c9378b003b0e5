"""genfs_gop_write (1219-1240) and its twin that maps for reading (1242-1263)."""

from __future__ import annotations

from ...checker.lang.prelude import int32, routine
from ..kernel.buf import uvm_pagermapin
from ..kernel.state import Kva, Vnode
from ..kernel.types import PAGE_SHIFT, PGO, Dir, Iodone, errno, off_t, size_t
from .constants import Cluster
from .do_io import genfs_do_io


@routine(seed=(1219, 1240))
def genfs_gop_write(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    off: off_t = pgs[0].offset  # 1231
    kva: Kva = uvm_pagermapin(pgs, npages, pagedaemon)  # 1232-1233
    length: size_t = npages << PAGE_SHIFT  # 1234
    error: errno = genfs_do_io(
        vp, off, kva, length, flags, Dir.WRITE, Iodone.AIO_BIODONE
    )  # 1236-1237
    return error  # 1239


@routine(seed=(1242, 1263))
def genfs_gop_write_rwmap(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    off: off_t = pgs[0].offset  # 1254
    kva: Kva = uvm_pagermapin(pgs, npages, pagedaemon)  # 1255-1256
    length: size_t = npages << PAGE_SHIFT  # 1257
    error: errno = genfs_do_io(
        vp, off, kva, length, flags, Dir.WRITE, Iodone.AIO_BIODONE
    )  # 1259-1260
    return error  # 1262
