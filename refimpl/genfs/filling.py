"""genfs_getpages (398-688): what is read, zeroed or given blocks, and what is let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..buf import (
    B_ASYNC,
    B_READ,
    BC_BUSY,
    Buf,
    biowait,
    getiobuf,
    nestiobuf_done,
    nestiobuf_setup,
    putiobuf,
)
from ..device import SECTOR_SHIFT
from ..pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_FAKE,
    PG_RDONLY,
    PG_RELEASED,
    PG_WANTED,
    Page,
    Slot,
)
from ..pmap import PROT_WRITE
from .flags import (
    PGO_GLOCKHELD,
    PGO_NOBLOCKALLOC,
    PGO_NOTIMESTAMP,
    PGO_OVERWRITE,
    PGO_SYNCIO,
    VI_ONWORKLST,
    VI_WRMAP,
    VI_WRMAPDIRTY,
)

if TYPE_CHECKING:
    from ..vnode import Vnode


class Filling:
    """The variables of one call of getpages, and its part behind the search for pages."""

    def __init__(
        self,
        vp: Vnode,
        offset: int,
        result: list[Slot] | None,
        count: int,
        centeridx: int,
        access: int,
        flags: int,
    ) -> None:
        self.vp = vp
        self.kernel = vp.mnt
        self.fixes = vp.mnt.fixes
        self.uobj = vp.uobj
        self.origoffset = offset
        self.result = result
        self.count = count
        self.centeridx = centeridx
        self.flags = flags
        self.is_async = not flags & PGO_SYNCIO  # 124
        self.write = bool(access & PROT_WRITE)  # 125
        self.overwrite = bool(flags & PGO_OVERWRITE)  # 128
        self.blockalloc = self.write and not flags & PGO_NOBLOCKALLOC  # 129
        self.sawhole = False
        self.has_trans = False
        self.has_journal = False
        self.array: str | None = None  # what the C variable pgs points at
        self.array_size = 0
        self.pgs: list[Slot] = []
        self.origvsize = self.diskeof = self.memeof = 0
        self.startoffset = self.endoffset = 0
        self.orignpages = self.npages = self.ridx = 0
    def _announce(self, at: int) -> None:
        """185-209; once more at the end where the fix asks for it."""
        vp = self.vp
        if at == 183 and not self.flags & PGO_NOTIMESTAMP:
            vp.touch(accessed=True, modified=self.write)  # 197
        if self.write:
            vp.g_dirtygen.add(1, at if at != 183 else 202)
            if not vp.v_iflag.get(203) & VI_ONWORKLST:
                self.kernel.worklist.add(vp, 204)
            if vp.v_iflag.get(206) & (VI_WRMAP | VI_WRMAPDIRTY) == VI_WRMAP:
                vp.v_iflag.on(VI_WRMAPDIRTY, 207)

    def _fill(self) -> int:
        kernel, vp = self.kernel, self.vp
        total = self.npages << kernel.page_shift
        length = min(total, max(self.diskeof - self.startoffset, 0))  # 403
        pages = self._pages(0, self.npages)
        self.window = kernel.kva.mapin(pages, 407)
        mbp = getiobuf(vp, 410)
        mbp.bufsize = total
        mbp.data = self.window
        mbp.resid = mbp.bcount = length
        mbp.cflags = BC_BUSY
        mbp.flags = B_READ
        if self.is_async:
            mbp.flags |= B_ASYNC
            mbp.iodone = kernel.aiodone.add  # 417
            self.window.take()
        self._zero_tail(pages, length, total)
        error, started = self._read(pages, mbp, length)
        if self.is_async:
            self._glock_exit(569)
            return 0
        if started:
            error = biowait(mbp, 574)
        alloc_error = 0
        if not error and self.sawhole and self.blockalloc:
            error = alloc_error = self._allocate(pages)
        self._glock_exit(615)
        putiobuf(mbp, 617)
        kernel.kva.mapout(self.window, 618)
        self.uobj.vmobjlock.enter(620)
        if error:
            self._give_up(pages, alloc_error)
            return error
        return self._out()

    def _zero_tail(self, pages: list[Page], start: int, total: int) -> None:
        """433-445: pages, or parts of them, past the end of storage."""
        size = self.kernel.page_size
        while start < total:
            length = size - start % size
            if pages[start // size].flags.get(438) & PG_FAKE:
                self.window.zero(start, length, 439)
            start += length

    def _read(self, pages: list[Page], mbp: Buf, length: int) -> tuple[int, bool]:
        """451-566: starts the transfers; (errno, whether there is one to wait for)."""
        kernel = self.kernel
        size, bshift = kernel.page_size, kernel.fs.bshift
        offset = self.startoffset
        left, skipped, error = length, 0, 0
        started = False
        while left > 0:
            index = offset - self.startoffset >> kernel.page_shift
            while not pages[index].flags.get(461) & PG_FAKE:
                kernel.machine.kassert(offset % size == 0, 464)
                if pages[index].flags.get(465) & PG_RDONLY:
                    self.sawhole = True
                step = min(size, left)
                offset += step
                left -= step
                skipped += step
                index += 1
                if left == 0:
                    break
            if left == 0:
                break
            lbn = offset >> bshift
            error, blkno, run = kernel.fs.bmap(self.vp, lbn, 487)
            if error:
                skipped += left
                break
            count = min((lbn + 1 + run << bshift) - offset, left)  # 501
            if offset + count > kernel.round_page(offset):
                pcount = 1
                while index + pcount < self.npages and (
                    pages[index + pcount].flags.get(506) & PG_FAKE
                ):
                    pcount += 1
                count = min(count, pcount * size - (offset - kernel.trunc_page(offset)))
            if blkno < 0:
                self._hole(pages, index, offset, count)
                skipped += count
            else:
                started = True
                bp = mbp
                if offset != self.startoffset or count != left:
                    bp = getiobuf(self.vp, 549)
                    nestiobuf_setup(mbp, bp, offset - self.startoffset, count, 550)
                bp.blkno = blkno + (offset - (lbn << bshift) >> SECTOR_SHIFT)
                kernel.dev.strategy(bp, 562)
            offset += count
            left -= count
        nestiobuf_done(mbp, skipped, error, 566)
        return error, started

    def _hole(self, pages: list[Page], index: int, offset: int, count: int) -> None:
        """519-537: no block there; the pages read as zero."""
        kernel = self.kernel
        self.sawhole = True
        self.window.zero(offset - self.startoffset, count, 525)
        end = kernel.round_page(offset + count) - kernel.trunc_page(offset) >> kernel.page_shift
        if self.fixes.flags_under_lock:
            self.uobj.vmobjlock.enter(529)
        for page in pages[index : index + end]:
            if self.write:
                page.flags.off(PG_CLEAN, 531)
            if not self.blockalloc:
                page.flags.on(PG_RDONLY, 534)
        if self.fixes.flags_under_lock:
            self.uobj.vmobjlock.exit(536)

    def _allocate(self, pages: list[Page]) -> int:
        """585-614: backing store for the holes that a store is going to fill."""
        kernel, vp = self.kernel, self.vp
        if kernel.wapbl is not None and not self.has_journal:
            error = kernel.wapbl.begin(591)
            if error:
                return error
        length = self.npages << kernel.page_shift
        if self.fixes.alloc_within_file:
            length = min(length, vp.v_size.get(595) - self.startoffset)
        error = kernel.fs.gop_alloc(vp, self.startoffset, length, 595) if length > 0 else 0
        if kernel.wapbl is not None and not self.has_journal:
            kernel.wapbl.end(598)
        if not error:
            if self.fixes.flags_under_lock:
                self.uobj.vmobjlock.enter(605)
            for page in pages:
                page.flags.off(PG_CLEAN | PG_RDONLY, 609)
            if self.fixes.flags_under_lock:
                self.uobj.vmobjlock.exit(613)
        return error

    def _give_up(self, pages: list[Page], alloc_error: int) -> None:
        """629-645: an error; pages that were not filled are freed."""
        uvm = self.kernel.uvm
        keep = alloc_error and self.fixes.keep_zeroed
        if keep:
            # Some holes may have blocks with old contents now: the zeros must get there.
            self._announce(629)
            for page in pages:
                page.flags.off(PG_FAKE | PG_CLEAN, 629)
                page.flags.on(PG_RDONLY, 629)
        for page in pages:
            if page.flags.get(636) & PG_FAKE:
                page.flags.on(PG_RELEASED, 637)
        uvm.pageqlock.enter(640)
        if keep:
            for page in pages:
                uvm.enqueue(page, 640)
        uvm.unbusy(list(pages), 641)
        uvm.pageqlock.exit(642)
        self.uobj.vmobjlock.exit(643)

    def _out(self) -> int:
        """648-688: the pages asked for stay BUSY, the others are let go."""
        kernel, uvm = self.kernel, self.kernel.uvm
        if self.fixes.list_at_out:
            self._announce(648)
        uvm.pageqlock.enter(651)
        last = self.ridx + self.orignpages
        for i, page in enumerate(self.pgs[: self.npages]):
            if not isinstance(page, Page):
                continue
            if page.flags.get(659) & PG_FAKE and not self.overwrite:
                page.flags.off(PG_FAKE, 660)
                self.kernel.pmaps.clear_modify(page, 661)
            kernel.machine.kassert(
                not self.write or not self.blockalloc or not page.flags.get(663) & PG_RDONLY, 663
            )
            if i < self.ridx or i >= last or self.is_async:
                self._let_go(page)
        uvm.pageqlock.exit(683)
        self.uobj.vmobjlock.exit(684)
        if self.result is not None:
            self.result[: self.orignpages] = self.pgs[self.ridx : last]
        return 0

    def _let_go(self, page: Page) -> None:
        """664-681."""
        kernel, uvm = self.kernel, self.kernel.uvm
        if page.flags.get(667) & PG_WANTED:
            kernel.machine.wakeup(page, 668)
        if page.flags.get(670) & PG_FAKE:
            kernel.machine.kassert(self.overwrite, 671)
            uvm.zero(page, 672)
        if page.flags.get(674) & PG_RELEASED:
            uvm.pagefree(page, 675)
            return
        uvm.enqueue(page, 678)
        page.owner = None
        page.flags.off(PG_WANTED | PG_BUSY | PG_FAKE, 679)

    def _glock_exit(self, at: int) -> None:
        if not self.flags & PGO_GLOCKHELD:
            self.vp.g_glock.exit(at)

    def _pages(self, base: int, count: int) -> list[Page]:
        pages = [page for page in self.pgs[base : base + count] if isinstance(page, Page)]
        assert len(pages) == count
        return pages
