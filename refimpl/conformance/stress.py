"""Random mixes of calls on real threads: geometries, programs, and the model they run through."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ...checker.explore.prepare import prepare
from ...checker.lang import ir, source
from ...checker.lang.scenario import compile_scenario, parse
from .callers import Call, Program
from .runs import Bench

ROLES: Final = ("mapper", "writer", "cutter", "syncing", "mapper", "writer")
WORKLOAD: Final = "refimpl.conformance.workload"
# A long run makes a vnode dirty more often than the model's counters allow for.
_COUNTER: Final = (-2, 29)
_LARGE: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Geometry:
    """A file, a mount and its faults; one compilation serves every run on it."""

    about: str
    parameters: Mapping[str, int]
    setup: str
    roles: tuple[str, ...] = ROLES
    suspends: bool = False

    def scenario(self, threads: int) -> str:
        """The scenario of so many users, as TOML."""
        lines = [
            "schema = 1",
            'name = "stress"',
            f'question = "{self.about}"',
            'exercises = ["everything"]',
            'daemons = ["disk", "aiodone"]',
            "[parameters]",
            *(f"{name} = {value}" for name, value in self.parameters.items()),
            "[setup]",
            'call = "file"',
            self.setup,
        ]
        for number in range(threads):
            role = self.roles[number]
            slot = number if number < self.parameters["NSYNCS"] else -1
            arguments = ["vp = 0"]
            if role in ("writer", "cutter"):
                arguments.append("window = 1")
            if role != "cutter":
                arguments.append(f"slot = {slot}")
            call = f'{{ call = "{role}", {", ".join(arguments)} }}'
            lines += ["[[thread]]", f'name = "{role}{number}"', f"program = [{call}]"]
        if self.parameters.get("PAGEDAEMON"):
            lines += ["[[thread]]", 'name = "pagedaemon"']
            lines.append('program = [{ call = "page_daemon" }]')
        return "\n".join(lines) + "\n"


# Whoever suspends the mount wants the vnode lock, and a writer that has it waits for the mount:
# model and implementation hang alike.  So only users without that lock run beside a suspension.
_SUSPENDING: Final = ("mapper", "syncing", "mapper", "syncing", "mapper", "mapper")

_COMMON: Final = {"NMAPPINGS": 2, "NBUFS": 8, "NKVA": 8, "MAX_STORES": 6, "NSYNCS": 3}

GEOMETRIES: Final[Mapping[str, Geometry]] = {
    "page": Geometry(
        "blocks as large as pages, a hole, read and write errors",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 5, "FS_BSHIFT": 1},
        "size = 5\ndisk = [0, 1, -1]\ncache = [0, 3, 0]\nlisted = true\nmapped = true\n"
        "wrmap = true\nread_error = 2\nwrite_error = 2",
    ),
    "half": Geometry(
        "two blocks in a page, holes, no space and no memory now and then",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 7, "FS_BSHIFT": 0},
        "size = 6\ndisk = [0, -1, 2, 1, -1, 3]\ncache = [0, 1, 0]\nmapped = true\n"
        "no_space = 2\nno_memory = 2",
    ),
    "two": Geometry(
        "blocks of two pages, arrays from the heap",
        {**_COMMON, "NPAGES": 4, "FILE_PAGES": 4, "NBLOCKS": 4, "FS_BSHIFT": 2,
         "UBC_MAX_PAGES": 1},
        "size = 7\ndisk = [0, -1]\ncache = [0, 0, 0, 0]\nmapped = true\nno_array = 2\n"
        "bmap_error = 1",
    ),
    "journal": Geometry(
        "a journal, which fails or is full now and then",
        {**_COMMON, "NPAGES": 2, "FILE_PAGES": 2, "NBLOCKS": 3, "FS_BSHIFT": 1, "WAPBL": 1},
        "size = 3\ndisk = [0, -1]\ncache = [1, 0]\nmapped = true\nwrmap = true\n"
        "journal_error = 2\njournal_full = 2",
    ),
    "daemon": Geometry(
        "fewer pages than the file has, and the page daemon",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 4, "NBLOCKS": 6, "FS_BSHIFT": 1,
         "PAGEDAEMON": 1},
        "size = 8\ndisk = [0, 1, -1, 2]\ncache = [1, 3, 0, 0]\nlisted = true\nmapped = true",
    ),
    "suspend": Geometry(
        "suspensions of the mount, beside users of mappings and fsync",
        {**_COMMON, "NPAGES": 3, "FILE_PAGES": 3, "NBLOCKS": 5, "FS_BSHIFT": 1},
        "size = 5\ndisk = [0, 1, -1]\ncache = [0, 1, 0]\nmapped = true\nwrmap = true",
        _SUSPENDING,
        True,
    ),
}  # fmt: skip


def sources(root: Path, package: str) -> source.Source:
    """The model's sources and the workload.

    ``root`` is the model's folder, ``package`` the dotted name of the package above it.
    """
    texts: dict[str, tuple[str, str]] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if parts[-1] != "__init__":
            texts[".".join((package, *parts))] = (str(path), path.read_text())
    path = Path(__file__).with_name("workload.py")
    texts[f"{package}.{WORKLOAD}"] = ("refimpl/conformance/workload.py", path.read_text())
    return source.load(source.with_primitives(texts))


def compiled(
    sources: source.Source, text: str, variant: str, fixes: frozenset[str]
) -> Bench:
    """A geometry's scenario, ready to validate logs against."""
    scenario = parse(text, "stress")
    program = compile_scenario(sources, scenario, fixes=fixes, variant=variant)
    return Bench(scenario, prepare(_widened(program)))


