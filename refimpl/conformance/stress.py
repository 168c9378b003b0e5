"""Random mixes of calls on real threads: geometries, programs, and the model they run through."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from .callers import Call, Program
from .runs import Bench, Repeated

ROLES: Final = ("mapper", "writer", "cutter", "syncing", "mapper", "writer")
_REVOKING: Final = ("mapper", "revoker", "mapper", "mapper", "mapper", "mapper")


@dataclass(frozen=True, slots=True)
class Geometry:
    """A file, a mount and its faults; one compilation serves every run on it.

    ``crossing``: at multiples of so many units a writer starts output; 0 for never.
    ``wired``: how many pages of the file may be wired.
    """

    about: str
    parameters: Mapping[str, int]
    setup: str
    roles: tuple[str, ...] = ROLES
    crossing: int = 0
    wired: int = 8

    def scenario(self, threads: int) -> str:
        """The scenario of so many users, as TOML: one less where it would have too many threads."""
        daemon = bool(self.parameters.get("PAGEDAEMON"))
        threads = min(threads, len(self.roles) - daemon)
        parameters = {**self.parameters, "SCANS": min(8, threads + 1 + daemon)}
        lines = [
            "schema = 1",
            'name = "stress"',
            f'question = "{self.about}"',
            'exercises = ["everything"]',
            'daemons = ["disk", "aiodone"]',
            "[parameters]",
            *(f"{name} = {value}" for name, value in parameters.items()),
            "[setup]",
            'call = "file"',
            self.setup,
        ]
        slots = iter(range(self.parameters["NSYNCS"]))
        for number in range(threads):
            role = self.roles[number]
            slot = next(slots, -1) if role != "cutter" else -1
            arguments = ["vp = 0"]
            if role in ("writer", "cutter"):
                arguments.append("window = 1")
            if role == "writer":
                arguments.append(f"crossing = {self.crossing}")
            if role != "cutter":
                arguments.append(f"slot = {slot}")
            call = f'{{ call = "{role}", {", ".join(arguments)} }}'
            lines += ["[[thread]]", f'name = "{role}{number}"', f"program = [{call}]"]
        if daemon:
            lines += ["[[thread]]", 'name = "pagedaemon"']
            lines.append('program = [{ call = "page_daemon" }]')
        return "\n".join(lines) + "\n"


_COMMON: Final = {
    "NMAPPINGS": 2, "NBUFS": 8, "NKVA": 8, "MAX_STORES": 6, "NSYNCS": 3, "FAULT_SLOTS": 3,
}  # fmt: skip

GEOMETRIES: Final[Mapping[str, Geometry]] = {
    "page": Geometry(
        "blocks as large as pages, a hole, read and write errors",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 5, "FS_BSHIFT": 1},
        "size = 5\ndisk = [0, 1, -1]\ncache = [0, 3, 0]\nlisted = true\nmapped = true\n"
        "wrmap = true\nread_error = 3\nwrite_error = 3",
    ),
    "half": Geometry(
        "two blocks in a page, holes, no space and no memory now and then",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 7, "FS_BSHIFT": 0,
         "TREE_PENALTY": 1},
        "size = 6\ndisk = [0, -1, 2, 1, -1, 3]\ncache = [0, 1, 0]\nmapped = true\n"
        "no_space = 3\nno_memory = 3",
    ),
    "two": Geometry(
        "blocks of two pages, arrays from the heap, users whose memory faults",
        {**_COMMON, "NPAGES": 4, "FILE_PAGES": 4, "NBLOCKS": 4, "FS_BSHIFT": 2,
         "UBC_MAX_PAGES": 1},
        "size = 7\ndisk = [0, -1]\ncache = [0, 0, 0, 0]\nmapped = true\nno_array = 3\n"
        "bmap_error = 3\nuser_fault = 3",
    ),
    "journal": Geometry(
        "a journal, which fails or is full now and then, and short transfers",
        {**_COMMON, "NPAGES": 2, "FILE_PAGES": 2, "NBLOCKS": 3, "FS_BSHIFT": 1, "WAPBL": 1},
        "size = 3\ndisk = [0, -1]\ncache = [1, 0]\nmapped = true\nwrmap = true\n"
        "journal_error = 3\njournal_full = 3\nshort_transfer = 3",
    ),
    "daemon": Geometry(
        "fewer pages than the file has, and the page daemon",
        {**_COMMON, "PAGE_SHIFT": 0, "NPAGES": 6, "FILE_PAGES": 8, "NBLOCKS": 8, "FS_BSHIFT": 0,
         "UBC_WINSHIFT": 1, "PAGEDAEMON": 1},
        "size = 8\ndisk = [0, 1, -1, 2, 4, -1, 3, 5]\ncache = [1, 3, 0, 0, 1, 0, 0, 0]\n"
        "listed = true\nmapped = true\nwrite_nomem = 3",
        wired=1,
    ),
    "debug": Geometry(
        "DEBUG, dirty metadata, fragments, scans that yield, output behind a writer",
        {**_COMMON, "NPAGES": 4, "FILE_PAGES": 4, "NBLOCKS": 4, "FS_BSHIFT": 2,
         "DEBUG": 1, "METADATA": 1, "FRAGMENTS": 1, "SHOULD_YIELD": 1, "NKVA": 2},
        "size = 5\ndisk = [0, -1]\ncache = [0, 1, 0, 0]\nmapped = true\nwrmap = true\n"
        "yields = 3",
        crossing=4,
    ),
    "cluster": Geometry(
        "small units, transfers and windows of four pages, clean modified bits",
        {**_COMMON, "PAGE_SHIFT": 0, "NPAGES": 6, "FILE_PAGES": 6, "NBLOCKS": 7, "FS_BSHIFT": 0,
         "MAXPHYS_PAGES": 4, "UBC_WINSHIFT": 2, "STALE_MODIFIED": 0},
        "size = 6\ndisk = [0, 1, -1, 2, 3, -1]\ncache = [0, 1, 0, 3, 0, 0]\nlisted = true\n"
        "mapped = true\nbackwards = true\nwrite_error = 2",
    ),
    "revoke": Geometry(
        "the vnode ends under those who have it mapped",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 5, "FS_BSHIFT": 1},
        "size = 5\ndisk = [0, 1, -1]\ncache = [0, 1, 0]\nmapped = true\nwrmap = true\n"
        "write_error = 2",
        _REVOKING,
    ),
}  # fmt: skip


# Programs.


class _Chance:
    """Draws a call and says what the log tells of it."""

    def __init__(self, chance: random.Random, bench: Bench, geometry: Geometry) -> None:
        given = bench.plan.parameters
        self.chance = chance
        self.page, self.pages = bench.plan.page_units, given["FILE_PAGES"]
        self.units, self.stores = self.page * self.pages, given["MAX_STORES"]
        self.slots, self.wired = given["FAULT_SLOTS"], geometry.wired * self.page
        self.told: list[str] = []

    def of(self, name: str, count: int) -> int:
        value = self.chance.randrange(count)
        self.told.append(f"{name}={value}")
        return value

    def span(self, name: str, count: int) -> tuple[int, int]:
        low = self.of(name, count)
        return low, low + 1 + self.of("more", count - low)

    def some_pages(self) -> tuple[int, int]:
        low, high = self.span("page", self.pages)
        return low * self.page, high * self.page

    def around(self, unit: int) -> dict[str, object]:
        """Neighbours that a fault looks at."""
        page = unit // self.page
        behind = self.of("behind", min(self.slots, page + 1))
        ahead = self.of("ahead", min(self.slots - behind, self.pages - page))
        return {"unit": unit, "behind": behind, "ahead": ahead}

    def entry(self) -> str:
        return "WRITE" if self.of("writable", 2) else "READ"


_Drawn = tuple[str, dict[str, object]]


def _mapper(draw: _Chance, op: int) -> _Drawn:
    if op == 1:
        around = draw.around(draw.of("unit", draw.units))
        return "mapped_load", {**around, "entry": draw.entry()}
    if op == 2:
        around = draw.around(draw.of("unit", draw.units))
        return "mapped_store", {**around, "store": draw.of("store", draw.stores)}
    if op == 3:
        unit = draw.of("unit", min(draw.wired, draw.units))
        return "mlock", {"unit": unit, "entry": draw.entry()}
    if op == 4:
        low, high = draw.some_pages()
        sync, invalidate = draw.of("sync", 2), draw.of("invalidate", 2)
        return "msync", {"low": low, "high": high, "sync": sync, "invalidate": invalidate}
    page = draw.of("page", draw.pages) * draw.page
    return "flush", {"low": page, "high": page + draw.page, "flags": "DEACTIVATE"}


def _writer(draw: _Chance, op: int) -> _Drawn:
    if op == 3:
        return "readahead", {"off": draw.of("page", draw.pages) * draw.page}
    low, high = draw.span("off", draw.units)
    given: dict[str, object] = {"off": low, "length": high - low, "window": 1}
    if op == 1:
        return "read", given
    store = draw.of("store", draw.stores)
    return "write", {**given, "store": store, "sync": bool(draw.of("sync", 2))}


def _cutter(draw: _Chance, op: int) -> _Drawn:
    return "truncate", {"length": draw.of("length", draw.units + 1), "window": 1}


def _syncing(draw: _Chance, op: int) -> _Drawn:
    if op == 2:
        low, high = draw.some_pages()
        return "fsync_range", {"low": low, "high": high}
    return {1: "fsync", 3: "syncer", 4: "suspend", 5: "journal_flusher"}[op], {}


def _revoker(draw: _Chance, op: int) -> _Drawn:
    return {1: "fsync", 2: "reclaim"}[op], {}


# For each role what draws a call, and which operations it draws from.
_DRAW: Final[Mapping[str, tuple[Callable[[_Chance, int], _Drawn], tuple[int, ...]]]] = {
    "mapper": (_mapper, (1, 1, 2, 2, 3, 4, 4, 5)),
    "writer": (_writer, (1, 2, 2, 3)),
    "cutter": (_cutter, (1,)),
    "syncing": (_syncing, (1, 2, 3, 4, 5)),
    "revoker": (_revoker, (1,)),
}


def programs(
    bench: Bench, seed: int, calls: int, geometry: Geometry
) -> dict[str, Program | Repeated]:
    """So many calls for each thread, and its end."""
    end = Call("end", {}, "operation=0")
    journal = bool(bench.plan.parameters["WAPBL"])
    made: dict[str, Program | Repeated] = {}
    for thread in bench.scenario.threads:
        if thread.daemon:
            continue
        role = thread.name.rstrip("0123456789")
        if role == "pagedaemon":
            made[thread.name] = Repeated(Call("pagedaemon", {}, "operation=1"), (end,))
            continue
        draw_call, operations = _DRAW[role]
        if role == "syncing" and not journal:
            operations = operations[:-1]
        chance = random.Random(f"{seed} {thread.name}")
        program = []
        for number in range(calls):
            draw = _Chance(chance, bench, geometry)
            op = chance.choice(operations)
            if role == "revoker" and number == calls - 1:
                op = 2
            draw.told = [f"operation={op}"]
            name, arguments = draw_call(draw, op)
            program.append(Call(name, arguments, ",".join(draw.told)))
        made[thread.name] = (*program, end)
    return made
