"""Faults, and the mappings that take them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .genfs.flags import PGO_CLEANIT, PGO_DEACTIVATE, PGO_FREE, PGO_LOCKED, PGO_SYNCIO, VI_ONWORKLST
from .hook import At
from .pages import (
    PG_BUSY,
    PG_CLEAN,
    PG_RDONLY,
    PG_RELEASED,
    PG_WANTED,
    PGO_DONTCARE,
    Page,
    Slot,
)
from .pmap import PROT_READ, PROT_WRITE, Pmap
from .sync import READER, RwLock

if TYPE_CHECKING:
    from .vnode import Vnode


def get_with_readahead(
    vp: Vnode,
    offset: int,
    pgs: list[Slot] | None,
    count: int,
    centeridx: int,
    access: int,
    flags: int,
) -> int:
    """uvn_get: getpages, after reading ahead for who reads one page after the other."""
    kernel = vp.mnt
    if kernel.config.readahead and access == PROT_READ:
        vp.interlock.exit("uvn_get")
        sequential = offset == vp.ra_next
        vp.ra_next = offset + (count << kernel.page_shift)
        if sequential:
            readahead(vp, vp.ra_next, kernel.config.max_cluster)
        vp.interlock.enter("uvn_get")
    return vp.getpages(offset, pgs, count, centeridx, access, flags)


def readahead(vp: Vnode, offset: int, count: int) -> None:
    """Starts reading ``count`` pages from ``offset`` on; nobody waits for them."""
    kernel = vp.mnt
    step = kernel.config.max_cluster
    for index in range(0, count, step):
        where = offset + (index << kernel.page_shift)
        vp.interlock.enter("readahead")
        pages = min(step, count - index)
        error = vp.getpages(where, None, pages, 0, PROT_READ, 0)
        if error not in (0, errno.EBUSY):
            return


class VmMap:
    """A mapping of a range of a file: ``prot`` rights, shared or private.

    ``start`` and ``length`` are bytes, ``start`` at a page.  Stores to a private mapping
    go to pages of its own.
    """

    def __init__(
        self,
        vp: Vnode,
        start: int,
        length: int,
        prot: int,
        private: bool,
        name: str = "",
    ) -> None:
        kernel = vp.mnt
        self.vp = vp
        self.start = start
        self.length = length
        self.prot = prot
        self.private = private
        self.lock = RwLock(kernel.machine, f"map of {vp}")
        self._anons: dict[int, bytearray] = {}
        self.back = kernel.config.fault_back
        self.ahead = kernel.config.fault_ahead
        self.pmap = Pmap(kernel.pmaps, name or f"map of {vp}")
        self._shift = kernel.page_shift
        self._size = kernel.page_size

    def load(self, offset: int, length: int, at: At = "load") -> tuple[int, bytes]:
        """(errno, bytes); EINVAL past the end of the file."""
        parts = []
        for number, start, stop in self._pieces(offset, length):
            while True:
                anon = self._anons.get(number)
                if anon is not None:
                    data: bytes | None = bytes(anon[start:stop])
                else:
                    data = self.pmap.load(number, start, stop - start, at)
                if data is not None:
                    break
                error = self.fault(number, PROT_READ)
                if error:
                    return error, b""
            parts.append(data)
        return 0, b"".join(parts)

    def store(self, offset: int, data: bytes | memoryview, at: At = "store") -> int:
        """Stores page by page; an errno, what came before it staying."""
        view = memoryview(data)
        done = 0
        for number, start, stop in self._pieces(offset, len(view)):
            piece = view[done : done + stop - start]
            done += stop - start
            if self.private:
                error = self._store_private(number, start, piece)
                if error:
                    return error
                continue
            while not self.pmap.store(number, start, piece, at):
                error = self.fault(number, PROT_WRITE)
                if error:
                    return error
        return 0

    def fault(self, number: int, access: int, wire: bool = False) -> int:
        """Maps page ``number`` of the file for ``access``; an errno."""
        if not self.prot & access:
            return errno.EFAULT
        self.lock.enter(READER, "uvm_fault")
        error = self._fast(number, access, wire)
        if error is None:
            error = self._slow(number, access, wire)
        self.lock.exit("uvm_fault")
        return self.vp.mnt.machine.returns("fault", error)

    def wire(self, offset: int, length: int, on: bool) -> int:
        """mlock and munlock: faults with all rights of the mapping, and wires; an errno."""
        kernel = self.vp.mnt
        for number, _start, _stop in self._pieces(offset, length):
            if on:
                error = self.fault(number, self.prot & PROT_WRITE or PROT_READ, wire=True)
                if error:
                    return error
                continue
            self.vp.interlock.enter("munlock")
            page = kernel.uvm.lookup(self.vp.uobj, number << self._shift)
            if page is not None and page.wire_count:
                page.wire_count -= 1
                kernel.uvm.enqueue_locked(page, "munlock")
            self.vp.interlock.exit("munlock")
        return 0

    def around(self, back: int, ahead: int, shadow: int = 0, offset: int = 0) -> None:
        """How many neighbours a fault maps as well.

        Bit k of ``shadow``: at ``back`` pages before ``offset``, plus k, a private page is in the
        way.
        """
        self.back, self.ahead = back, ahead
        first = (self.start + offset >> self._shift) - back
        for bit in range(back + 1 + ahead):
            if shadow >> bit & 1:
                self._anons[first + bit] = bytearray(self._size)

    def sync(self, offset: int, length: int, wait: bool = True, invalidate: bool = False) -> int:
        """msync; an errno."""
        lo, hi = self._range(offset, length)
        flags = PGO_CLEANIT | (PGO_SYNCIO if wait else 0) | (PGO_FREE if invalidate else 0)
        return self._put(lo, hi, flags)

    def advise_dontneed(self, offset: int, length: int) -> int:
        """madvise: these pages are good candidates for replacement; an errno."""
        return self._put(*self._range(offset, length), PGO_DEACTIVATE)

    def advise_willneed(self, offset: int, length: int) -> None:
        lo, hi = self._range(offset, length)
        readahead(self.vp, lo, hi - lo >> self._shift)

    def unmap(self) -> None:
        self.pmap.remove()

    def _put(self, lo: int, hi: int, flags: int) -> int:
        if lo >= hi:
            return 0
        self.lock.enter(READER, "msync")
        self.vp.interlock.enter("msync")
        error = self.vp.putpages(lo, hi, flags)
        self.lock.exit("msync")
        return error

    def _range(self, offset: int, length: int) -> tuple[int, int]:
        kernel = self.vp.mnt
        lo = kernel.trunc_page(self.start + offset)
        return lo, kernel.round_page(self.start + min(offset + length, self.length))

    def _pieces(self, offset: int, length: int) -> list[tuple[int, int, int]]:
        pieces = []
        offset += self.start
        end = offset + length
        while offset < end:
            number, start = offset >> self._shift, offset % self._size
            stop = min(self._size, start + end - offset)
            pieces.append((number, start, stop))
            offset += stop - start
        return pieces

    def _store_private(self, number: int, start: int, piece: memoryview) -> int:
        if not self.prot & PROT_WRITE:
            return errno.EFAULT
        anon = self._anons.get(number)
        if anon is None:
            where = (number << self._shift) - self.start
            error, data = self.load(where, self._size)
            if error:
                return error
            anon = self._anons[number] = bytearray(data)
        anon[start : start + len(piece)] = piece
        return 0

    # The two ways of a fault.

    def _fast(self, number: int, access: int, wire: bool) -> int | None:
        """What is in memory, neighbours included; None if the page itself is not."""
        vp = self.vp
        first = max(self.start >> self._shift, number - self.back)
        last = min(self.start + self.length - 1 >> self._shift, number + self.ahead)
        pgs: list[Slot] = [
            PGO_DONTCARE if one in self._anons else None for one in range(first, last + 1)
        ]
        centre = number - first
        vp.interlock.enter("uvm_fault")
        vp.getpages(first << self._shift, pgs, len(pgs), centre, access, PGO_LOCKED)
        for index, page in enumerate(pgs):
            if index != centre and isinstance(page, Page):
                self._map_neighbour(first + index, page)
        found = pgs[centre]
        if not isinstance(found, Page):
            return None
        self._map_page(number, found, access, wire)
        vp.interlock.exit("uvm_fault")
        return 0

    def _slow(self, number: int, access: int, wire: bool) -> int:
        """The page from getpages; whoever comes back finds it mapped, or faults again.

        The object is locked, and is not on return.
        """
        vp, uvm = self.vp, self.vp.mnt.uvm
        self.lock.exit("uvm_fault")
        pgs: list[Slot] = [None]
        offset = number << self._shift
        error = get_with_readahead(vp, offset, pgs, 1, 0, access, PGO_SYNCIO)
        self.lock.enter(READER, "uvm_fault")
        if error:
            return error
        page = pgs[0]
        assert isinstance(page, Page)
        vp.interlock.enter("uvm_fault")
        uvm.activate_locked(page, "uvm_fault")
        if page.flags.get("uvm_fault") & PG_RELEASED:
            if page.flags.get("uvm_fault") & PG_WANTED:
                vp.mnt.machine.wakeup(page, "uvm_fault")
            uvm.pageqlock.enter("uvm_fault")
            uvm.pagefree(page, "uvm_fault")
            uvm.pageqlock.exit("uvm_fault")
        else:
            self._map_page(number, page, access, wire)
        vp.interlock.exit("uvm_fault")
        return 0

    def _map_neighbour(self, number: int, page: Page) -> None:
        self.vp.mnt.uvm.enqueue_locked(page, "uvm_fault")
        rdonly = bool(page.flags.get("uvm_fault") & PG_RDONLY)
        rdonly = rdonly or self.vp.needs_writefault("uvm_fault")
        self._enter(number, page, rdonly)
        page.owner = None
        page.flags.off(PG_BUSY, "uvm_fault")

    def _map_page(self, number: int, page: Page, access: int, wire: bool) -> None:
        """The page that was asked for: map it, and let it go."""
        vp = self.vp
        machine = vp.mnt.machine
        if not page.flags.get("uvm_fault") & PG_CLEAN:
            listed = bool(vp.v_iflag.get("uvm_fault") & VI_ONWORKLST)
            machine.kassert(listed, "uvm_fault", f"{page.describe()} is not listed")
        rdonly = bool(page.flags.get("uvm_fault") & PG_RDONLY)
        machine.kassert(
            not (rdonly and access == PROT_WRITE), "uvm_fault", f"{page.describe()} for a store"
        )
        self._enter(number, page, rdonly or vp.needs_writefault("uvm_fault"))
        if wire:
            page.wire_count += 1
            vp.mnt.uvm.dequeue(page, "uvm_fault")
        if page.flags.get("uvm_fault") & PG_WANTED:
            machine.wakeup(page, "uvm_fault")
        page.owner = None
        page.flags.off(PG_BUSY | PG_WANTED, "uvm_fault")

    def _enter(self, number: int, page: Page, rdonly: bool) -> None:
        writable = bool(self.prot & PROT_WRITE) and not rdonly and not self.private
        self.pmap.enter(number, page, writable, "uvm_fault")
