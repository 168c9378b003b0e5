"""A mount in the state of a scenario: its file, pages, mappings and faults.

One unit of the model is one sector.  What a unit holds is a token: a sector filled with one
byte value, the token's number in the model (0 zeros, 1 somebody else's, 2 what the file held
at first, 3 what an initially dirty page holds, then one for each store).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop
from pathlib import Path
from typing import Any, Final

from .. import ops
from ..config import Config, Fixes
from ..device import SECTOR
from ..ffs import Ffs
from ..file import File
from ..hook import At, Hook
from ..image import HOLE, format_image
from ..kernel import Kernel
from ..mount import FileSystem, mount
from ..pages import PG_CLEAN, PG_RDONLY, Page
from ..pmap import PROT_READ, PROT_WRITE, Pmap
from ..vm import VmMap
from ..vnode import Vnode

UNIT: Final = SECTOR
ZERO, FOREIGN, OLD, UNSAVED, FIRST_STORE = range(5)
WINDOWS: Final = 64  # as many windows as there may be, so that none is given up

# Budgets of faults: the model's name, and what the reference implementation calls it.
BUDGETS: Final[Mapping[str, str]] = {
    "read_error": "read",
    "write_error": "write",
    "short_transfer": "short",
    "write_nomem": "nomem",
    "bmap_error": "bmap",
    "no_space": "space",
    "no_memory": "page",
    "no_array": "heap",
    "user_fault": "user",
    "journal_error": "journal",
    "journal_full": "full",
    "yields": "yield",
}
_FLAGS: Final = {"listed": 1, "wrmap": 2, "wrmapdirty": 4}


class WorldFs(Ffs):
    """The file system without inodes on disk, which the model does not have.

    A block that a file has lost can be had again at once, and faults of the device meet the
    file's data only.
    """

    def __init__(self, old: Ffs, kernel: Kernel) -> None:
        super().__init__(kernel, old.sb)
        self.inodes, self.free = old.inodes, old.free

    def free_blocks(self, vp: Vnode, size: int, at: At) -> None:
        super().free_blocks(vp, size, at)
        with self._kernel.machine.guard:
            for block in self._freed.pop(vp, []):
                insort(self.free, block)

    def update(self, vp: Vnode, at: At) -> int:
        vp.inode_dirty = False
        return 0

    def commit(self, vnodes: list[Vnode]) -> int:
        return 0


class Unsupported(ValueError):
    """The reference implementation has nothing that corresponds to this scenario."""


def pattern(token: int) -> bytes:
    """The sector that stands for a token."""
    return bytes([token]) * UNIT


def tokens(data: bytes | bytearray | memoryview) -> str:
    """The tokens of some sectors, "2,2,0"; "?" for one that is no token."""
    names = []
    for start in range(0, len(data), UNIT):
        unit = bytes(data[start : start + UNIT])
        names.append(str(unit[0]) if unit == unit[:1] * UNIT else "?")
    return ",".join(names)


@dataclass(frozen=True)
class Plan:
    """What a world is made from: the compiled scenario's parameters and its setup.

    ``crossing``: see the model's `write`; the same for all of a scenario's writers.
    """

    parameters: Mapping[str, int]
    setup: Mapping[str, Any]
    fixes: tuple[str, ...]
    crossing: int = 0

    def _crossing(self) -> int | None:
        """The shift of the bytes at whose multiples a writer starts output; None for never."""
        return (self.crossing * UNIT).bit_length() - 1 if self.crossing else None

    @property
    def page_units(self) -> int:
        return 1 << self.parameters["PAGE_SHIFT"]

    @property
    def block_units(self) -> int:
        return 1 << self.parameters["FS_BSHIFT"]

    def config(self, hook: Hook | None, patience: float | None, seed: int) -> Config:
        """The mount's knobs."""
        given = self.parameters
        if given.get("DEV_BSHIFT"):
            raise Unsupported("sectors of several units are not implemented")
        page = self.page_units * UNIT
        window = 1 << given["UBC_WINSHIFT"]
        return Config(
            fixes=Fixes(**{name.replace("-", "_"): True for name in self.fixes}),
            page_size=page,
            memory_pages=given["NPAGES"],
            maxphys=given["MAXPHYS_PAGES"] * page,
            window_pages=window // self.page_units,
            windows=WINDOWS,
            array_on_stack=given["UBC_MAX_PAGES"],
            pager_pages=1 << 20,
            pager_windows=given["NKVA"],
            small=True,
            tree_penalty=given["TREE_PENALTY"],
            io_threads=max(1, given["NBUFS"]),
            io_seed=seed,
            syncer_period=0,
            pagedaemon=bool(given["PAGEDAEMON"]),
            buffers=given["NBUFS"],
            readahead=False,
            copy_unit=UNIT,
            flush_shift=self._crossing(),
            page_junk=pattern(FOREIGN),
            stale_modified=bool(given["STALE_MODIFIED"]),
            first_fit=True,
            fragments=bool(given["FRAGMENTS"]),
            block_junk=pattern(FOREIGN),
            metadata=bool(given["METADATA"]),
            journal=bool(given["WAPBL"]),
            fsync_reports=False,
            zero_past_end=False,
            durable=False,
            debug=bool(given["DEBUG"]),
            patience=patience,
            hook=hook,
        )


