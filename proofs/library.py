"""Every theorem, and running them; those of the arithmetic are put together here."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..checker.lang.source import Source
from ..checker.symbolic.conditions import Frame, Obligation
from . import running
from .arithmetic import directio, do_io, getpages, putpages
from .arithmetic.common import CHECKS, SHIFTS, SYMBOLIC
from .protocol import library as protocol
from .running import Progress
from .source import source
from .theorem import EFFORT, Assumption, Proving, Theorem, Unit

ALL_SIZES = "pages and blocks of 512 bytes to 64 KiB, sectors no larger than either"
SPLIT = {"PAGE_SHIFT": tuple(SHIFTS), "FS_BSHIFT": tuple(SHIFTS)}
DOUBTS = ("overflow", "wrap", "conversion", "shift")
INPUTS = ("DEBUG", "a_count", "a_centeridx", "a_offset", "vnodes.v_size", "PAGE_SHIFT", "FS_BSHIFT")


def fixes(model: Source) -> tuple[str, ...]:
    """The names of all fixes."""
    found = {
        node.args[0].value
        for kind in ("routine", "atomic", "pure")
        for function in model.functions(kind)
        for node in ast.walk(function.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        and node.func.id == "fixed" and isinstance(node.args[0], ast.Constant)
    }
    return tuple(sorted(str(name) for name in found))


SEED = ("model/genfs", "proofs/directio")  # where the seed's own lines are


def _doubt(each: Obligation, first: int, last: int) -> bool:
    """Arithmetic of the seed's own expressions in a range of lines."""
    return (
        each.kind in DOUBTS and first <= each.line <= last and each.file.startswith(SEED)
        and each.line not in EXCEPTIONS
    )  # fmt: skip


# Arithmetic that is no offset's, count's or size's, or wraps on purpose (README).
EXCEPTIONS = {
    202: "the generation counter of g_dirtygen",
    1307: "the counter of writes under way",
    1301: "an end before the start becomes huge, on purpose",
    1608: "a mask is converted to a wider type, on purpose",
    1672: "computed of addresses that 1725 has not checked yet; the claim at 1748 speaks of it",
    1747: "as 1672",
}


def _getpages(variant: str, switched: tuple[str, ...]) -> Iterator[Theorem]:
    entry = Assumption("entry", "the assertions 166 and 167, and the types", getpages.entry)
    callers = Assumption(
        "callers", "0 <= centeridx < count, at most 1 GiB asked for, offsets and sizes at most "
        "LLONG_MAX - 4 GiB", getpages.callers,
    )  # fmt: skip
    suffix = "" if variant == "1.18" else f"-{variant}"

    def unit(
        name: str, frame: Frame, *assumptions: Assumption, slices: int = 1, seconds: float = 1.0
    ) -> Unit:
        return Unit(
            f"{name}{suffix}", "genfs_getpages", variant, frame, assumptions,
            switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT, slices,
            seconds,
        )  # fmt: skip

    whole = unit("getpages", getpages.FRAME, entry, callers, slices=4, seconds=80.0)

    def theorem(
        name: str, statement: str, select: Callable[[Obligation], bool], of: Unit = whole
    ) -> Theorem:
        return Theorem(f"{name}{suffix}", statement, of, select, ALL_SIZES, INPUTS)

    yield theorem(
        "getpages-window",
        "startoffset and endoffset (268-274) are whole blocks around the request, cut behind the "
        "last legal page; the request is one page at least and lies inside; ridx and the array's "
        "size (275-278) are exactly the window's pages",
        lambda each: each.kind == "claim" and each.name == "window",
    )
    yield theorem(
        "getpages-array",
        "every index into pgs and into the caller's array, in getpages and in the services it "
        "gives them to, is inside",
        lambda each: each.kind == "index" and each.line != 121,
    )
    yield theorem(
        "getpages-size-t",
        "277-279, which C computes and compares in size_t, give what the model computes in off_t "
        "and compares as int",
        lambda each: each.kind == "claim" and each.name == "size-t",
    )
    yield theorem(
        "getpages-no-overflow",
        "no signed operation overflows, no unsigned one wraps, no conversion changes a value, "
        "no shift is out of range (144-687)",
        lambda each: _doubt(each, 144, 687),
    )
    yield theorem(
        "getpages-tail",
        "the tail loop (433-445) keeps its assertion, and zeroes of each page that is new exactly "
        "the bytes from the end on disk to the end of the window, once, and nothing else",
        lambda each: (each.kind == "check" and each.name == "kassert" and each.line == 437)
        or (each.kind == "check" and each.name == "window" and each.line == 439),
    )
    yield theorem(
        "getpages-pieces",
        "every piece of the read loop (452-563) is not empty and stays inside the window, the run "
        "of blocks and what is left",
        lambda each: each.kind == "check" and (
            each.name in ("window", "request")
            or each.text == "a transfer of no bytes"),
    )
    yield theorem(
        "getpages-bytes",
        "without an error every byte of a new page is read or zeroed exactly once, from the place "
        "that the block map gives; no byte of a valid page is touched, with or without error; 464 "
        "holds; 529-536 mark the pages that the hole's bytes are in; "
        "pieces and skipped bytes add up to the master's length",
        lambda each: (each.kind == "claim" and each.name in ("filled", "valid-kept", "hole-pages"))
        or (each.kind == "check" and each.name in ("address", "transfer", "accounting"))
        or (each.kind == "check" and each.name == "kassert" and each.line == 464)
        or (each.kind == "stable" and each.line in (531, 534)),
    )
    alone = unit("getpages-entry", getpages.ENTRY_FRAME, entry, seconds=50.0)
    yield theorem(
        "getpages-entry-overflow",
        "the assertions at entry (165-167) alone keep the arithmetic of 147-278 from overflowing",
        lambda each: _doubt(each, 147, 278),
        alone,
    )
    centre = unit(
        "getpages-centre", getpages.CENTRE_FRAME, entry,
        Assumption("near", "as callers, but a_centeridx is from -2**14 to 2**14", getpages.near),
    )  # fmt: skip
    yield theorem(
        "getpages-entry-centre",
        "the assertion 165 keeps a_centeridx inside the caller's array (249), and with it the "
        "request from being empty (268)",
        lambda each: (each.kind == "claim" and each.name == "not-empty")
        or (each.kind == "index" and each.line == 249),
        centre,
    )


