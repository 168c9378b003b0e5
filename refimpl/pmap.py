"""Mappings: who maps which page, with which rights; loads and stores through them.

The machine's guard plays the hardware: an access through a mapping, and a change of its rights,
are each one step.  A store through a writable entry sets the page's modified bit without
a fault and without any other lock.
"""

from __future__ import annotations

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

    def page_protect(self, page: Page, prot: int, at: At) -> None:
        """Takes rights away from all mappings of ``page``: PROT_NONE or PROT_READ stay."""
        machine = self.machine
        if machine.hook is None and not page.ptes:
            return
        with machine.service("pmap_protect", at, page=page, prot=prot):
            if prot == PROT_NONE:
                for pmap, number in page.ptes:
                    pmap.ptes.pop(number, None)
                page.ptes.clear()
            else:
                for pte in page.ptes.values():
                    pte.writable = False

    def clear_modify(self, page: Page, at: At) -> bool:
        """Reads and clears the modified bit, in one step."""
        with self.machine.service("pmap_clear_modify", at, page=page) as said:
            was, page.modified = page.modified, False
            said["was"] = was
        return was

    def is_modified(self, page: Page, at: At) -> bool:
        with self.machine.service("pmap_is_modified", at, page=page) as said:
            said["was"] = page.modified
        return page.modified


class Pmap:
    """The entries of one address space, by number of page."""

    def __init__(self, system: PmapSystem, name: str) -> None:
        self._system = system
        self.name = name
        self.ptes: dict[int, Pte] = {}

    def __str__(self) -> str:
        return self.name

    def enter(self, number: int, page: Page, writable: bool, at: At) -> None:
        """Maps ``page``; the caller owns it or holds its object's lock."""
        machine = self._system.machine
        with machine.service("pmap_enter", at, page=page, pmap=self, writable=writable):
            self._drop(number)
            pte = Pte(page, writable)
            self.ptes[number] = pte
            page.ptes[self, number] = pte

    def remove(self) -> None:
        """Removes every entry."""
        with self._system.machine.guard:
            for number in list(self.ptes):
                self._drop(number)

    def maps(self, number: int, write: bool) -> bool:
        """Whether an access would succeed now."""
        pte = self.ptes.get(number)
        return pte is not None and (pte.writable or not write)

    def load(self, number: int, offset: int, length: int, at: At) -> bytes | None:
        """Bytes of one page; None if the access faults."""
        machine = self._system.machine
        said = {"pmap": self, "number": number, "offset": offset, "length": length}
        with machine.service("user_load", at, **said) as told:
            pte = self.ptes.get(number)
            told["ok"] = pte is not None
            if pte is None:
                return None
            pte.page.referenced = True
            data = bytes(pte.page.data[offset : offset + length])
            if machine.hook is not None:
                told.update(page=pte.page, data=machine.contents(data))
            return data

    def store(self, number: int, offset: int, data: bytes | memoryview, at: At) -> bool:
        """Stores into one page; False if the access faults."""
        machine = self._system.machine
        said = {"pmap": self, "number": number, "offset": offset, "length": len(data)}
        with machine.service("user_store", at, **said) as told:
            pte = self.ptes.get(number)
            told["ok"] = pte is not None and pte.writable
            if pte is None or not pte.writable:
                return False
            pte.page.data[offset : offset + len(data)] = data
            pte.page.modified = pte.page.referenced = True
            if machine.hook is not None:
                told.update(page=pte.page, data=machine.contents(data))
            return True

    def _drop(self, number: int) -> None:
        pte = self.ptes.pop(number, None)
        if pte is not None:
            pte.page.ptes.pop((self, number), None)


__all__ = ["PROT_NONE", "PROT_READ", "PROT_WRITE", "Pmap", "PmapSystem", "Pte"]
