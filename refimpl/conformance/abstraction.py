"""What the real state is in the model: the value of every variable that can be told.

A value is None where nothing corresponds to it at that moment: the fields of a page that is
free, of a buffer before it is submitted.  What is not here at all is in `UNSEEN`, with the
reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ...checker.lang import ir
from ..buf import BO_DONE, Buf
from ..image import HOLE
from ..kva import Window
from ..pages import Entry, Marker, Page
from ..sync import Lwp, Mutex, RwLock
from ..trans import EXCLUSIVE, NORMAL, SUSPENDED, SUSPENDING
from .labels import TRANSACTIONS
from .world import UNIT, World

Value = int | None
View = dict[str, list[Value]]

UNSEEN: Final[Mapping[str, str]] = {
    "bufs.vp": "there is one vnode",
    "bufs.b_async": "what a buffer says is compared once the device has it",
    "bufs.age": "as bufs.b_async",
    "bufs.b_bufsize": "as bufs.b_async",
    "bufs.b_resid": "bytes and units that were moved by pieces; compared by what completes",
    "bufs.kva": "as bufs.b_async",
    "bufs.koff": "as bufs.b_async",
    "bufs.b_iodone": "a function; compared by what it does",
    "bufs.parent": "an event says it",
    "kvas.emergency": "which window a page daemon has; compared by who gets one",
    "vnodes.dead": "set in a step without an event; compared by what the vnode answers then",
    "vnodes.reclaimer": "as vnodes.dead",
    "faults.": "budgets of the scenario",
    "results.": "what calls returned; an event says it when they do",
}
_STATES: Final = {NORMAL: 0, SUSPENDING: 1, SUSPENDED: 2}
_DEVICE: Final = {"": 0, "queued": 1, "moved": 2}


@dataclass(frozen=True)
class Difference:
    """One element of a variable that is not what the model has."""

    name: str
    element: int
    expected: int
    seen: int
    domain: ir.Domain
    width: int

    def __str__(self) -> str:
        record, _, field = self.name.partition(".")
        place = f"{record.removesuffix('s')}{self.element // self.width}.{field}"
        if self.width > 1:
            place += f"[{self.element % self.width}]"
        return f"{place} is {_show(self.domain, self.seen)}, expected " + _show(
            self.domain, self.expected
        )


def _show(domain: ir.Domain, value: int) -> str:
    return domain.show(value) if domain.low <= value <= domain.high else str(value)


class Abstraction:
    """The states of one world, in the variables of one program."""

    def __init__(self, world: World, program: ir.Program) -> None:
        self._world = world
        self._kernel = world.fs.kernel
        self._vp = world.vp
        self._vars = {var.name: var for var in program.shared}
        self._order = [var.name for var in program.shared]
        self._indices = {thread.name: thread.index for thread in program.threads}
        self._nobody = len(program.threads)
        given = program.parameters
        self._pages = given["NPAGES"]
        self._page = 1 << given["PAGE_SHIFT"]

    # What a caller wants.

    def differences(self, shared: Iterable[tuple[int, ...]]) -> list[Difference]:
        """Where the real state is not the model's, given as values of its shared variables."""
        seen = self.observe()
        found = []
        for name, expected in zip(self._order, shared, strict=True):
            var = self._vars[name]
            if var.ghost:
                continue
            for element, (value, wanted) in enumerate(
                zip(seen.get(name, ()), expected, strict=False)
            ):
                if value is not None and value != wanted:
                    one = Difference(name, element, wanted, value, var.domain, var.width)
                    found.append(one)
        return found

    def observe(self) -> View:
        """Every variable that can be told now.  No thread of the world may be running."""
        view: View = {}
        self._observe_threads(view)
        self._observe_pages(view)
        self._observe_vnode(view)
        self._observe_transfers(view)
        self._observe_disk(view)
        return {name: values for name, values in view.items() if name in self._vars}

    def missing(self) -> list[str]:
        """Variables of the program that are neither observed nor excused."""
        seen = self.observe()
        return [
            name
            for name, var in self._vars.items()
            if not var.ghost
            and name not in seen
            and not any(name == one or name.startswith(one) for one in UNSEEN)
        ]

    # Threads and locks.

    def _lwp(self, lwp: Lwp | None) -> int:
        return self._nobody if lwp is None else self._indices.get(lwp.name, self._nobody)

    def _set(self, lwps: Iterable[Lwp]) -> int:
        return sum(1 << self._indices[lwp.name] for lwp in lwps)

    def _mutex(self, view: View, name: str, lock: Mutex) -> None:
        view[f"{name}.owner"] = [self._lwp(lock.owner)]

    def _rwlock(self, view: View, name: str, lock: RwLock) -> None:
        view[f"{name}.writer"] = [self._lwp(lock.writer)]
        view[f"{name}.readers"] = [self._set(lock.readers)]
        view[f"{name}.waiting_readers"] = [self._set(lock.wait_readers)]
        view[f"{name}.waiting_writers"] = [self._set(lock.wait_writers)]

    def _observe_threads(self, view: View) -> None:
        kernel = self._kernel
        asleep: list[Value] = [0] * self._nobody
        for chan, lwps in kernel.machine._sleepers.items():
            channel = 0
            if isinstance(chan, Page):
                channel = 1 + chan.number
            elif chan is self._vp.v_cv:
                channel = 1 + self._pages
            for lwp in lwps:
                if channel and lwp.name in self._indices:
                    asleep[self._indices[lwp.name]] = channel
        view["threads.wchan"] = asleep
        counts: list[Value] = [0] * self._nobody
        types: list[Value] = [None] * self._nobody  # of who is inside none it means nothing
        for lwp in kernel.machine.lwps:
            if lwp.name in self._indices:
                # Who suspends is inside from before the state changes until after it is normal.
                enters = lwp.trans_type == EXCLUSIVE and kernel.fstrans.state == NORMAL
                counts[self._indices[lwp.name]] = None if enters else lwp.trans
                if lwp.trans and lwp.trans_type != EXCLUSIVE:
                    types[self._indices[lwp.name]] = TRANSACTIONS[lwp.trans_type]
        view["perthread.fstrans_count"] = counts
        view["perthread.fstrans_type"] = types
        self._mutex(view, "uvm.pageqlock", kernel.uvm.pageqlock)
        view["mount.fstrans"] = [_STATES[kernel.fstrans.state]]
        if kernel.wapbl is not None:
            self._rwlock(view, "mount.wl_rwlock", kernel.wapbl.wl_rwlock)
            view["mount.journal_pending"] = [kernel.wapbl.journal_pending.value]
        else:
            for part in ("writer", "readers", "waiting_readers", "waiting_writers"):
                view[f"mount.wl_rwlock.{part}"] = [None]
            view["mount.journal_pending"] = [None]

    # Pages.

    def _tokens(self, data: bytes | bytearray | memoryview) -> list[Value]:
        """One for each unit; -1 for bytes that nobody in the scenario stored."""
        found: list[Value] = []
        for start in range(0, len(data), UNIT):
            unit = bytes(data[start : start + UNIT])
            found.append(unit[0] if unit == unit[:1] * UNIT else -1)
        return found

    def _observe_pages(self, view: View) -> None:
        uvm, world = self._kernel.uvm, self._world
        width = len(world.pmaps)
        settled = self._vp.interlock.owner is None
        # Steps of the queues have no counterpart: they are compared when their lock is free.
        idle = settled and uvm.pageqlock.owner is None
        view["uvm.paging"] = [uvm.paging if idle else None]
        for page in uvm.pages:
            live = page.uobject is not None
            fields: dict[str, list[Value]] = {
                "uobject": [0],
                "offset": [page.offset // UNIT],
                "flags": [page.flags.value],
                "modified": [int(page.modified)],
                "wired": [int(page.wire_count > 0) if settled else None],
                "queued": [int(page in uvm.active or page in uvm.inactive) if idle else None],
                "pte": self._rights(page, width),
                "data": self._tokens(page.data),
            }
            view.setdefault("pages.live", []).append(int(live))
            for field, values in fields.items():
                view.setdefault(f"pages.{field}", []).extend(
                    values if live else [None] * len(values)
                )

    def _rights(self, page: Page, width: int) -> list[Value]:
        """The entry of each mapping; the windows together are one of them."""
        rights: list[Value] = [0] * width
        for (pmap, _number), pte in page.ptes.items():
            known = [m for m, one in enumerate(self._world.pmaps) if one is pmap]
            m = known[0] if known else self._world.window
            rights[m] = max(rights[m] or 0, 2 if pte.writable else 1)
        return rights

    # The vnode.

    def _entry(self, entry: Entry | None) -> int:
        """A member of the list of pages: a page's number, or a marker behind NULL and special."""
        if isinstance(entry, Page):
            return entry.number
        if isinstance(entry, Marker):
            return self._pages + 2 + 2 * self._indices[entry.lwp.name] + entry.number
        return self._pages

    def _observe_vnode(self, view: View) -> None:
        vp = self._vp
        self._mutex(view, "vnodes.interlock", vp.interlock)
        self._rwlock(view, "vnodes.v_lock", vp.v_lock)
        self._rwlock(view, "vnodes.g_glock", vp.g_glock)
        for name in ("v_size", "v_writesize", "i_size"):
            view[f"vnodes.{name}"] = [getattr(vp, name).value // UNIT]
        view["vnodes.v_numoutput"] = [vp.v_numoutput.value]
        view["vnodes.v_iflag"] = [vp.v_iflag.value & 7]
        view["vnodes.v_mapped"] = [vp.v_vflag.value & 1]
        view["vnodes.dirtyblk"] = [vp.dirtyblkhd.value]
        view["vnodes.uo_npages"] = [vp.uobj.npages.value]
        view["vnodes.g_dirtygen"] = [vp.g_dirtygen.value]
        length = self._vars["vnodes.memq"].length
        members: list[Value] = [self._entry(entry) for entry in vp.uobj.memq]
        view["vnodes.memq"] = members + [self._pages] * (length - len(members))
        size = self._page * UNIT
        tree = self._vars["vnodes.tree"].length
        pages = [vp.uobj.tree.get(number * size) for number in range(tree)]
        view["vnodes.tree"] = [self._entry(page) for page in pages]
        table = vp.inode.map
        view["vnodes.bmap"] = [
            table[lbn] if lbn < len(table) and table[lbn] != HOLE else -1
            for lbn in range(self._vars["vnodes.bmap"].length)
        ]

    # Buffers, windows, the disk.

    def _observe_transfers(self, view: View) -> None:
        kernel = self._kernel
        bufs = {bp.number: bp for bp in kernel.bufs.live}
        for number in range(self._vars["bufs.live"].length):
            bp = bufs.get(number)
            view.setdefault("bufs.live", []).append(int(bp is not None))
            for field, value in self._buf(bp).items():
                view.setdefault(f"bufs.{field}", []).append(value)
        windows = {one.number: one for one in kernel.kva.windows}
        for number in range(self._vars["kvas.live"].length):
            window = windows.get(number)
            view.setdefault("kvas.live", []).append(int(window is not None))
            view.setdefault("kvas.npages", []).append(
                len(window.pages) if window is not None else None
            )
            view.setdefault("kvas.map", []).extend(self._mapped(window))
        queue: list[Value] = [bp.number for bp in kernel.aiodone.queue]
        length = self._vars["uvm.aiodone"].length
        view["uvm.aiodone"] = queue + [length] * (length - len(queue))

    def _buf(self, bp: Buf | None) -> dict[str, Value]:
        fields: dict[str, Value] = dict.fromkeys(
            ("dev", "done", "dir", "b_bcount", "b_blkno", "b_error")
        )
        if bp is not None:
            fields["dev"] = _DEVICE[bp.device]
            if bp.private is None:
                fields["done"] = bp.oflags & BO_DONE
            if bp.device:
                sb = self._kernel.fs.sb
                fields["dir"] = int(not bp.is_read)
                fields["b_bcount"] = bp.bcount // UNIT
                fields["b_blkno"] = bp.blkno - sb.data // UNIT
                fields["b_error"] = bp.error
        return fields

    def _mapped(self, window: Window | None) -> list[Value]:
        width = self._vars["kvas.map"].width
        if window is None:
            return [None] * width
        pages: list[Value] = [page.number for page in window.pages]
        return pages + [self._pages] * (width - len(pages))

    def _observe_disk(self, view: View) -> None:
        fs = self._kernel.fs
        mine = {block for block in self._vp.inode.map if block != HOLE}
        none = self._vars["blocks.vp"].domain.high
        for block in range(self._vars["blocks.vp"].length):
            owned = block in mine
            view.setdefault("blocks.vp", []).append(0 if owned else none)
            data = self._kernel.dev.peek(fs.sb.data + (block << fs.bshift), fs.bsize)
            view.setdefault("blocks.data", []).extend(self._tokens(data))
