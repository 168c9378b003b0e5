"""Address space for pages under transfer: finite, shared, slept for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hook import At
from .sync import Machine, Want, lowest

if TYPE_CHECKING:
    from .pages import Page


class Window:
    """Pages side by side; offsets are bytes from the first."""

    def __init__(
        self, machine: Machine, number: int, pages: list[Page], page_size: int, emergency: bool
    ) -> None:
        self._machine = machine
        self.number = number
        self.pages = pages
        self._size = page_size
        self.emergency = emergency

    def __str__(self) -> str:
        return f"window{self.number}"

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
            done += stop - start

    def zero(self, offset: int, length: int, at: At) -> None:
        pieces = self._pieces(offset, length)
        pages = [page for page, _start, _stop in pieces]
        with self._machine.service("fill", at, pages=pages, offset=offset, length=length):
            for page, start, stop in pieces:
                page.data[start:stop] = bytes(stop - start)

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
    """``total`` pages of address space in at most ``windows``; one window for the page daemon.

    ``windows`` None: as many as there is space for.
    """

    def __init__(self, machine: Machine, total: int, windows: int | None, page_size: int) -> None:
        self._machine = machine
        self._size = page_size
        self._most = windows
        self.total = total
        self.free = total
        self.windows: list[Window] = []  # in use

    def mapin(self, pages: list[Page], at: At) -> Window:
        """A window over BUSY pages; waits while there is no room."""
        machine = self._machine
        urgent = machine.curlwp().pagedaemon
        want = Want(self, lambda: self._room(len(pages), urgent), self.describe())
        with machine.service("kva_alloc", at, want, pages=pages) as said:
            number = lowest([one.number for one in self.windows])
            window = Window(machine, number, pages, self._size, urgent)
            if not urgent:
                self.free -= len(pages)
            self.windows.append(window)
            said["window"] = window
        return window

    def mapout(self, window: Window, at: At) -> None:
        with self._machine.service("kva_free", at, window=window, pages=window.pages):
            if not window.emergency:
                self.free += len(window.pages)
            self.windows.remove(window)
            self._machine.wake(self)

    def describe(self) -> str:
        return f"the pager map, {self.free} of {self.total} pages free"

    def _room(self, count: int, urgent: bool) -> bool:
        used = sum(window.emergency == urgent for window in self.windows)
        if urgent:
            return used == 0
        return self.free >= count and (self._most is None or used < self._most)
