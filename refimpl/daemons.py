"""The kernel's own threads: completion of transfers, syncer, page daemon."""

from __future__ import annotations

import errno
import time
from collections import deque
from typing import TYPE_CHECKING

from .buf import BC_AGE, Buf, putiobuf
from .genfs.flags import PGO_CLEANIT, PGO_FREE
from .kva import Window
from .ops import flush_vnode
from .pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_FAKE,
    PG_PAGEOUT,
    PG_RELEASED,
    PG_WANTED,
    Page,
)
from .sync import WRITER, Chan, Mutex

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode


class Aiodone:
    """Finishes the pages of completed transfers, one buffer after the other."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._queue: deque[Buf] = deque()
        self._lock = Mutex(kernel.machine, "aiodone queue")
        self._stop = False
        kernel.machine.spawn("aiodone", self._work)

    def biodone(self, bp: Buf) -> None:
        """Queues ``bp`` for the thread (uvm_aio_biodone)."""
        self._lock.enter("aio_biodone")
        self._queue.append(bp)
        self._kernel.machine.step("aiodone", "aio_biodone", buf=bp)
        self._kernel.machine.wakeup(self, "aio_biodone")
        self._lock.exit("aio_biodone")

    def stop(self) -> None:
        self._lock.enter("aiodone stop")
        self._stop = True
        self._kernel.machine.wakeup(self, "aiodone stop")
        self._lock.exit("aiodone stop")

    def _work(self) -> None:
        machine = self._kernel.machine
        while True:
            self._lock.enter("aiodone")
            while not self._queue:
                if self._stop:
                    self._lock.exit("aiodone")
                    return
                machine.sleep(self, self._lock, "aiodone", seconds=3600.0)
                self._lock.enter("aiodone")
            bp = self._queue.popleft()
            self._lock.exit("aiodone")
            aiodone(self._kernel, bp)


def aiodone(kernel: Kernel, bp: Buf) -> None:
    """Lets go of the pages of ``bp`` as its result demands (uvm_aio_aiodone)."""
    window = bp.data
    assert isinstance(window, Window)
    pages = window.pages
    kernel.kva.mapout(window, "aiodone")
    vp = bp.vp
    uvm = kernel.uvm
    vp.interlock.enter("aiodone")
    uvm.pageqlock.enter("aiodone")
    for page in pages:
        _finish_page(kernel, bp, page)
    uvm.unbusy(list(pages), "aiodone")
    uvm.pageqlock.exit("aiodone")
    if not bp.is_read and bp.cflags & BC_AGE:
        vp.vwakeup("aiodone")
    vp.interlock.exit("aiodone")
    putiobuf(bp, "aiodone")


def _finish_page(kernel: Kernel, bp: Buf, page: Page) -> None:
    uvm = kernel.uvm
    flags = page.flags
    if bp.error and bp.is_read:
        flags.on(PG_RELEASED, "aiodone")
        return
    if bp.error == errno.ENOMEM:
        if flags.get("aiodone") & PG_PAGEOUT:
            flags.off(PG_PAGEOUT, "aiodone")
            uvm.pageout_done(1, "aiodone")
        flags.off(PG_CLEAN, "aiodone")
        uvm.activate(page)
    if flags.get("aiodone") & PG_FAKE:
        kernel.machine.kassert(bool(flags.value & PG_CLEAN), "aiodone", page.describe())
        flags.off(PG_FAKE, "aiodone")
        uvm.enqueue(page)
        kernel.pmaps.clear_modify(page, "aiodone")
    if flags.get("aiodone") & PG_PAGEOUT:
        flags.off(PG_PAGEOUT, "aiodone")
        flags.on(PG_RELEASED, "aiodone")
        uvm.pageout_done(1, "aiodone")


class Daemon:
    """A thread that looks around every ``period`` seconds, or when it is woken."""

    def __init__(self, kernel: Kernel, name: str, period: float, pagedaemon: bool) -> None:
        self._kernel = kernel
        self._lock = Mutex(kernel.machine, f"{name} lock")
        self._chan: object = Chan(name)
        self._period = period
        self._stop = False
        self.name = name
        self._pagedaemon = pagedaemon

    def start(self) -> None:
        self._kernel.machine.spawn(self.name, self._work, pagedaemon=self._pagedaemon)

    def stop(self) -> None:
        self._lock.enter(f"{self.name} stop")
        self._stop = True
        self._kernel.machine.wakeup(self._chan, f"{self.name} stop")
        self._lock.exit(f"{self.name} stop")

    def _work(self) -> None:
        machine = self._kernel.machine
        while True:
            self._lock.enter(self.name)
            if not self._stop:
                machine.sleep(self._chan, self._lock, self.name, seconds=self._period)
                self._lock.enter(self.name)
            stop = self._stop
            self._lock.exit(self.name)
            if stop:
                return
            self.visit()

    def visit(self) -> None:
        raise NotImplementedError


class Syncer(Daemon):
    """Writes vnodes that have been listed for long enough, without waiting for anybody."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, "syncer", kernel.config.syncer_period, pagedaemon=False)
        self.frozen = Mutex(kernel.machine, "syncer_mutex")

    def visit(self) -> None:
        kernel = self._kernel
        now = time.monotonic()
        self.frozen.enter("syncer")
        for vp in kernel.worklist.due(now):
            if self._reference(vp):
                if vp.v_lock.tryenter(WRITER, "syncer"):
                    flush_vnode(vp, wait=False, at="syncer")
                    vp.v_lock.exit("syncer")
                kernel.vnodes_lock.enter("syncer")
                vp.v_usecount -= 1
                kernel.vnodes_lock.exit("syncer")
            kernel.worklist.later(vp, now)
        if kernel.wapbl is not None:
            kernel.wapbl.flush(False, "syncer")
        self.frozen.exit("syncer")

    def _reference(self, vp: Vnode) -> bool:
        kernel = self._kernel
        kernel.vnodes_lock.enter("syncer")
        alive = kernel.vnodes.get(vp.inode.ino) is vp
        if alive:
            vp.v_usecount += 1
        kernel.vnodes_lock.exit("syncer")
        return alive


