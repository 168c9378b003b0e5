"""genfs_putpages and genfs_do_putpages (746-1217): cleans, frees or deactivates pages."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_PAGEOUT,
    PG_RELEASED,
    Entry,
    Marker,
    Page,
)
from ..trans import LAZY
from .cluster import Cluster
from .flags import (
    PGO_ALLPAGES,
    PGO_BUSYFAIL,
    PGO_CLEANIT,
    PGO_DEACTIVATE,
    PGO_FREE,
    PGO_RECLAIM,
    PGO_SYNCIO,
    VI_ONWORKLST,
    VI_WRMAPDIRTY,
)

if TYPE_CHECKING:
    from ..vnode import Vnode

_LAST = 1 << 62  # larger than any offset
_DOOMED = PG_RELEASED | PG_PAGEOUT


def putpages(vp: Vnode, startoff: int, endoff: int, flags: int) -> int:
    """Treats the pages from ``startoff`` up to ``endoff``, 0 for all; returns an errno.

    The object is locked, and is not on return.
    """
    return do_putpages(vp, startoff, endoff, flags, None)


def do_putpages(
    vp: Vnode, startoff: int, endoff: int, flags: int, busypg: list[Page] | None
) -> int:
    """As `putpages`; the page that PGO_BUSYFAIL met is appended to ``busypg``."""
    machine = vp.mnt.machine
    machine.kassert(bool(flags & (PGO_CLEANIT | PGO_FREE | PGO_DEACTIVATE)), 787)
    machine.kassert(startoff % vp.mnt.page_size == 0 and endoff % vp.mnt.page_size == 0, 788)
    machine.kassert(startoff < endoff or endoff == 0, 789)
    return _Putpages(vp, startoff, endoff, flags, busypg).run()


class _Putpages(Cluster):
    """One call; `_round` sets the variables of a round."""

    def run(self) -> int:
        while True:  # 798, retry
            self.flags = self.origflags
            self._check_listed()
            if self.uobj.npages.get(803) == 0:
                if self.vp.v_iflag.get(804) & VI_ONWORKLST:
                    self._unlist(805)
                self._end(810)
                self.slock.exit(814)
                return 0
            if not self.has_trans and self.flags & PGO_CLEANIT:
                self.slock.exit(823)
                error = self._begin()
                if error:
                    return error
                self.slock.enter(838)
                continue
            error, onworklst = self._round()
            if self.flags & PGO_RECLAIM and onworklst:
                if not (error and self.fixes.reclaim_keeps_error):
                    self.slock.enter(1206)
                    continue
            self._end(1210)
            return error

    # 822-840 and the ends.

    def _begin(self) -> int:
        fstrans = self.kernel.fstrans
        if self.pagedaemon:
            error = fstrans.start_nowait(LAZY, 825)
            if error:
                return error
        else:
            fstrans.start(LAZY, 829)
        if self.journal is not None:
            error = self.journal.begin(831)
            if error:
                fstrans.done(833)
                return error
            self.has_journal = True
        self.has_trans = True
        return 0

    def _end(self, at: int) -> None:
        if self.has_trans:
            if self.has_journal and self.journal is not None:
                self.journal.end(at + 1)
            self.kernel.fstrans.done(at + 3)

    def _check_listed(self) -> None:
        """801-802."""
        iflag = self.vp.v_iflag
        listed = iflag.get(801) & VI_ONWORKLST or not iflag.get(802) & VI_WRMAPDIRTY
        self.machine.kassert(bool(listed), 801)

    def _unlist(self, at: int) -> None:
        """805-807 and 1183-1185: nothing is dirty, the syncer need not come."""
        vp = self.vp
        vp.v_iflag.off(VI_WRMAPDIRTY, at)
        if not vp.dirtyblkhd.get(at + 1):
            self.kernel.worklist.remove(vp, at + 2)

    # 842-1198: one round.

    def _round(self) -> tuple[int, bool]:
        """One pass over the pages; (errno, whether the vnode is still listed)."""
        vp = self.vp
        self.error = 0
        self.modified = False
        self.wasclean = vp.v_numoutput.get(843) == 0
        if self.endoff == 0 or self.flags & PGO_ALLPAGES:
            self.endoff = _LAST
        pages = (self.endoff - self.startoff >> self.kernel.page_shift) * (
            self.kernel.config.tree_penalty
        )
        self.by_list = self.uobj.npages.get(848) <= pages
        if not self._not_listed():
            self._scan()
        if not self.wasclean and self.flags & PGO_SYNCIO and vp.v_numoutput.get(1193) != 0:
            vp.wait_output(1195)
        onworklst = bool(vp.v_iflag.get(1197) & VI_ONWORKLST)
        self.slock.exit(1198)
        return self.error, onworklst

    def _not_listed(self) -> bool:
        """857-862: nothing can be dirty; whether there is nothing to do at all."""
        if self.kernel.config.debug or self.vp.v_iflag.get(857) & VI_ONWORKLST:
            return False
        if not self.flags & (PGO_FREE | PGO_DEACTIVATE):
            return True
        if not self.fixes.free_still_cleans:
            self.flags &= ~PGO_CLEANIT  # 861
        return False

    def _scan(self) -> None:
        """872-1186."""
        vp = self.vp
        self.cleanall = (
            bool(self.flags & PGO_CLEANIT)
            and self.wasclean
            and self.startoff == 0
            and self.endoff == _LAST
            and bool(vp.v_iflag.get(874) & VI_ONWORKLST)
        )
        self.dirtygen = vp.g_dirtygen.get(875)
        self.off = self.startoff
        memq = self.uobj.memq
        if self.by_list:
            self.curmp = Marker(self.machine, self.uobj, 0)
            self.endmp = Marker(self.machine, self.uobj, 1)
            entry = memq.head
            with self.machine.service("list", 885, op="insert endmp"):
                memq.insert_tail(self.endmp)
        else:
            entry = self._lookup()
        while self.by_list or self.off < self.endoff:
            self._check_entry(entry)
            if self.by_list and entry is self.endmp:
                break
            if self._uninteresting(entry):
                entry = self._skip(entry)
                continue
            assert isinstance(entry, Page)
            self.off = entry.offset
            waited, entry = self._wait(entry)
            if waited:
                if entry is None and self.by_list:
                    break
                continue
            assert isinstance(entry, Page)
            stop, entry = self._page(entry)
            if stop:
                break
        if self.by_list:
            with self.machine.service("list", 1155, op="remove endmp"):
                memq.remove(self.endmp)
        if self.modified and vp.v_iflag.get(1159) & VI_WRMAPDIRTY:
            vp.touch(accessed=False, modified=True)
        if (
            self.cleanall
            and self.wasclean
            and vp.g_dirtygen.get(1171) == self.dirtygen
            and vp.v_iflag.get(1172) & VI_ONWORKLST
        ):
            self._debug_check()
            self._unlist(1183)

    def _check_entry(self, entry: Entry | None) -> None:
        """897-900."""
        if entry is None or not isinstance(entry, Page):
            return
        self.machine.kassert(entry.uobject is self.uobj, 897)
        flags = entry.flags
        sane = not flags.get(898) & _DOOMED or flags.get(899) & PG_BUSY
        self.machine.kassert(bool(sane), 898, entry.describe())

    def _uninteresting(self, entry: Entry | None) -> bool:
        """901-923: outside the range, absent, or somebody else frees it."""
        if entry is None:
            return True
        if not isinstance(entry, Page):
            return True  # another scan's marker
        if not self.by_list:
            doomed = bool(entry.flags.get(914) & _DOOMED)
            if doomed:
                self.wasclean = False  # 916
            return doomed
        inside = self.startoff <= entry.offset < self.endoff
        if inside and not entry.flags.get(905) & _DOOMED:
            return False
        if entry.flags.get(907) & _DOOMED:
            self.wasclean = False  # 908
        return True

    def _skip(self, entry: Entry | None) -> Entry | None:
        if self.by_list:
            assert entry is not None
            return entry.next  # 910
        self.off += self.kernel.page_size  # 918
        return self._lookup()

    def _wait(self, page: Page) -> tuple[bool, Entry | None]:
        """930-971: (whether to go round the loop again, from where); None ends a list scan."""
        if self.fixes.no_sleep and page.flags.get(930) & PG_BUSY:
            if not self.origflags & (PGO_CLEANIT | PGO_SYNCIO):
                return True, self._skip(page)
        yields = self.kernel.should_yield(930) and not self.pagedaemon
        if not page.flags.get(932) & PG_BUSY and not yields:
            return False, page
        if self.flags & PGO_BUSYFAIL and page.flags.get(934) & PG_BUSY:
            self.error = errno.EDEADLK
            if self.fixes.busyfail_keeps_list:
                self.cleanall = False
            if self.busypg is not None:
                self.busypg.append(page)
            return self._stop_waiting()
        if self.pagedaemon:
            return self._stop_waiting()
        if self.by_list:
            with self.machine.service("list", 949, op="insert curmp"):
                self.uobj.memq.insert_before(page, self.curmp)
        if yields:
            self.slock.exit(954)
            self.machine.yield_cpu()
            self.slock.enter(956)
        else:
            self.kernel.uvm.wait_busy(page, self.uobj, 959)
        if self.fixes.rescan_after_sleep:
            self.cleanall = False
        if not self.by_list:
            return True, self._lookup()  # 968
        return True, self._after_marker(965)

    def _stop_waiting(self) -> tuple[bool, Entry | None]:
        self.off = self.endoff
        return True, None

    def _debug_check(self) -> None:
        """1173-1182."""
        if not self.kernel.config.debug:
            return
        messages = self.machine.messages
        for entry in self.uobj.memq:
            if isinstance(entry, Page):
                if not entry.flags.get(1175) & PG_CLEAN:
                    messages.append(f"genfs_do_putpages: {entry}: !CLEAN")
                if self.kernel.pmaps.is_modified(entry, 1178):
                    messages.append(f"genfs_do_putpages: {entry}: modified")
            elif not self.fixes.debug_skips_markers:
                self.machine.panic("a marker is asked for its modified bit at genfs_io.c:1178")
