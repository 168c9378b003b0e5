"""Mappings: who maps which page, with which rights; loads and stores through them.

The lock here plays the hardware: an access through a mapping, and a change of its rights,
are each one step.  A store through a writable entry sets the page's modified bit without
a fault and without any other lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sync import Machine

if TYPE_CHECKING:
    from .hook import At
    from .pages import Page

PROT_NONE = 0
PROT_READ = 1
PROT_WRITE = 2


@dataclass
class Pte:
    """One entry: a page, and whether stores are allowed."""

    page: Page
    writable: bool


class PmapSystem:
    """All address spaces of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lock = threading.Lock()  # never held while anything waits

    def page_protect(self, page: Page, prot: int, at: At) -> None:
        """Takes rights away from all mappings of ``page``: PROT_NONE or PROT_READ stay."""
        machine = self.machine
        if machine.hook is None and not page.ptes:
            return
        machine.turn("pmap_protect", at)
        with self.lock:
            if prot == PROT_NONE:
                for pmap, number in page.ptes:
                    pmap.ptes.pop(number, None)
                page.ptes.clear()
            else:
                for pte in page.ptes.values():
                    pte.writable = False
            machine.noted("pmap_protect", at, page=page, prot=prot)

    def clear_modify(self, page: Page, at: At) -> bool:
        """Reads and clears the modified bit, in one step."""
        self.machine.turn("pmap_clear_modify", at)
        with self.lock:
            was, page.modified = page.modified, False
            self.machine.noted("pmap_clear_modify", at, page=page, was=was)
        return was


class Pmap:
    """The entries of one address space, by number of page."""

    def __init__(self, system: PmapSystem) -> None:
        self._system = system
        self.ptes: dict[int, Pte] = {}

    def enter(self, number: int, page: Page, writable: bool, at: At) -> None:
        """Maps ``page``; the caller owns it or holds its object's lock."""
        machine = self._system.machine
        machine.turn("pmap_enter", at)
        with self._system.lock:
            self._drop(number)
            pte = Pte(page, writable)
            self.ptes[number] = pte
            page.ptes[self, number] = pte
            machine.noted("pmap_enter", at, page=page, writable=writable)

    def remove(self) -> None:
        """Removes every entry."""
        with self._system.lock:
            for number in list(self.ptes):
                self._drop(number)

    def maps(self, number: int, write: bool) -> bool:
        """Whether an access would succeed now."""
        pte = self.ptes.get(number)
        return pte is not None and (pte.writable or not write)

    def load(self, number: int, offset: int, length: int, at: At) -> bytes | None:
        """Bytes of one page; None if the access faults."""
        machine = self._system.machine
        machine.turn("user_load", at)
        with self._system.lock:
            pte = self.ptes.get(number)
            if pte is None:
                return None
            pte.page.referenced = True
            data = bytes(pte.page.data[offset : offset + length])
            machine.noted("user_load", at, page=pte.page, offset=offset, length=length)
            return data

    def store(self, number: int, offset: int, data: bytes | memoryview, at: At) -> bool:
        """Stores into one page; False if the access faults."""
        machine = self._system.machine
        machine.turn("user_store", at)
        with self._system.lock:
            pte = self.ptes.get(number)
            if pte is None or not pte.writable:
                return False
            pte.page.data[offset : offset + len(data)] = data
            pte.page.modified = pte.page.referenced = True
            machine.noted("user_store", at, page=pte.page, offset=offset, length=len(data))
            return True

    def _drop(self, number: int) -> None:
        pte = self.ptes.pop(number, None)
        if pte is not None:
            pte.page.ptes.pop((self, number), None)


__all__ = ["PROT_NONE", "PROT_READ", "PROT_WRITE", "Pmap", "PmapSystem", "Pte"]
