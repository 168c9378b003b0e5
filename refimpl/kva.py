"""Address space for pages under transfer: finite, shared, slept for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hook import At
from .sync import Machine, Mutex

if TYPE_CHECKING:
    from .pages import Page


class Window:
    """Pages side by side; offsets are bytes from the first."""

    def __init__(self, machine: Machine, pages: list[Page], page_size: int, emergency: bool):
        self._machine = machine
        self.pages = pages
        self._size = page_size
        self.emergency = emergency

    def __str__(self) -> str:
        return "a transfer"

    def take(self) -> None:
        """From now on the transfer owns the pages, not the thread that began it."""
        for page in self.pages:
            page.owner = self

    def read(self, offset: int, length: int) -> bytes:
        parts = [
            memoryview(page.data)[start:stop] for page, start, stop in self._pieces(offset, length)
        ]
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        done = 0
        for page, start, stop in self._pieces(offset, len(data)):
            page.data[start:stop] = data[done : done + stop - start]
            self._machine.step("fill", "transfer", page=page, offset=start, length=stop - start)
            done += stop - start

    def zero(self, offset: int, length: int, at: At = "zero") -> None:
        for page, start, stop in self._pieces(offset, length):
            page.data[start:stop] = bytes(stop - start)
            self._machine.step("fill", at, page=page, offset=start, length=stop - start)

    def _pieces(self, offset: int, length: int) -> list[tuple[Page, int, int]]:
        pieces = []
        end = offset + length
        while offset < end:
            index, start = divmod(offset, self._size)
            stop = min(self._size, start + end - offset)
            pieces.append((self.pages[index], start, stop))
            offset += stop - start
        return pieces


class PagerMap:
    """``total`` pages of address space, and as much again for the page daemon alone."""

    def __init__(self, machine: Machine, total: int, page_size: int) -> None:
        self._machine = machine
        self._lock = Mutex(machine, "pager map")
        self._size = page_size
        self.total = total
        self.free = total
        self._emergency_busy = False

    def mapin(self, pages: list[Page], at: At) -> Window:
        """A window over BUSY pages; waits while there is no room."""
        lwp = self._machine.curlwp()
        self._lock.enter(at)
        if lwp.pagedaemon:
            while self._emergency_busy:
                self._machine.sleep(self, self._lock, at)
                self._lock.enter(at)
            self._emergency_busy = True
        else:
            while self.free < len(pages):
                self._machine.sleep(self, self._lock, at)
                self._lock.enter(at)
            self.free -= len(pages)
        self._machine.step("kva_alloc", at, pages=len(pages))
        self._lock.exit(at)
        return Window(self._machine, pages, self._size, lwp.pagedaemon)

    def mapout(self, window: Window, at: At) -> None:
        self._lock.enter(at)
        if window.emergency:
            self._emergency_busy = False
        else:
            self.free += len(window.pages)
        self._machine.step("kva_free", at, pages=len(window.pages))
        self._machine.wakeup(self, at)
        self._lock.exit(at)

    def describe(self) -> str:
        return f"the pager map, {self.free} of {self.total} pages free"
