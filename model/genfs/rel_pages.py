"""genfs_rel_pages (69-86): give back pages that were found; free those without contents."""

from __future__ import annotations

from ...checker.lang.prelude import NULL, int32, mutex_enter, mutex_exit, routine
from ..kernel.pages import uvm_page_unbusy
from ..kernel.state import PGO_DONTCARE, PageOrDontcare, uvm
from ..kernel.types import PG
from .constants import PgsArray


@routine(seed=(69, 86))
def genfs_rel_pages(pgs: PgsArray, npages: int32) -> None:
    for i in range(npages):  # 74
        pg: PageOrDontcare = pgs[i]  # 75
        if pg is NULL or pg is PGO_DONTCARE:  # 77
            continue  # 78
        if pg.flags & PG.FAKE:  # 79
            pg.flags |= PG.RELEASED  # 80
    mutex_enter(uvm.pageqlock)  # 83
    uvm_page_unbusy(pgs, npages)  # 84
    mutex_exit(uvm.pageqlock)  # 85
