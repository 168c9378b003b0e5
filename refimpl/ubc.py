"""Windows through which read(2) and write(2) copy; they stay mapped when not in use."""

from __future__ import annotations

import errno
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
from .pages import PG_CLEAN, PG_FAKE, PG_RDONLY, Page, Slot
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
        self.pmap = Pmap(kernel.pmaps)


class Ubc:
    """The windows of one machine, least recently used first."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lock = Mutex(kernel.machine, "ubc_object")
        self._windows: OrderedDict[tuple[Vnode, int], _Window] = OrderedDict()
        self.size = kernel.config.window_pages * kernel.config.page_size

    def read(self, vp: Vnode, offset: int, length: int) -> tuple[int, bytes]:
        """(errno, bytes of the file); ``length`` lies within it."""
        size = self._kernel.page_size
        parts: list[bytes] = []
        while length:
            count = min(length, size - offset % size)
            window = self._enter(vp, offset)
            error, data = self._load(window, offset, count)
            self._leave(window)
            if error:
                return error, b"".join(parts)
            parts.append(data)
            offset += count
            length -= count
        return 0, b"".join(parts)

    def write(self, vp: Vnode, offset: int, data: memoryview) -> int:
        """Stores bytes into the file, whose blocks are there; an errno."""
        size = self._kernel.page_size
        while data:
            count = min(len(data), size - offset % size)
            window = self._enter(vp, offset)
            error = 0
            while not window.pmap.store(offset // size, offset % size, data[:count], "ubc_uiomove"):
                error = self._fault(window, offset, PROT_WRITE)
                if error:
                    break
            self._leave(window)
            if error:
                return error
            offset += count
            data = data[count:]
        return 0

    def overwrite(self, vp: Vnode, offset: int, data: memoryview, held: bool = False) -> int:
        """Replaces whole pages without reading them, the last one perhaps beyond the data.

        The pages are BUSY meanwhile.  An errno; ``held`` if the caller has g_glock.
        """
        kernel, uvm = self._kernel, self._kernel.uvm
        size = kernel.page_size
        flags = PGO_SYNCIO | PGO_OVERWRITE | PGO_PASTEOF | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP
        if held:
            flags |= PGO_GLOCKHELD
        while data:
            count = min(len(data), self.size - offset % self.size)
            pgs: list[Slot] = [None] * (-(-count // size))
            vp.interlock.enter("ubc_alloc")
            error = vp.getpages(offset, pgs, len(pgs), 0, PROT_READ | PROT_WRITE, flags)
            if error:
                return error
            pages = [page for page in pgs if isinstance(page, Page)]
            kernel.machine.kassert(len(pages) == len(pgs), "ubc_alloc")
            for index, page in enumerate(pages):
                piece = data[index * size : min((index + 1) * size, count)]
                page.data[: len(piece)] = piece
                page.data[len(piece) :] = bytes(size - len(piece))
                kernel.machine.step("fill", "ubc_uiomove", page=page, offset=0, length=size)
            vp.interlock.enter("ubc_release")
            uvm.pageqlock.enter("ubc_release")
            for page in pages:
                page.flags.off(PG_FAKE | PG_CLEAN, "ubc_release")
                uvm.activate(page)
            uvm.unbusy(pgs, "ubc_release")
            uvm.pageqlock.exit("ubc_release")
            vp.interlock.exit("ubc_release")
            offset += count
            data = data[count:]
        return 0

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
            error = self._fault(window, offset, PROT_READ)
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

    def _fault(self, window: _Window, offset: int, access: int) -> int:
        """ubc_fault: maps the page of ``offset`` and what follows it in the window."""
        kernel, vp, uvm = self._kernel, window.vp, self._kernel.uvm
        size = kernel.page_size
        start = offset - offset % size
        pgs: list[Slot] = [None] * ((window.start + self.size - start) // size)
        flags = PGO_SYNCIO | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP
        if access == PROT_WRITE:
            flags |= PGO_PASTEOF
            inside = kernel.round_page(kernel.fs.gop_size(vp.v_writesize.get("ubc_fault")))
            pgs = pgs[: max(1, (inside - start) // size)]
        vp.interlock.enter("ubc_fault")
        error = get_with_readahead(vp, start, pgs, len(pgs), 0, access, flags)
        if error:
            return errno.EFAULT if error == errno.EINVAL else error
        vp.interlock.enter("ubc_fault")
        uvm.pageqlock.enter("ubc_fault")
        for index, page in enumerate(pgs):
            if isinstance(page, Page):
                # The writer has seen to blocks for what it writes: RDONLY does not bind it.
                mine = access == PROT_WRITE and index == 0
                rdonly = not mine and page.flags.get("ubc_fault") & PG_RDONLY
                writable = not rdonly and not vp.needs_writefault("ubc_fault")
                window.pmap.enter(start // size + index, page, writable, "ubc_fault")
                uvm.activate(page)
        uvm.unbusy(pgs, "ubc_fault")
        uvm.pageqlock.exit("ubc_fault")
        vp.interlock.exit("ubc_fault")
        return 0