class PageDaemon(Daemon):
    """Frees pages when few are left: least recently used first, with a second chance."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, "pagedaemon", 0.02, pagedaemon=True)
        self._chan = "pagedaemon"

    def visit(self) -> None:
        uvm = self._kernel.uvm
        short = uvm.freetarg - len(uvm.free) - uvm.paging
        if short <= 0:
            return
        for page in self._refill(2 * short):
            if short <= 0:
                break
            if self._clean(page):
                short -= 1

    def _refill(self, wanted: int) -> list[Page]:
        uvm = self._kernel.uvm
        uvm.pageqlock.enter("pagedaemon")
        while uvm.active and len(uvm.inactive) < wanted:
            page = next(iter(uvm.active))
            page.referenced = False
            uvm.deactivate(page)
        candidates = list(uvm.inactive)
        uvm.pageqlock.exit("pagedaemon")
        return candidates

    def _clean(self, page: Page) -> bool:
        kernel = self._kernel
        uvm = kernel.uvm
        uvm.pageqlock.enter("pagedaemon")
        uobj = page.uobject
        if page not in uvm.inactive or uobj is None:
            uvm.pageqlock.exit("pagedaemon")
            return False
        if page.referenced:
            page.referenced = False
            uvm.activate(page)
            uvm.pageqlock.exit("pagedaemon")
            return False
        if not uobj.vmobjlock.tryenter("pagedaemon"):
            uvm.pageqlock.exit("pagedaemon")
            return False
        busy = page.flags.get("pagedaemon") & (PG_BUSY | PG_WANTED)
        uvm.pageqlock.exit("pagedaemon")
        if busy or page.wire_count:
            uobj.vmobjlock.exit("pagedaemon")
            return False
        end = page.offset + kernel.page_size
        uobj.vp.putpages(page.offset, end, PGO_CLEANIT | PGO_FREE)
        return True
