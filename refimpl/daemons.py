"""The kernel's own threads: completion of transfers, syncer, page daemon."""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING

from .buf import BC_AGE, Buf, putiobuf
from .flush import flush_vnode
from .genfs.flags import PGO_CLEANIT, PGO_FREE
from .kva import Window
from .pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_FAKE,
    PG_PAGEOUT,
    PG_RELEASED,
    Page,
)
from .sync import WRITER, Chan, Mutex, Want

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode


class Aiodone:
    """Finishes the pages of completed transfers, one buffer after the other."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.queue: deque[Buf] = deque()
        self._stop = False
        kernel.machine.spawn("aiodone", self._work)

    def add(self, bp: Buf) -> None:
        """Queues ``bp`` for the thread; inside a service."""
        self.queue.append(bp)
        self._kernel.machine.wake(self)

    def biodone(self, bp: Buf) -> None:
        """Queues ``bp`` (uvm_aio_biodone, called by who waited for it)."""
        with self._kernel.machine.service("aio_biodone", "aio_biodone", buf=bp):
            self.add(bp)

    def stop(self) -> None:
        with self._kernel.machine.guard:
            self._stop = True
            self._kernel.machine.wake(self)

    def _work(self) -> None:
        machine = self._kernel.machine
        want = Want(self, lambda: bool(self.queue) or self._stop, "finished I/O", rest=True)
        while True:
            machine.rest(self, lambda: (self.queue or self._stop) or None, "aiodone")
            if not self.queue:
                return
            with machine.service("aiodone", "aiodone", want) as said:
                bp = self.queue.popleft()
                said.update(buf=bp, error=bp.error)
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
    paged_out = sum(_finish_page(kernel, bp, page) for page in pages)
    if bp.error and not bp.is_read and kernel.fixes.failed_write_stays_dirty:
        vp.g_dirtygen.add(1, "aiodone")
        kernel.worklist.add(vp, "aiodone")
    uvm.unbusy(list(pages), "aiodone")
    if paged_out:
        uvm.pageout(-paged_out, "aiodone")
    uvm.pageqlock.exit("aiodone")
    vp.interlock.exit("aiodone")
    if not bp.is_read and bp.cflags & BC_AGE:
        vp.interlock.enter("aiodone")
        vp.vwakeup("aiodone")
        vp.interlock.exit("aiodone")
    putiobuf(bp, "aiodone")


def _finish_page(kernel: Kernel, bp: Buf, page: Page) -> int:
    """How many pageouts end with it."""
    uvm = kernel.uvm
    flags = page.flags
    done = 0
    if bp.error and bp.is_read:
        if not kernel.fixes.error_frees_fake_only or flags.get("aiodone") & PG_FAKE:
            flags.on(PG_RELEASED, "aiodone")
        return 0
    keeps = kernel.fixes.failed_write_stays_dirty
    if bp.error == errno.ENOMEM or (keeps and bp.error):
        if flags.get("aiodone") & PG_PAGEOUT:
            flags.off(PG_PAGEOUT, "aiodone")
            done += 1
        flags.off(PG_CLEAN, "aiodone")
        if keeps:
            flags.off(PG_RELEASED, "aiodone")
        uvm.activate(page, "aiodone")
    if flags.get("aiodone") & PG_FAKE:
        clean = bool(flags.get("aiodone") & PG_CLEAN)
        kernel.machine.kassert(clean, "aiodone", page.describe())
        flags.off(PG_FAKE, "aiodone")
        uvm.enqueue(page, "aiodone")
        kernel.pmaps.clear_modify(page, "aiodone")
    if flags.get("aiodone") & PG_PAGEOUT:
        flags.off(PG_PAGEOUT, "aiodone")
        flags.on(PG_RELEASED, "aiodone")
        done += 1
    return done


class Daemon:
    """A thread that looks around every ``period`` seconds, or when it is woken."""

    def __init__(self, kernel: Kernel, name: str, period: float, pagedaemon: bool) -> None:
        self._kernel = kernel
        self._chan: object = Chan(name)
        self._period = period
        self._stop = False
        self.name = name
        self._pagedaemon = pagedaemon

    def start(self) -> None:
        self._kernel.machine.spawn(self.name, self._work, pagedaemon=self._pagedaemon)

    def stop(self) -> None:
        with self._kernel.machine.guard:
            self._stop = True
            self._kernel.machine.wake(self._chan)

    def _work(self) -> None:
        machine = self._kernel.machine
        while not self._stop:
            machine.nap(self._chan, lambda: self._stop, self._period, self.name)
            if not self._stop:
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
        now = kernel.machine.now()
        self.frozen.enter("syncer")
        for vp in kernel.worklist.due(now):
            if self._reference(vp):
                if vp.v_lock.tryenter(WRITER, "syncer"):
                    flush_vnode(vp, wait=False, at="syncer")
                    vp.v_lock.exit("syncer")
                kernel.unreferenced(vp)
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
            uvm.deactivate(page, "pagedaemon")
        candidates = list(uvm.inactive)
        uvm.pageqlock.exit("pagedaemon")
        return candidates

    def _clean(self, page: Page) -> bool:
        """Starts to free a page that is a candidate still, and was not used meanwhile."""
        uvm = self._kernel.uvm
        with self._kernel.machine.guard:
            again = page in uvm.inactive and page.referenced
        if again:
            uvm.pageqlock.enter("pagedaemon")
            page.referenced = False
            if page in uvm.inactive:
                uvm.activate(page, "pagedaemon")
            uvm.pageqlock.exit("pagedaemon")
            return False
        return self.look(page, page in uvm.inactive)

    def look(self, page: Page, candidate: bool = True) -> bool:
        """Cleans and frees one page if it can be; whether it tried."""
        kernel = self._kernel
        uvm = kernel.uvm
        uvm.pageqlock.enter("pagedaemon")
        uobj = page.uobject
        queued = page in uvm.inactive or page in uvm.active
        if not candidate or not queued or uobj is None or page.wire_count:
            uvm.pageqlock.exit("pagedaemon")
            return False
        if not uobj.vmobjlock.tryenter("pagedaemon"):
            uvm.pageqlock.exit("pagedaemon")
            return False
        busy = page.flags.get("pagedaemon") & PG_BUSY
        offset = page.offset
        uvm.pageqlock.exit("pagedaemon")
        if busy:
            uobj.vmobjlock.exit("pagedaemon")
            return False
        uobj.vp.putpages(offset, offset + kernel.page_size, PGO_CLEANIT | PGO_FREE)
        return True