def _do_io(variant: str, switched: tuple[str, ...]) -> Iterator[Theorem]:
    suffix = "" if variant == "1.18" else f"-{variant}"
    entry = Assumption("entry", "the types; the window is what the caller mapped", do_io.entry)
    callers = Assumption(
        "callers", "the offset is a sector's inside files; 1 byte to 1 GiB", do_io.callers
    )
    clips = "clip-past-eof" in switched
    whole = Unit(f"do-io{suffix}", "genfs_do_io", variant,
                 do_io.CLIPPED_FRAME if clips else do_io.FRAME, (entry, callers),
                 switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT, 2, 25.0)
    values = ("length", "off", "vnodes.v_writesize", "PAGE_SHIFT", "FS_BSHIFT")
    yield Theorem(
        f"do-io-length{suffix}",
        ("the length (1301) is what is left of the file, at most what was mapped; no other "
         if clips else
         "the length (1301) is at least 1, at most what was mapped, and at most what is left of "
         "the file if it starts before its end; no other ")
        + "arithmetic of 1290-1386 overflows, wraps, or "
        "changes a value in a conversion",
        whole,
        lambda each: (each.kind == "claim" and each.name == "length") or _doubt(each, 1290, 1386),
        ALL_SIZES, values,
    )  # fmt: skip
    yield Theorem(
        f"do-io-pieces{suffix}",
        "every piece of the loop (1332-1374) is not empty and stays inside the window, the run "
        "and what is left",
        whole,
        lambda each: each.kind == "check" and (
            each.name in ("window", "request") or each.text == "a transfer of no bytes"),
        ALL_SIZES, values,
    )  # fmt: skip
    yield Theorem(
        f"do-io-bytes{suffix}",
        "without an error each byte is transferred once, between its place in the window "
        "and the place that the block map gives it, in the middle of blocks too (1367-1368), or "
        "is a hole's; pieces and skipped bytes add up to the master's length",
        whole,
        lambda each: (each.kind == "claim" and each.name == "finished")
        or (each.kind == "check" and each.name in ("address", "transfer", "accounting")),
        ALL_SIZES, values,
    )  # fmt: skip
    start = Unit(f"do-io-entry{suffix}", "genfs_do_io", variant, do_io.ENTRY_FRAME,
                 (entry, callers), switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT)
    yield Theorem(
        f"do-io-inside-file{suffix}",
        "nothing past the end of the file is transferred (1301)",
        start,
        lambda each: each.kind == "claim" and each.name == "inside-file",
        ALL_SIZES, values,
    )  # fmt: skip


