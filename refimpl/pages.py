"""Pages with real bytes, objects that hold them, and the queues of replacement."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from .hook import At
from .sync import Machine, Mutex, Want, Word

if TYPE_CHECKING:
    from .config import Config
    from .faults import Faults
    from .pmap import Pmap, PmapSystem, Pte
    from .vnode import Vnode

PG_BUSY = 0x01
PG_WANTED = 0x02
PG_FAKE = 0x04
PG_CLEAN = 0x08
PG_RDONLY = 0x10
PG_RELEASED = 0x20
PG_PAGEOUT = 0x40
_NAMES = ("BUSY", "WANTED", "FAKE", "CLEAN", "RDONLY", "RELEASED", "PAGEOUT")

# Flags of findpages.
UFP_ALL = 0x00
UFP_NOWAIT = 0x01
UFP_NOALLOC = 0x02
UFP_NOCACHE = 0x04
UFP_NORDONLY = 0x08
UFP_DIRTYONLY = 0x10
UFP_BACKWARD = 0x20


def flag_names(flags: int) -> str:
    """ "BUSY|FAKE" and the like."""
    names = [name for bit, name in enumerate(_NAMES) if flags & 1 << bit]
    return "|".join(names) or "0"


class Entry:
    """What can stand in an object's list of pages: a page, or a scan's marker."""

    __slots__ = ("prev", "next", "uobject", "offset", "flags")

    def __init__(self, machine: Machine) -> None:
        self.prev: Entry | None = None
        self.next: Entry | None = None
        self.uobject: Uobject | None = None
        self.offset = -1
        self.flags = Word(machine, self, "flags")


class Marker(Entry):
    """A scan's place in a list; BUSY, at no offset, in no tree, not counted.

    ``number``: a scan has two, 0 where it stands while it sleeps, 1 where it ends.
    """

    __slots__ = ("lwp", "number")

    def __init__(self, machine: Machine, uobj: Uobject, number: int) -> None:
        super().__init__(machine)
        self.lwp = machine.curlwp()
        self.number = number
        self.uobject = uobj
        self.flags.value = PG_BUSY

    def __str__(self) -> str:
        return "marker"


class Page(Entry):
    """A page of memory.  The bits modified and referenced belong to the mappings' side."""

    __slots__ = ("number", "data", "owner", "wire_count", "modified", "referenced", "ptes")

    def __init__(self, machine: Machine, number: int, size: int) -> None:
        super().__init__(machine)
        self.number = number
        self.data = bytearray(size)
        self.owner: object = None  # who may change a BUSY page: a thread, or a transfer's window
        self.wire_count = 0
        self.modified = False
        self.referenced = False
        self.ptes: dict[tuple[Pmap, int], Pte] = {}

    def __str__(self) -> str:
        return f"page{self.number}"

    def describe(self) -> str:
        where = f"{self.uobject}+{self.offset:#x}" if self.uobject is not None else "free"
        return f"{self} ({where}), {flag_names(self.flags.value)}, owner {self.owner}"


class Dontcare:
    """The type of `PGO_DONTCARE`: a slot that the caller has no use for."""

    __slots__ = ()

    def __str__(self) -> str:
        return "PGO_DONTCARE"


PGO_DONTCARE: Final = Dontcare()
Slot = Page | Dontcare | None


class Tailq:
    """A doubly linked list, for scans that hold their place by a marker."""

    __slots__ = ("head", "tail")

    def __init__(self) -> None:
        self.head: Entry | None = None
        self.tail: Entry | None = None

    def __iter__(self) -> Iterator[Entry]:
        entry = self.head
        while entry is not None:
            yield entry
            entry = entry.next

    def insert_tail(self, entry: Entry) -> None:
        entry.prev, entry.next = self.tail, None
        if self.tail is None:
            self.head = entry
        else:
            self.tail.next = entry
        self.tail = entry

    def insert_before(self, place: Entry, entry: Entry) -> None:
        entry.prev, entry.next = place.prev, place
        if place.prev is None:
            self.head = entry
        else:
            place.prev.next = entry
        place.prev = entry

    def insert_after(self, place: Entry, entry: Entry) -> None:
        if place.next is None:
            self.insert_tail(entry)
        else:
            self.insert_before(place.next, entry)

    def remove(self, entry: Entry) -> None:
        if entry.prev is None:
            self.head = entry.next
        else:
            entry.prev.next = entry.next
        if entry.next is None:
            self.tail = entry.prev
        else:
            entry.next.prev = entry.prev
        entry.prev = entry.next = None


