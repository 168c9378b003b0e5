"""genfs_do_putpages (760-1217): the range of a scan, and the cluster around a dirty page."""

from __future__ import annotations

import z3

from ...checker.symbolic.conditions import Claim, Frame
from ...checker.symbolic.state import View, exact
from .common import FILE_MAX, LLONG_MAX, SIZES_READ, aligned, between, not_negative, page, sizes
from .lemmas import derived, placed, stated

ZERO, ONE = exact(0), exact(1)


def callers(view: View) -> z3.BoolRef:
    """Ranges start inside files."""
    return between(0, view["startoff"], FILE_MAX)


def page_offset(view: View) -> z3.BoolRef:
    """What putpages gives :func:`_cluster`: a page's offset inside files."""
    return z3.And(
        sizes(view), between(0, view["off"], FILE_MAX), aligned(view["off"], page(view)),
        (view["MAXPHYS_PAGES"] << view["PAGE_SHIFT"]) <= exact(1 << 30),
    )  # fmt: skip


def backward(view: View) -> z3.BoolRef:
    """1030: as many slots as there are pages before this one, at most half of the array."""
    count = view["_cluster.npages"]
    return z3.And(
        ZERO <= count, count <= view["MAXPHYS_PAGES"] >> 1,
        (count << view["PAGE_SHIFT"]) <= view["off"],
    )  # fmt: skip


CLUSTER_FRAME = Frame(
    invariants={
        1035: lambda v: ZERO <= v["_cluster.i"],
        1038: lambda v: ZERO <= v["_cluster.j"],
        1041: lambda v: ZERO <= v["_cluster.k"],
    },
    claims=(Claim("backward", 1034, backward),),
    lengths={"pgs": lambda v: v["MAXPHYS_PAGES"]},
    smashed=frozenset({"pgs"}),
)


def entry_range(view: View) -> z3.BoolRef:
    """The assertions 788 and 789, which execution itself assumes, and the parameters."""
    return z3.And(sizes(view), view["LLONG_MAX"] == exact(LLONG_MAX))


def end_of_range(view: View) -> z3.BoolRef:
    """798: the end is the caller's, or the largest page offset (846)."""
    end = view["genfs_do_putpages.endoff"]
    return z3.Or(end == view["endoff"], end == view["LLONG_MAX"] & ~(page(view) - ONE))


def _bits(view: View) -> z3.BoolRef:
    return between(9, view["PAGE_SHIFT"], 16)


def _count(view: View) -> z3.BoolRef:
    """848: the pages of a range are not many (even of one that overflowed)."""
    length = view["genfs_do_putpages.endoff"] - view["startoff"]
    return between(-(1 << 54), length >> view["PAGE_SHIFT"], 1 << 54)


def _penalty(view: View) -> z3.BoolRef:
    return between(1, view["TREE_PENALTY"], 64)


SCAN_FRAME = Frame(
    invariants={800: end_of_range},
    lemmas=placed(848, [
        stated("bits", _bits), stated("penalty", _penalty), derived("count", _count, "bits"),
    ]),
    reads={name: not_negative for name in SIZES_READ},
)

def range_given(view: View) -> z3.BoolRef:
    """What 788-789 and 845-846 leave of a range: whole pages from inside files on."""
    start, end = view["startoff"], view["endoff"]
    mask = page(view) - ONE
    return z3.And(
        sizes(view), view["LLONG_MAX"] == exact(LLONG_MAX), between(0, start, FILE_MAX),
        aligned(start, page(view)), aligned(end, page(view)), start < end,
        end <= exact(LLONG_MAX) & ~mask,
        (view["MAXPHYS_PAGES"] << view["PAGE_SHIFT"]) <= exact(1 << 30),
    )  # fmt: skip


def at_page(view: View) -> list[z3.BoolRef]:
    """891: by offset; where there is a page it is inside the file."""
    off = view["_scan.off"]
    by_offset = z3.And(
        ZERO <= off, aligned(off, page(view)),
        z3.Or(view["_scan.pg"] == exact(NO_PAGE), off <= exact(FILE_MAX), off >= view["endoff"]),
    )
    return [z3.Or(view.true("by_list"), by_offset)]


def _further(view: View) -> z3.BoolRef:
    """1148: the page and those behind it are no more than the array has."""
    further = view["_scan.npages"] - view["_scan.nback"]
    return z3.And(ONE <= further, further <= view["MAXPHYS_PAGES"])


def _array(view: View) -> z3.BoolRef:
    return z3.And(
        between(9, view["PAGE_SHIFT"], 16), between(1, view["MAXPHYS_PAGES"], 1 << 20),
        (view["MAXPHYS_PAGES"] << view["PAGE_SHIFT"]) <= exact(1 << 30),
    )  # fmt: skip


def _bytes(view: View) -> z3.BoolRef:
    further = view["_scan.npages"] - view["_scan.nback"]
    return between(1, further << view["PAGE_SHIFT"], 1 << 30)


def _here(view: View) -> z3.BoolRef:
    """1148: there is a page at ``off``."""
    return between(0, view["_scan.off"], FILE_MAX)


NO_PAGE = 3  # of the pool of the model's NPAGES
PAGES_FRAME = Frame(
    invariants={891: lambda v: z3.And(*at_page(v))},
    lemmas=placed(1148, [
        stated("further", _further), stated("array", _array), stated("here", _here),
        derived("bytes", _bytes, "further", "array"),
    ]),
    lengths={"_scan.pgs": lambda v: v["MAXPHYS_PAGES"]},
    smashed=frozenset({"_scan.pgs"}),
)


def mapped(view: View) -> z3.BoolRef:
    """What putpages gives GOP_WRITE: a page at least, and no more than MAXPHYS."""
    count = view["npages"]
    return z3.And(
        sizes(view), ONE <= count, count <= exact(1 << 21),
        (count << view["PAGE_SHIFT"]) <= exact(1 << 30),
    )  # fmt: skip


# Of the write itself (genfs_do_io, which is inlined here) the units of do_io.py speak.
WRITE_FRAME = Frame(lengths={"pgs": lambda v: v["npages"]}, smashed=frozenset({"pgs"}))
