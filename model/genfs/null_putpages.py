"""genfs_null_putpages (1396-1410): for vnodes that never have pages."""

from __future__ import annotations

from ...checker.lang.prelude import kassert, mutex_exit, routine
from ..kernel.state import Vnode
from ..kernel.types import errno


@routine(seed=(1396, 1410))
def genfs_null_putpages(vp: Vnode) -> errno:
    kassert(vp.uo_npages == 0)  # 1407
    mutex_exit(vp.interlock)  # 1408
    return 0  # 1409