class Uobject:
    """The pages of one vnode: a tree by offset and a list, new pages at its tail."""

    __slots__ = ("vmobjlock", "tree", "memq", "npages", "name", "vp")

    def __init__(self, machine: Machine, name: str, vp: Vnode) -> None:
        self.name = name
        self.vp = vp
        self.vmobjlock = Mutex(machine, f"{name}.interlock")
        self.tree: dict[int, Page] = {}
        self.memq = Tailq()
        self.npages = Word(machine, name, "uo_npages")

    def __str__(self) -> str:
        return self.name


class Uvm:
    """Physical memory: free pages, queues of replacement, and who waits for a page."""

    def __init__(
        self, machine: Machine, faults: Faults, pmaps: PmapSystem, config: Config
    ) -> None:
        pages = config.memory_pages
        self.machine = machine
        self.faults = faults
        self.pmaps = pmaps
        self.page_size = config.page_size
        self.total = pages
        self.freetarg = max(2, pages // 16)
        self.pageqlock = Mutex(machine, "pageqlock")
        self.pages = [Page(machine, number, self.page_size) for number in range(pages)]
        self.free = list(range(pages))  # a heap of numbers: the lowest is taken first
        self.active: OrderedDict[Page, None] = OrderedDict()
        self.inactive: OrderedDict[Page, None] = OrderedDict()
        self.paging = 0  # pages that are written in order to be freed
        self.waiters = 0
        self.pdfreed = 0
        self._queues = config.pagedaemon
        self._junk = config.page_junk
        self._stale = config.stale_modified

    # Allocation.  The object is locked.

    def lookup(self, uobj: Uobject, offset: int) -> Page | None:
        return uobj.tree.get(offset)

    def alloc(self, uobj: Uobject, offset: int, at: At) -> Page | None:
        """A page with arbitrary contents at ``offset``: BUSY, FAKE, CLEAN, the caller's."""
        machine = self.machine
        with machine.service("page_insert", at, uobj=uobj, offset=offset) as said:
            page = None
            if not self.faults.hit("page"):
                page = self.pages[heappop(self.free)] if self.free else None
                if len(self.free) < self.freetarg:
                    machine.wake("pagedaemon")
            said["page"] = page
            if page is None:
                return None
            page.uobject = uobj
            page.offset = offset
            page.owner = machine.curlwp()
            page.flags.value = PG_BUSY | PG_FAKE | PG_CLEAN
            if self._stale is not None:
                page.modified = self._stale
            if self._junk:
                times = self.page_size // len(self._junk)
                page.data[:] = self._junk * times
            uobj.tree[offset] = page
            uobj.memq.insert_tail(page)
            uobj.npages.value += 1
        return page

    def pagefree(self, page: Page, at: At) -> None:
        """Takes a page from its object; object and queues are locked, nothing maps it."""
        with self.machine.service("page_free", at, page=page):
            self._free(page, at)

    def _free(self, page: Page, at: At) -> None:
        uobj = page.uobject
        machine = self.machine
        if uobj is None or page.ptes or not uobj.vmobjlock.owned() or not self.pageqlock.owned():
            machine.panic(f"{page.describe()} cannot be freed at {at}")
        self.active.pop(page, None)
        self.inactive.pop(page, None)
        del uobj.tree[page.offset]
        uobj.memq.remove(page)
        uobj.npages.value -= 1
        page.uobject = None
        page.owner = None
        page.wire_count = 0
        page.flags.value = 0
        heappush(self.free, page.number)
        machine.wake("free memory")

    def wait(self, at: At) -> None:
        """Asks the page daemon for memory and waits for some; nothing is locked."""
        machine = self.machine
        with machine.guard:
            self.waiters += 1
            machine.wake("pagedaemon")
        want = Want("free memory", lambda: bool(self.free), "free memory")
        with machine.service("memory", at, want):
            self.waiters -= 1

    def findpages(
        self, uobj: Uobject, offset: int, pgs: list[Slot], base: int, count: int, flags: int, at: At
    ) -> tuple[int, int]:
        """Makes BUSY, and stores, pages for the ``count`` slots of ``pgs`` from ``base`` on.

        Slot by slot upwards from ``offset``, or with UFP_BACKWARD the last slot first and
        downwards.  The object is locked, and may have been unlocked meanwhile.  Returns how
        many pages were found and how many slots were gone through.
        """
        found = 0
        for number in range(count):
            if flags & UFP_BACKWARD:
                slot, where = base + count - 1 - number, offset - number * self.page_size
            else:
                slot, where = base + number, offset + number * self.page_size
            if pgs[slot] is None:
                pgs[slot] = self._findpage(uobj, where, flags, at)
                if pgs[slot] is not None:
                    found += 1
                    continue
            if flags & UFP_DIRTYONLY:
                return found, found
        return found, count

    def _findpage(self, uobj: Uobject, offset: int, flags: int, at: At) -> Page | None:
        while True:
            page = self.lookup(uobj, offset)
            if page is None:
                if flags & UFP_NOALLOC:
                    return None
                page = self.alloc(uobj, offset, at)
                if page is not None:
                    return page
                if flags & UFP_NOWAIT:
                    return None
                uobj.vmobjlock.exit(at)
                self.wait(at)
                uobj.vmobjlock.enter(at)
                continue
            if flags & UFP_NOCACHE:
                return None
            if page.flags.get(at) & PG_BUSY:
                if flags & UFP_NOWAIT:
                    return None
                self.wait_busy(page, uobj, at)
                continue
            if flags & UFP_NORDONLY and page.flags.get(at) & PG_RDONLY:
                return None
            if flags & UFP_DIRTYONLY:
                dirty = self.pmaps.clear_modify(page, at) or not page.flags.get(at) & PG_CLEAN
                page.flags.on(PG_CLEAN, at)
                if not dirty:
                    return None
            page.flags.on(PG_BUSY, at)
            page.owner = self.machine.curlwp()
            return page

    def wait_busy(self, page: Page, uobj: Uobject, at: At) -> None:
        """Sleeps until somebody lets go of ``page``; the object is unlocked meanwhile."""
        self.machine.kassert(
            page.owner is not self.machine.curlwp() or bool(page.flags.value & PG_PAGEOUT),
            at,
            f"the owner waits for {page.describe()}",
        )
        page.flags.on(PG_WANTED, at)
        self.machine.sleep(page, uobj.vmobjlock, at)
        uobj.vmobjlock.enter(at)

    def unbusy(self, pgs: list[Slot], at: At) -> None:
        """Lets go of pages; RELEASED ones are freed.  Object and queues are locked."""
        pages = [page for page in pgs if isinstance(page, Page)]
        freed: list[Page] = []
        machine = self.machine
        with machine.service("unbusy", at, pages=pages, freed=freed):
            for page in pages:
                flags = page.flags.value
                machine.kassert(
                    flags & (PG_BUSY | PG_PAGEOUT) == PG_BUSY, at, f"unbusy of {page.describe()}"
                )
                if flags & PG_WANTED:
                    machine.wake(page)
                if flags & PG_RELEASED:
                    self._free(page, at)
                    freed.append(page)
                else:
                    machine.kassert(not flags & PG_FAKE, at, f"unbusy of {page.describe()}")
                    page.owner = None
                    page.flags.value &= ~(PG_BUSY | PG_WANTED)

    def zero(self, page: Page, at: At) -> None:
        size = self.page_size
        with self.machine.service("fill", at, pages=[page], offset=0, length=size):
            page.data[:] = bytes(size)

    # Queues.  The queue lock is held.

    def activate_locked(self, page: Page, at: At) -> None:
        """As `activate`, taking the lock."""
        if self._queues:
            self.pageqlock.enter(at)
            self.activate(page, at)
            self.pageqlock.exit(at)

    def activate(self, page: Page, at: At) -> None:
        if self._queues and page.wire_count == 0:
            with self.machine.service("queue", at, page=page, queue="active"):
                self.inactive.pop(page, None)
                self.active.pop(page, None)
                self.active[page] = None

    def enqueue_locked(self, page: Page, at: At) -> None:
        """As `enqueue`, taking the lock."""
        if self._queues:
            self.pageqlock.enter(at)
            self.enqueue(page, at)
            self.pageqlock.exit(at)

    def enqueue(self, page: Page, at: At) -> None:
        if self._queues and page.wire_count == 0:
            with self.machine.service("queue", at, page=page, queue="any"):
                if page not in self.inactive:
                    self.active.setdefault(page)

    def deactivate(self, page: Page, at: At) -> None:
        if self._queues:
            with self.machine.service("queue", at, page=page, queue="inactive"):
                self.active.pop(page, None)
                self.inactive.pop(page, None)
                self.inactive[page] = None

    def dequeue(self, page: Page, at: At) -> None:
        if self._queues:
            with self.machine.service("queue", at, page=page, queue="none"):
                self.active.pop(page, None)
                self.inactive.pop(page, None)

    def pageout(self, count: int, at: At) -> None:
        """So many pages more, or if negative less, are being paged out."""
        with self.machine.service("pageout", at, count=count):
            self.paging += count
            self.machine.kassert(self.paging >= 0, at, "uvm_pageout_done")