def _putpages(variant: str, switched: tuple[str, ...]) -> Iterator[Theorem]:
    suffix = "" if variant == "1.18" else f"-{variant}"
    offset = Assumption("page", "the page's offset is inside files; MAXPHYS is a page to 1 GiB",
                        putpages.page_offset)
    cluster = Unit(f"cluster{suffix}", "_cluster", variant, putpages.CLUSTER_FRAME, (offset,),
                   switched, SYMBOLIC, {"MAXPHYS_PAGES": 1}, CHECKS, SPLIT)
    yield Theorem(
        f"putpages-cluster{suffix}",
        "the cluster (1022-1060) stays inside the array of MAXPHYS >> PAGE_SHIFT slots and does "
        "not begin before the file, and nothing overflows",
        cluster,
        lambda each: each.kind == "index" or _doubt(each, 1022, 1060)
        or (each.kind == "claim" and each.name == "backward"),
        ALL_SIZES + "; MAXPHYS of 1 page to 1 GiB", ("off", "MAXPHYS_PAGES", "PAGE_SHIFT"),
    )  # fmt: skip
    cluster_size = Assumption("cluster", "one page to MAXPHYS, at most 1 GiB", putpages.mapped)
    for routine, line in (("genfs_gop_write", 1234), ("genfs_gop_write_rwmap", 1257)):
        short = "gop-write" if line == 1234 else "gop-write-rwmap"
        yield Theorem(
            f"{short}-length{suffix}",
            f"the bytes of a cluster ({line}) are computed without overflow",
            Unit(f"{short}{suffix}", routine, variant, putpages.WRITE_FRAME, (cluster_size,),
                 switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT),
            functools.partial(_doubt, first=line, last=line),
            ALL_SIZES, ("npages", "PAGE_SHIFT"),
        )  # fmt: skip
    limits = Assumption("entry", "the assertions 788 and 789, and the types", putpages.entry_range)
    inside = Assumption("callers", "ranges start inside files", putpages.callers)
    for name, assumptions, claim in (
        ("putpages-range", (limits, inside),
         "the pages of the range (845-849) are counted without overflow"),
        ("putpages-entry-range", (limits,),
         "the assertions 788 and 789 alone keep 845-849 from overflowing"),
    ):
        yield Theorem(
            f"{name}{suffix}", claim,
            Unit(f"{name}{suffix}", "genfs_do_putpages", variant, putpages.SCAN_FRAME, assumptions,
                 switched, SYMBOLIC, {}, CHECKS, SPLIT),
            lambda each: _doubt(each, 845, 849),
            ALL_SIZES, ("endoff", "startoff", "PAGE_SHIFT"),
        )  # fmt: skip


    pages = Assumption("range", "787-789 and 845-846; MAXPHYS is a page to 1 GiB",
                       putpages.range_given)
    yield Theorem(
        f"putpages-scan{suffix}",
        "by offset the scan goes on page by page (918) or behind a cluster (1148), always "
        "at whole pages, without overflow",
        Unit(f"scan{suffix}", "_scan", variant, putpages.PAGES_FRAME, (pages,),
             switched, SYMBOLIC, {"NPAGES": putpages.NO_PAGE}, CHECKS, SPLIT),
        lambda each: _doubt(each, 918, 918) or _doubt(each, 1148, 1148),
        ALL_SIZES + "; MAXPHYS of 1 page to 1 GiB", ("startoff", "endoff", "PAGE_SHIFT"),
    )  # fmt: skip