@dataclass
class World:
    """The mount, and what the scenario's threads use of it."""

    plan: Plan
    fs: FileSystem
    vp: Vnode
    file: File
    path: Path
    pmaps: list[Pmap]
    first_pages: tuple[str, ...] = ()  # resident at the start, in the order of their numbers
    window: int = -1  # the mapping that stands for the windows, -1 for none
    random: Any = field(default=None, repr=False)

    def mapping(self, number: int, writable: bool = True) -> VmMap:
        """A view of the file through one of the scenario's mappings."""
        units = self.plan.parameters["FILE_PAGES"] * self.plan.page_units
        prot = PROT_READ | PROT_WRITE if writable else PROT_READ
        view = VmMap(self.vp, 0, units * UNIT, prot, private=False)
        view.pmap = self.pmaps[number]
        view.back = view.ahead = 0
        return view

    def close(self) -> None:
        """Ends the mount; what the scenario left is not written."""
        self.fs.kernel.machine.hook = None
        try:
            self.fs.crash()
        except OSError:
            pass

    def disk(self) -> bytes:
        """The data blocks of the image."""
        sb = self.fs.kernel.fs.sb
        with open(self.path, "rb") as image:
            image.seek(sb.data)
            return image.read(sb.blocks * sb.block_size)


def build(
    plan: Plan,
    path: Path,
    window: int = -1,
    hook: Callable[[], Hook] | None = None,
    patience: float | None = 20.0,
    seed: int = 0,
) -> World:
    """A world on a new image at ``path``.  ``hook`` is made, and set, when all is in place."""
    given = plan.parameters
    block = plan.block_units * UNIT
    limit = given["FILE_PAGES"] * plan.page_units * UNIT
    format_image(path, given["NBLOCKS"] * block, block, files=2, max_file_size=limit)
    fs = mount(path, plan.config(None, patience, seed))
    fs.kernel.pagedaemon.stop()  # the scenario says when it looks at which page
    file = fs.open("file", "w+")
    kernel = fs.kernel
    vp = next(iter(kernel.vnodes.values()))
    kernel.fs = WorldFs(kernel.fs, kernel)
    if kernel.wapbl is not None:
        kernel.wapbl._commit = kernel.fs.commit
    pmaps = [Pmap(fs.kernel.pmaps, f"mapping{number}") for number in range(given["NMAPPINGS"])]
    world = World(plan, fs, vp, file, path, pmaps, window=window)
    _contents(world)
    _flags(world)
    if kernel.wapbl is not None:
        kernel.wapbl.journal_pending.value = int(bool(plan.setup.get("journal_pending")))
    kernel.machine.contents = tokens
    if hook is not None:
        kernel.machine.hook = hook()
    for name, kind in BUDGETS.items():
        count = int(plan.setup.get(name, 0))
        if count:
            errno = 0 if kind == "short" else None
            kernel.faults.arm(kind, count=count, errno=errno, maybe=True)
    return world


