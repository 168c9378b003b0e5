"""genfs_do_putpages (760-1217): the range of a scan, and the cluster around a dirty page."""

from __future__ import annotations

import z3

from ...checker.symbolic.conditions import Claim, Frame
from ...checker.symbolic.state import View, exact
from .common import FILE_MAX, LLONG_MAX, SIZES_READ, aligned, between, not_negative, page, sizes

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


SCAN_FRAME = Frame(
    invariants={800: end_of_range},
    reads={name: not_negative for name in SIZES_READ},
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