def _directio(variant: str, switched: tuple[str, ...]) -> Iterator[Theorem]:
    suffix = "" if variant == "1.18" else f"-{variant}"
    entry = Assumption("entry", "the types; MAXPHYS is a page to 1 GiB", directio.entry)
    callers = Assumption(
        "callers", "the offset is not negative; the vectors hold what is left, at most SSIZE_MAX",
        directio.callers,
    )  # fmt: skip
    whole = Unit(f"directio{suffix}", "genfs_directio", variant, directio.FRAME, (entry, callers),
                 switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT, seconds=20.0)
    values = ("uio.uio_offset", "uio.iov_len", "uio.iov_base", "vnodes.v_size", "PAGE_SHIFT",
              "DEV_BSHIFT")  # fmt: skip

    def theorem(
        name: str, statement: str, select: Callable[[Obligation], bool], of: Unit = whole
    ) -> Theorem:
        return Theorem(f"{name}{suffix}", statement, of, select, ALL_SIZES, values)

    yield theorem(
        "directio-chunks",
        "each chunk (1606-1627) is of whole sectors, one at least, of one vector, no more than "
        "MAXPHYS, at a sector of the file and of memory, and ends before the end of the file; "
        "offset and what is left always add up to the request's end, and a vector is left while "
        "anything is (1599-1637)",
        lambda each: (each.kind == "claim" and each.name == "chunk")
        or (each.kind == "check" and each.line == 1602),
    )
    yield theorem(
        "directio-no-overflow",
        "no signed operation overflows, no unsigned one wraps, no conversion changes a value "
        "(1599-1764; of 1672 and 1747 directio-mapping speaks)",
        lambda each: _doubt(each, 1599, 1764) and each.file.startswith("proofs/directio"),
    )
    yield theorem(
        "directio-mapping",
        "the pages mapped (1672, 1736-1747) are those of the chunk, none behind the addresses "
        "taken; the range flushed (1712-1715) is whole pages; genfs_do_io gets what do-io-length "
        "assumes of it",
        lambda each: (each.kind == "claim" and each.name == "mapping")
        or (each.kind == "check" and each.name in ("window", "request")
            and 1696 <= each.line <= 1739),
    )
    yield theorem(
        "directio-allocated",
        "every byte that is written has its block on disk (1687-1705)",
        lambda each: each.kind == "claim" and each.name == "allocated",
    )
    alone = Unit(
        f"directio-entry{suffix}", "_chunk", variant, directio.ENTRY_FRAME,
        (entry, Assumption("vectors", "the vectors hold what is left", directio.vectors)),
        switched, SYMBOLIC, {"FILE_PAGES": 1}, CHECKS, SPLIT,
    )  # fmt: skip
    yield theorem(
        "directio-entry-offset",
        "1615 alone keeps a chunk between the start and the end of the file",
        lambda each: each.kind == "claim" and each.name == "chunk",
        alone,
    )


@functools.cache
def arithmetic() -> tuple[Theorem, ...]:
    """The arithmetic: of the revision as it is, then of the one with every fix."""
    found: list[Theorem] = []
    for variant, switched in (("1.18", ()), ("hardened", fixes(source()))):
        for family in (_getpages, _do_io, _putpages, _directio):
            found.extend(family(variant, switched))
    return tuple(found)


def theorems() -> tuple[Any, ...]:
    """All theorems: the arithmetic's, then the protocol's."""
    return (*arithmetic(), *protocol.theorems())


def run(
    names: Sequence[str] = (), workers: int = 1, effort: int = EFFORT,
    progress: Progress | None = None,
) -> Iterator[tuple[Any, Any]]:  # fmt: skip
    """Decide theorems (none named: all but the long ones); each as it is done.

    Raises KeyError for a name that no theorem has.
    """
    known = {each.name for each in theorems()}
    for name in names:
        if name not in known:
            raise KeyError(name)
    def wanted(each: Any) -> bool:
        return each.name in names if names else not each.long

    works: list[running.Work] = []
    if chosen := [each for each in arithmetic() if wanted(each)]:
        works.append(running.Arithmetic(arithmetic, chosen, effort))
    if others := [each for each in protocol.theorems() if wanted(each)]:
        works.append(protocol.Protocol(others))
    yield from running.together(works, workers, progress)


def export(names: Sequence[str], folder: Path) -> int:
    """Write every question as SMT-LIB 2, a file for each: ``unsat`` means that it holds.

    What all theorems of a unit rest on is written once, as the unit's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    provings: dict[str, Proving] = {}
    for theorem in arithmetic():
        if names and theorem.name not in names:
            continue
        unit = theorem.unit
        asked = []
        if unit.name not in provings:
            provings[unit.name] = Proving(unit, source())
            asked += [(f"{unit.name}-rests-on", each) for each in provings[unit.name].support]
        proving = provings[unit.name]
        asked += [(theorem.name, each) for each in proving.selected(theorem)
                  if each not in proving.support]
        for name, each in asked:
            place = f"{each.file}, line {each.line} of the seed: {each.kind} {each.name}"
            text = proving.question(each).smt2(f"{name}\n{place}\n{each.text}")
            (folder / f"{name}-{proving.number(each):04}.smt2").write_text(text)
            count += 1
    others = [each.name for each in protocol.theorems() if not names or each.name in names]
    return count + (protocol.export(others, folder) if others else 0)