def _contents(world: World) -> None:
    """The file's size, its blocks, and the pages of it that are in memory."""
    plan, vp, kernel = world.plan, world.vp, world.fs.kernel
    setup, given = plan.setup, plan.parameters
    size: int = setup["size"]
    for word in (vp.v_size, vp.v_writesize, vp.i_size):
        word.value = size * UNIT
    vp.inode.size = size * UNIT
    disk: list[int] = list(setup["disk"])
    vp.inode.map[:] = [HOLE if block < 0 else block for block in disk]
    kernel.fs.free = [block for block in range(given["NBLOCKS"]) if block not in disk]
    units = [FOREIGN] * (given["NBLOCKS"] * plan.block_units)
    for lbn, number in enumerate(disk):
        for i in range(plan.block_units if number >= 0 else 0):
            inside = lbn * plan.block_units + i < size
            units[number * plan.block_units + i] = OLD if inside else ZERO
    sb = kernel.fs.sb
    with open(world.path, "r+b") as image:
        image.seek(sb.data)
        image.write(b"".join(pattern(token) for token in units))
    numbers = list(range(given["FILE_PAGES"]))
    names = []
    for number in reversed(numbers) if setup.get("backwards") else numbers:
        cache: int = setup["cache"][number]
        if cache & 1:
            names.append(str(_page(world, number, cache, units)))
    world.first_pages = tuple(names)


def _page(world: World, number: int, cache: int, disk: list[int]) -> Page:
    plan, vp, uvm = world.plan, world.vp, world.fs.kernel.uvm
    size: int = plan.setup["size"]
    page = uvm.pages[heappop(uvm.free)]
    page.uobject = vp.uobj
    page.offset = number * plan.page_units * UNIT
    page.modified = bool(cache & 8)
    page.flags.value = (0 if cache & 2 else PG_CLEAN) | (PG_RDONLY if cache & 4 else 0)
    held = []
    for i in range(plan.page_units):
        unit = number * plan.page_units + i
        lbn, inside = divmod(unit, plan.block_units)
        block = plan.setup["disk"][lbn]
        token = ZERO if block < 0 else disk[block * plan.block_units + inside]
        held.append(UNSAVED if cache & 10 and unit < size else token)
    page.data[:] = b"".join(pattern(token) for token in held)
    vp.uobj.tree[page.offset] = page
    vp.uobj.memq.insert_tail(page)
    vp.uobj.npages.value += 1
    if plan.parameters["PAGEDAEMON"]:
        uvm.inactive[page] = None
    for m, pmap in enumerate(world.pmaps):
        rights = cache >> (4 + 2 * m) & 3
        if rights:
            target = pmap
            if m == world.window:
                ubc = world.fs.kernel.ubc
                window = ubc._enter(vp, page.offset)
                ubc._leave(window)
                target = window.pmap
            target.enter(number, page, bool(rights & 2), "setup")
    return page


def _flags(world: World) -> None:
    setup, vp = world.plan.setup, world.vp
    vp.v_iflag.value = sum(bit for name, bit in _FLAGS.items() if setup.get(name))
    vp.v_vflag.value = int(bool(setup.get("mapped")))
    vp.dirtyblkhd.value = int(bool(setup.get("dirtyblk")))
    # The inode has always changed: fsync brings it to the journal each time.
    vp.inode_dirty = bool(world.plan.parameters["WAPBL"])


__all__ = ["Plan", "Unsupported", "World", "build", "ops", "pattern", "tokens"]
