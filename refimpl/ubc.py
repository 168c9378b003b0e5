"""Windows through which read(2) and write(2) copy; they stay mapped when not in use."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .genfs.flags import (
    PGO_GLOCKHELD,
    PGO_NOBLOCKALLOC,
    PGO_NOTIMESTAMP,
    PGO_OVERWRITE,
    PGO_PASTEOF,
    PGO_SYNCIO,
)
from .pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_FAKE,
    PG_RDONLY,
    PG_RELEASED,
    PG_WANTED,
    Page,
    Slot,
)
from .pmap import PROT_READ, PROT_WRITE, Pmap
from .sync import Mutex
from .vm import get_with_readahead

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode


class _Window:
    """A part of a file, mapped for copying; ``users`` copy right now."""

    def __init__(self, kernel: Kernel, vp: Vnode, start: int) -> None:
        self.vp = vp
        self.start = start
        self.users = 0
        self.pmap = Pmap(kernel.pmaps, f"window {start:#x} of {vp}")


class Ubc:
    """The windows of one machine, least recently used first."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lock = Mutex(kernel.machine, "ubc_object")
        self._windows: OrderedDict[tuple[Vnode, int], _Window] = OrderedDict()
        self.size = kernel.config.window_pages * kernel.config.page_size

    def read(self, vp: Vnode, offset: int, length: int) -> tuple[int, bytes]:
        """(errno, bytes of the file); ``length`` lies within it."""
        unit = self._kernel.config.copy_unit or self._kernel.page_size
        parts: list[bytes] = []
        while length:
            count = min(length, unit - offset % unit)
            window = self._enter(vp, offset)
            error, data = self._load(window, offset, count)
            self._leave(window)
            if error:
                return error, b"".join(parts)
            parts.append(data)
            offset += count
            length -= count
        return 0, b"".join(parts)

    def write(self, vp: Vnode, offset: int, data: memoryview, of_user: bool = True) -> int:
        """Stores bytes into the file, whose blocks are there; an errno.

        ``of_user``: they come from a user's memory, which may fault.
        """
        size = self._kernel.page_size
        unit = self._kernel.config.copy_unit or size
        error = (self._kernel.faults.hit("user") or 0) if of_user else 0
        if error:
            return error
        low, high = offset, offset + len(data)
        while data:
            count = min(len(data), unit - offset % unit)
            window = self._enter(vp, offset)
            error = 0
            while not window.pmap.store(offset // size, offset % size, data[:count], "ubc_uiomove"):
                error = self._fault(window, offset, PROT_WRITE, low, high)
                if error:
                    break
            self._leave(window)
            if error:
                return error
            offset += count
            data = data[count:]
        return 0

    def overwrite(self, vp: Vnode, offset: int, data: memoryview, held: bool = False) -> int:
        """Replaces bytes to the end of a page without reading it, zeroing what is behind them.

        The pages are BUSY meanwhile.  An errno; ``held`` if the caller has g_glock.
        """
        kernel, uvm = self._kernel, self._kernel.uvm
        size = kernel.page_size
        flags = PGO_SYNCIO | PGO_OVERWRITE | PGO_PASTEOF | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP
        if held:
            flags |= PGO_GLOCKHELD
        while data:
            count = min(len(data), self.size - offset % self.size)
            lead = offset % size
            pgs: list[Slot] = [None] * (-(-(lead + count) // size))
            vp.interlock.enter("ubc_alloc")
            access = PROT_READ | PROT_WRITE
            error = vp.getpages(offset - lead, pgs, len(pgs), 0, access, flags)
            if error:
                return error
            pages = [page for page in pgs if isinstance(page, Page)]
            kernel.machine.kassert(len(pages) == len(pgs), "ubc_alloc")
            error = kernel.faults.hit("user") or 0
            length = len(pages) * size - lead
            moved = b"" if error else bytes(data[:count])
            self._fill(pages, lead, moved + bytes(length - len(moved)))
            vp.interlock.enter("ubc_release")
            for page in pages:
                page.flags.off(PG_FAKE | PG_CLEAN, "ubc_release")
                uvm.activate_locked(page, "ubc_release")
            uvm.pageqlock.enter("ubc_release")
            uvm.unbusy(pgs, "ubc_release")
            uvm.pageqlock.exit("ubc_release")
            vp.interlock.exit("ubc_release")
            if error:
                return error
            offset += count
            data = data[count:]
        return 0

    def _fill(self, pages: list[Page], lead: int, data: bytes) -> None:
        """Copies into pages that the caller keeps BUSY, from ``lead`` in the first one on."""
        kernel = self._kernel
        size, machine = kernel.page_size, kernel.machine
        unit = kernel.config.copy_unit or size
        done = 0
        while done < len(data):
            page, at = pages[(lead + done) // size], (lead + done) % size
            piece = data[done : done + unit - at % unit]
            said: dict[str, object] = {"page": page, "offset": at, "length": len(piece)}
            said["number"] = page.offset // size
            with machine.service("page_store", "ubc_uiomove", **said) as told:
                page.data[at : at + len(piece)] = piece
                if machine.hook is not None:
                    told["data"] = machine.contents(piece)
            done += len(piece)

    def forget(self, vp: Vnode) -> None:
        """Gives up the windows of a vnode that nobody uses any more."""
        self._lock.enter("ubc_forget")
        for key in [key for key in self._windows if key[0] is vp]:
            self._windows.pop(key).pmap.remove()
        self._lock.exit("ubc_forget")

    def _load(self, window: _Window, offset: int, count: int) -> tuple[int, bytes]:
        size = self._kernel.page_size
        while True:
            data = window.pmap.load(offset // size, offset % size, count, "ubc_uiomove")
            if data is not None:
                return 0, data
            error = self._fault(window, offset, PROT_READ, 0, 0)
            if error:
                return error, b""

    def _enter(self, vp: Vnode, offset: int) -> _Window:
        start = offset - offset % self.size
        machine = self._kernel.machine
        self._lock.enter("ubc_alloc")
        while True:
            window = self._windows.get((vp, start))
            if window is not None:
                break
            if len(self._windows) < self._kernel.config.windows:
                window = self._windows[vp, start] = _Window(self._kernel, vp, start)
                break
            idle = next((key for key, one in self._windows.items() if not one.users), None)
            if idle is not None:
                self._windows.pop(idle).pmap.remove()
            else:
                machine.sleep(self, self._lock, "ubc_alloc")
                self._lock.enter("ubc_alloc")
        window.users += 1
        self._windows.move_to_end((vp, start))
        self._lock.exit("ubc_alloc")
        return window

    def _leave(self, window: _Window) -> None:
        self._lock.enter("ubc_release")
        window.users -= 1
        if not window.users:
            self._kernel.machine.wakeup(self, "ubc_release")
        self._lock.exit("ubc_release")

    def _fault(self, window: _Window, offset: int, access: int, low: int, high: int) -> int:
        """ubc_fault: maps the page of ``offset`` and what follows it in the window; an errno.

        ``low`` and ``high``: the bytes of a write that this is part of.
        """
        kernel, vp = self._kernel, window.vp
        size = kernel.page_size
        start = offset - offset % size
        flags = PGO_SYNCIO | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP
        if access == PROT_WRITE:
            flags |= PGO_PASTEOF
        end = kernel.round_page(max(vp.v_size.get("ubc_fault"), high))
        count = (min(window.start + self.size, end) - start) // size
        pgs: list[Slot] = [None] * max(1, count)
        vp.interlock.enter("ubc_fault")
        error = get_with_readahead(vp, start, pgs, len(pgs), 0, access, flags)
        if not error:
            for index, page in enumerate(pgs):
                if isinstance(page, Page):
                    self._map(window, start // size + index, page, low, high)
        return kernel.machine.returns("ubc_fault", error)

    def _map(self, window: _Window, number: int, page: Page, low: int, high: int) -> None:
        """Maps one page and lets it go.

        The writer has seen to blocks for what it writes: RDONLY does not bind it there.
        """
        kernel, vp, uvm = self._kernel, window.vp, self._kernel.uvm
        machine, at = kernel.machine, "ubc_fault"
        vp.interlock.enter(at)
        if page.flags.get(at) & PG_WANTED:
            machine.wakeup(page, at)
        machine.kassert(not page.flags.get(at) & PG_FAKE, at, page.describe())
        if page.flags.get(at) & PG_RELEASED:
            uvm.pageqlock.enter(at)
            uvm.pagefree(page, at)
            uvm.pageqlock.exit(at)
        else:
            rdonly = bool(page.flags.get(at) & PG_RDONLY)
            if page.offset < high and low < page.offset + kernel.page_size:
                rdonly = False
            rdonly = rdonly or vp.needs_writefault(at)
            window.pmap.enter(number, page, not rdonly, at)
            uvm.activate_locked(page, at)
            page.owner = None
            page.flags.off(PG_BUSY | PG_WANTED, at)
        vp.interlock.exit(at)
