"""genfs_do_putpages (973-1152): one page that is not BUSY, with the dirty ones around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_PAGEOUT,
    PG_RELEASED,
    UFP_BACKWARD,
    UFP_DIRTYONLY,
    UFP_NOALLOC,
    UFP_NOWAIT,
    Entry,
    Marker,
    Page,
    Slot,
)
from ..pmap import PROT_NONE, PROT_READ
from .flags import (
    PGO_CLEANIT,
    PGO_COUNTED,
    PGO_DEACTIVATE,
    PGO_FREE,
    PGO_JOURNALLOCKED,
    VI_ONWORKLST,
)

if TYPE_CHECKING:
    from ..vnode import Vnode


class Cluster:
    """The variables of one call of putpages, and what it does with a page.

    A round of `putpages` sets the others: where it is, and what it has seen so far.
    """

    by_list: bool
    off: int
    error: int
    cleanall: bool
    wasclean: bool
    modified: bool
    dirtygen: int
    curmp: Marker
    endmp: Marker

    def __init__(
        self, vp: Vnode, startoff: int, endoff: int, flags: int, busypg: list[Page] | None
    ) -> None:
        self.vp = vp
        self.kernel = vp.mnt
        self.machine = vp.mnt.machine
        self.fixes = vp.mnt.fixes
        self.uobj = vp.uobj
        self.slock = vp.uobj.vmobjlock
        self.startoff = startoff
        self.endoff = endoff
        self.origflags = self.flags = flags
        self.busypg = busypg
        self.lwp = self.machine.curlwp()
        self.pagedaemon = self.lwp.pagedaemon
        self.journal = (
            vp.mnt.wapbl
            if not self.pagedaemon and not flags & PGO_JOURNALLOCKED  # 795
            else None
        )
        self.has_trans = False
        self.has_journal = False

    def _lookup(self) -> Entry | None:
        if self.off >= self.endoff:
            return None
        return self.kernel.uvm.lookup(self.uobj, self.off)

    def _after_marker(self, at: int) -> Entry:
        entry = self.curmp.next
        assert entry is not None
        with self.machine.service("list", at, op="remove curmp"):
            self.uobj.memq.remove(self.curmp)
        return entry

    def _page(self, page: Page) -> tuple[bool, Entry | None]:
        """973-1152: one page that is not BUSY; (whether to stop, where to go on)."""
        flags = self.flags
        pmaps = self.kernel.pmaps
        if flags & PGO_FREE:
            pmaps.page_protect(page, PROT_NONE, 979)
        elif flags & PGO_CLEANIT:
            if self.cleanall and self.wasclean and self.vp.g_dirtygen.get(988) == self.dirtygen:
                if page.wire_count == 0:
                    pmaps.page_protect(page, PROT_READ, 996)
                else:
                    self.cleanall = False
        needs_clean = False
        if flags & PGO_CLEANIT:
            needs_clean = (
                self.kernel.pmaps.clear_modify(page, 1005) or not page.flags.get(1006) & PG_CLEAN
            )
            page.flags.on(PG_CLEAN, 1007)
        if needs_clean and self.kernel.config.debug:
            self.machine.kassert(bool(self.vp.v_iflag.get(1020) & VI_ONWORKLST), 1020)
        pgs, nback = self._cluster(page) if needs_clean else ([page], 0)
        entry, nextpg = self._free_or_deactivate(page, pgs)
        if needs_clean:
            self.modified = True
            after = self._write(entry, pgs)
            if self.error:
                return True, after
            if self.by_list:
                return False, after
        if self.by_list:
            return False, nextpg if nextpg is not None else entry.next
        self.off += len(pgs) - nback << self.kernel.page_shift  # 1148
        return False, self._lookup()

    def _cluster(self, page: Page) -> tuple[list[Page], int]:
        """1019-1060: the page with the dirty ones around it, and how many are before it."""
        uvm, size = self.kernel.uvm, self.kernel.page_size
        most = self.kernel.config.max_cluster
        self.wasclean = False
        page.flags.on(PG_BUSY, 1023)
        page.owner = self.lwp
        ufp = UFP_NOWAIT | UFP_NOALLOC | UFP_DIRTYONLY
        room = min(most >> 1, self.off >> self.kernel.page_shift)  # 1030
        back: list[Slot] = [None] * room
        _, nback = uvm.findpages(
            self.uobj, self.off - size, back, 0, room, ufp | UFP_BACKWARD, 1032
        )
        room = most - nback - 1  # 1056
        ahead: list[Slot] = [None] * room
        uvm.findpages(self.uobj, self.off + size, ahead, 0, room, ufp, 1057)
        pgs = [one for one in [*back, page, *ahead] if isinstance(one, Page)]
        return pgs, nback

    def _free_or_deactivate(self, page: Page, pgs: list[Page]) -> tuple[Page, Entry | None]:
        """1071-1108: (the last page of the cluster in list order, what follows a freed one)."""
        uvm = self.kernel.uvm
        entry, nextpg = page, None
        locked = self.flags & (PGO_DEACTIVATE | PGO_FREE)
        if locked:
            uvm.pageqlock.enter(1072)
        for one in pgs:
            self.machine.kassert(one.uobject is self.uobj, 1076)
            if self.by_list and one is entry.next:
                entry = one  # 1078
            if not self.startoff <= one.offset < self.endoff:
                continue
            if self.flags & PGO_DEACTIVATE and one.wire_count == 0:
                uvm.deactivate(one, 1082)
            elif self.flags & PGO_FREE:
                self.kernel.pmaps.page_protect(one, PROT_NONE, 1084)
                if one.flags.get(1085) & PG_BUSY:
                    one.flags.on(PG_PAGEOUT if self.pagedaemon else PG_RELEASED, 1086)
                    if self.pagedaemon:
                        uvm.pageout(1, 1088)
                        uvm.dequeue(one, 1089)
                else:
                    nextpg = one.next  # 1099
                    uvm.pagefree(one, 1100)
                    uvm.pdfreed += self.pagedaemon
        if locked:
            uvm.pageqlock.exit(1107)
        return entry, nextpg

    def _write(self, entry: Page, pgs: list[Page]) -> Entry | None:
        """1109-1130: starts the output; where a scan by list goes on."""
        gop = self.kernel.gop
        flags = self.flags
        if self.by_list:
            with self.machine.service("list", 1118, op="insert curmp"):
                self.uobj.memq.insert_after(entry, self.curmp)
        if self.fixes.count_before_unlock:
            self.vp.v_numoutput.add(gop.tickets, 1120)
            flags |= PGO_COUNTED
        self.slock.exit(1121)
        self.error = gop.write(self.vp, pgs, flags)  # 1122
        self.slock.enter(1123)
        return self._after_marker(1125) if self.by_list else None
