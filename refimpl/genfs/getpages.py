"""genfs_getpages (94-696): hands out pages of a file BUSY, reading them where necessary."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..ffs import GOP_SIZE_MEM
from ..pages import (
    PG_CLEAN,
    PG_FAKE,
    PG_RDONLY,
    PG_RELEASED,
    PGO_DONTCARE,
    UFP_ALL,
    UFP_NOALLOC,
    UFP_NORDONLY,
    UFP_NOWAIT,
    Page,
    Slot,
)
from ..sync import READER, WRITER
from ..trans import SHARED
from .filling import Filling
from .flags import PGO_GLOCKHELD, PGO_LOCKED, PGO_PASTEOF

if TYPE_CHECKING:
    from ..vnode import Vnode

_STACK = "stack"
_HEAP = "heap"


def rel_pages(vp: Vnode, pgs: list[Slot], at: int) -> None:
    """genfs_rel_pages (69-86): lets go of pages, freeing those that were never filled."""
    for page in pgs:
        if isinstance(page, Page) and page.flags.get(79) & PG_FAKE:
            page.flags.on(PG_RELEASED, 80)
    pageqlock = vp.mnt.uvm.pageqlock
    pageqlock.enter(83)
    vp.mnt.uvm.unbusy(pgs, 84)
    pageqlock.exit(85)


def getpages(
    vp: Vnode,
    offset: int,
    pgs: list[Slot] | None,
    count: int,
    centeridx: int,
    access: int,
    flags: int,
) -> int:
    """Pages for ``count`` slots from ``offset`` on; returns an errno.

    The object is locked.  With PGO_LOCKED it stays so and nothing sleeps: what is there is
    returned.  Otherwise it is unlocked on return, and the pages belong to the caller, or,
    without PGO_SYNCIO, to nobody.  ``pgs`` is None for readahead.
    """
    return _Getpages(vp, offset, pgs, count, centeridx, access, flags).run()

class _Getpages(Filling):
    """One call."""

    def run(self) -> int:
        error = self._call()
        if self.array == _HEAP:  # 690, out_err
            self.kernel.kmem_free(self.array_size, 692)
        if self.has_journal:
            assert self.kernel.wapbl is not None
            self.kernel.wapbl.end(693)
        if self.has_trans:
            self.kernel.fstrans.done(694)
        return error

    def _call(self) -> int:
        while True:  # 142, startover
            self._ends_of_file()
            error = self._bounds()
            if error:
                return error
            self._announce(183)
            if self.flags & PGO_LOCKED:
                return self._resident()
            self.uobj.vmobjlock.exit(252)
            error = self._prepare()
            if error:
                return error
            if not self._shrunk():
                break
        found = self._find()
        if found is not None:
            return found
        if self.fixes.fresh_diskeof:
            size = self.vp.v_size.get(395)
            self.diskeof = self.kernel.fs.storage_end(self.vp, size, 395)
        self.uobj.vmobjlock.exit(396)
        return self._fill()

    # 142-209: what is asked for, before anything may sleep.

    def _ends_of_file(self) -> None:
        kernel = self.kernel
        self.origvsize = self.vp.v_size.get(144)
        self.orignpages = self.count
        self.diskeof = kernel.fs.storage_end(self.vp, self.origvsize, 147)
        size = self.origvsize
        if self.flags & PGO_PASTEOF:
            size = max(size, self.origoffset + (self.count << kernel.page_shift))  # 153
            writeeof = kernel.fs.gop_size(self.vp.v_writesize.get(157), GOP_SIZE_MEM)
            kernel.machine.kassert(size <= kernel.round_page(writeeof), 158, "past eof")
        self.memeof = kernel.fs.gop_size(size, GOP_SIZE_MEM)  # 155, 163

    def _bounds(self) -> int:
        kernel = self.kernel
        machine = kernel.machine
        machine.kassert(self.centeridx >= 0 or self.centeridx <= self.orignpages, 165)
        machine.kassert(self.origoffset >= 0 and self.origoffset % kernel.page_size == 0, 166)
        machine.kassert(self.orignpages > 0, 167)
        if self.origoffset + (self.centeridx << kernel.page_shift) < self.memeof:  # 173
            return 0
        if not self.flags & PGO_LOCKED:
            self.uobj.vmobjlock.exit(175)
        return errno.EINVAL

    def _resident(self) -> int:
        """215-251: what is in memory and free, and nothing that sleeps."""
        vp = self.vp
        pgs = self.result
        assert pgs is not None
        ufp = UFP_NOWAIT | UFP_NOALLOC | (UFP_NORDONLY if self.write else 0)
        nfound, _ = self.kernel.uvm.findpages(
            self.uobj, self.origoffset, pgs, 0, self.count, ufp, 225
        )
        if nfound == 0:
            return errno.EBUSY
        if vp.g_glock.tryenter(READER, 232):
            vp.g_glock.exit(247)
        else:
            rel_pages(vp, pgs[: self.count], 233)
            for i in range(self.count):
                if pgs[i] is not PGO_DONTCARE or not self.fixes.dontcare_kept:
                    pgs[i] = None  # 243
        return errno.EBUSY if pgs[self.centeridx] is None else 0  # 249

    # 254-396: locks, and the pages themselves.

    def _prepare(self) -> int:
        kernel = self.kernel
        shift = kernel.page_shift
        bmask = kernel.fs.bsize - 1
        inside = kernel.round_page(self.memeof - self.origoffset) >> shift
        self.orignpages = min(self.orignpages, inside)  # 268
        self.npages = self.orignpages
        self.startoffset = self.origoffset & ~bmask  # 271
        end = (self.origoffset + (self.npages << shift) + bmask) & ~bmask
        self.endoffset = min(kernel.round_page(end), kernel.round_page(self.memeof))
        # Blocks smaller than a page leave the start of the request where it is.
        self.ridx = self.origoffset - self.startoffset >> shift  # 275
        self.array_size = self.endoffset - self.startoffset >> shift
        if self.array_size > kernel.config.array_on_stack:  # 279
            if not kernel.kmem_alloc(self.array_size, not self.is_async, 280):
                self.array = _STACK
                return errno.ENOMEM
            self.array = _HEAP
        else:
            self.array = _STACK
        self.pgs = [None] * max(self.array_size, self.ridx + self.npages)
        if not self.has_trans:
            kernel.fstrans.start(SHARED, 296)
            self.has_trans = True
            if self.fixes.transaction_first and self.blockalloc and kernel.wapbl is not None:
                error = kernel.wapbl.begin(296)
                if error:
                    return error
                self.has_journal = True
        if not self.flags & PGO_GLOCKHELD:
            self.vp.g_glock.enter(WRITER if self.blockalloc else READER, 307)
        self.uobj.vmobjlock.enter(311)
        return 0

    def _shrunk(self) -> bool:
        """312-317: the file is shorter now, and everything starts again."""
        if self.vp.v_size.get(312) >= self.origvsize:
            return False
        self._glock_exit(313)
        if self.array == _HEAP:
            self.kernel.kmem_free(self.array_size, 315)
            if self.fixes.startover_pgs:
                self.array = None
        return True

    def _find(self) -> int | None:
        """319-395: the pages; an errno if the call is over, None if they must be filled."""
        vp, uvm = self.vp, self.kernel.uvm
        ufp = UFP_NOWAIT if self.is_async else UFP_ALL
        ridx = self.ridx
        nfound, self.npages = uvm.findpages(
            self.uobj, self.origoffset, self.pgs, ridx, self.npages, ufp, 319
        )
        if nfound != self.orignpages:
            return self._not_found(321, self.pgs[ridx : ridx + self.orignpages])
        mine = self._pages(ridx, self.npages)
        if not any(self._unusable(page) for page in mine):
            self._glock_exit(342)
            self.npages += ridx
            return self._out()
        if self.overwrite:
            self._glock_exit(353)
            for page in mine:
                page.flags.off(PG_RDONLY | PG_CLEAN, 359)
            self.npages += ridx
            return self._out()
        self.npages = self.endoffset - self.startoffset >> self.kernel.page_shift  # 371
        if self.startoffset != self.origoffset or self.npages != self.orignpages:
            rel_pages(vp, self.pgs[ridx : ridx + self.orignpages], 380)
            self.pgs = [None] * self.npages
            nfound, _ = uvm.findpages(
                self.uobj, self.startoffset, self.pgs, 0, self.npages, ufp, 386
            )
            if nfound != self.npages:
                return self._not_found(388, self.pgs)
        return None

    def _unusable(self, page: Page) -> bool:
        """336-337: it must be filled, or needs blocks first."""
        if page.flags.get(336) & PG_FAKE:
            return True
        return self.blockalloc and bool(page.flags.get(337) & PG_RDONLY)

    def _not_found(self, at: int, pgs: list[Slot]) -> int:
        self._glock_exit(at)
        self.kernel.machine.kassert(self.is_async, at + 1)
        rel_pages(self.vp, pgs, at + 2)
        self.uobj.vmobjlock.exit(at + 3)
        return errno.EBUSY

    # 398-646: contents.