def _widened(program: ir.Program) -> ir.Program:
    """Counters of dirtying that a long run does not exhaust."""

    def wide(domain: ir.Domain) -> ir.Domain:
        if domain.kind == "int" and (domain.low, domain.high) == _COUNTER:
            return replace(domain, high=_LARGE)
        return domain

    shared = [
        replace(var, domain=wide(var.domain)) if var.name == "vnodes.g_dirtygen" else var
        for var in program.shared
    ]
    threads = [
        replace(thread, locals=[replace(var, domain=wide(var.domain)) for var in thread.locals])
        for thread in program.threads
    ]
    return replace(program, shared=shared, threads=threads)


# Programs.


class _Chance:
    """Draws a call and says what the log tells of it."""

    def __init__(self, chance: random.Random, units: int, page: int, stores: int) -> None:
        self.chance = chance
        self.units, self.page, self.stores = units, page, stores
        self.told: list[str] = []

    def of(self, name: str, count: int) -> int:
        value = self.chance.randrange(count)
        self.told.append(f"{name}={value}")
        return value

    def span(self, name: str, count: int) -> tuple[int, int]:
        low = self.of(name, count)
        return low, low + 1 + self.of("more", count - low)

    def pages(self) -> tuple[int, int]:
        low, high = self.span("page", self.units // self.page)
        return low * self.page, high * self.page


def _mapper(draw: _Chance, op: int) -> tuple[str, dict[str, object]]:
    if op in (1, 2):
        unit = draw.of("unit", draw.units)
        return "mapped_load", {"unit": unit, "entry": "READ" if op == 1 else "WRITE"}
    if op == 3:
        unit, store = draw.of("unit", draw.units), draw.of("store", draw.stores)
        return "mapped_store", {"unit": unit, "store": store}
    if op == 4:
        low, high = draw.pages()
        return "msync", {"low": low, "high": high}
    page = draw.of("page", draw.units // draw.page) * draw.page
    return "flush", {"low": page, "high": page + draw.page, "flags": "DEACTIVATE"}


def _writer(draw: _Chance, op: int) -> tuple[str, dict[str, object]]:
    if op == 3:
        page = draw.of("page", draw.units // draw.page) * draw.page
        return "readahead", {"off": page}
    low, high = draw.span("off", draw.units)
    given: dict[str, object] = {"off": low, "length": high - low, "window": 1}
    if op == 1:
        return "read", given
    return "write", {**given, "store": draw.of("store", draw.stores)}


def _cutter(draw: _Chance, op: int) -> tuple[str, dict[str, object]]:
    return "truncate", {"length": draw.of("length", draw.units + 1), "window": 1}


def _syncing(draw: _Chance, op: int) -> tuple[str, dict[str, object]]:
    if op == 2:
        low, high = draw.pages()
        return "fsync_range", {"low": low, "high": high}
    return {1: "fsync", 3: "syncer", 4: "suspend", 5: "journal_flusher"}[op], {}


def _page_daemon(draw: _Chance, op: int) -> tuple[str, dict[str, object]]:
    return "pagedaemon", {}


_DRAW: Final[Mapping[str, tuple[Callable[[_Chance, int], tuple[str, dict[str, object]]], int]]] = {
    "mapper": (_mapper, 5),
    "writer": (_writer, 3),
    "cutter": (_cutter, 1),
    "syncing": (_syncing, 5),
    "pagedaemon": (_page_daemon, 1),
}


def programs(
    bench: Bench, seed: int, calls: int, suspends: bool = False
) -> dict[str, Program]:
    """So many calls for each thread, and its end."""
    given = bench.plan.parameters
    journal = bool(given["WAPBL"])
    made: dict[str, Program] = {}
    for thread in bench.scenario.threads:
        if thread.daemon:
            continue
        role = thread.name.rstrip("0123456789")
        draw_call, operations = _DRAW[role]
        chance = random.Random(f"{seed} {thread.name}")
        page = bench.plan.page_units
        program = []
        for _ in range(calls * (4 if role == "pagedaemon" else 1)):
            draw = _Chance(chance, given["FILE_PAGES"] * page, page, given["MAX_STORES"])
            op = 1 + draw.of("operation", operations)
            if role == "syncing" and (op == 4 and not suspends or op == 5 and not journal):
                op = 1
            draw.told[0] = f"operation={op}"
            name, arguments = draw_call(draw, op)
            program.append(Call(name, arguments, ",".join(draw.told)))
        program.append(Call("end", {}, "operation=0"))
        made[thread.name] = program
    return made
