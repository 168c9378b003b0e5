"""The request of genfs_getpages and its window (144-279): what is assumed, and the cuts there."""

from __future__ import annotations

import z3

from ...checker.symbolic.state import View, exact
from .common import (
    FILE_MAX,
    REQUEST_MAX,
    SECTOR_MAX,
    aligned,
    between,
    block,
    page,
    pages,
    sizes,
)
from .window_steps import WINDOW_MAX

ZERO, ONE = exact(0), exact(1)


# ------------------------------------------------------------------ what is assumed


def entry(view: View) -> z3.BoolRef:
    """What the entry assertions (165-167) and the types allow; nothing is watched yet."""
    return z3.And(
        sizes(view),
        *start_of_watch(view),
    )


def start_of_watch(view: View) -> list[z3.BoolRef]:
    """Nothing was done to the watched byte yet; its block is somewhere on disk, or a hole."""
    names = ("transferred", "reads", "zeroes", "asked")
    return [*(view[f"watch.{name}"] == ZERO for name in names),
            between(-1, view["watch.blkno"], 2 * SECTOR_MAX)]


def callers(view: View) -> z3.BoolRef:
    """What callers of VOP_GETPAGES guarantee beyond the assertions (KERNEL.md, section 3)."""
    return z3.And(between(ZERO, view["a_centeridx"], view["a_count"] - ONE), bounded(view))


def near(view: View) -> z3.BoolRef:
    """The centre is not so far away that shifting it overflows."""
    return z3.And(bounded(view), between(-(1 << 14), view["a_centeridx"], 1 << 14))


def bounded(view: View) -> z3.BoolRef:
    """The request is no larger than 1 GiB, and does not begin in the last offsets."""
    return z3.And(
        pages(view, view["a_count"]) <= exact(REQUEST_MAX), view["a_offset"] <= exact(FILE_MAX)
    )


# ------------------------------------------------------------------------ the window


def limits(view: View) -> list[z3.BoolRef]:
    """What stays true of the request from 173 on."""
    origin = view["_getpages.origoffset"]
    return [
        sizes(view),
        pages(view, view["a_count"]) <= exact(REQUEST_MAX),
        between(ZERO, view["a_centeridx"], view["a_count"] - ONE),
        between(ZERO, origin, exact(FILE_MAX)), aligned(origin, page(view)),
        between(ZERO, view["_getpages.diskeof"], exact(FILE_MAX) + block(view)),
        *start_of_watch(view),
    ]  # fmt: skip


def legal(view: View) -> list[z3.BoolRef]:
    """The request starts before the end of the legal pages."""
    memeof = view["_getpages.memeof"]
    return [view["_getpages.origoffset"] < memeof,
            memeof <= exact(FILE_MAX + REQUEST_MAX) + block(view)]


def at_266(view: View) -> z3.BoolRef:
    """Where the window is computed: all that matters of what came before."""
    return z3.And(
        *limits(view), *legal(view),
        view["_getpages.fs_bshift"] == view["FS_BSHIFT"],
        ONE <= view["_getpages.orignpages"], view["_getpages.orignpages"] == view["a_count"],
    )  # fmt: skip


def counted(view: View) -> list[z3.BoolRef]:
    """268-270: at least one page and no more than were asked for."""
    count = view["_getpages.orignpages"]
    return [ONE <= count, count <= view["a_count"], view["_getpages.npages"] == count]


def request(view: View) -> list[z3.BoolRef]:
    """268: no page past the last legal one, and none fewer than that needs."""
    origin, count = view["_getpages.origoffset"], view["_getpages.orignpages"]
    memeof = view["_getpages.memeof"]
    beyond = origin + pages(view, count)
    return [beyond - page(view) < memeof, z3.Or(count == view["a_count"], memeof <= beyond)]


def at_271(view: View) -> z3.BoolRef:
    """Where the request is known."""
    return z3.And(
        *limits(view), *legal(view), *counted(view), *request(view),
        view["_getpages.fs_bshift"] == view["FS_BSHIFT"],
        view["_getpages.fs_bsize"] == block(view),
    )  # fmt: skip


def window(view: View) -> list[z3.BoolRef]:
    """271-274: whole blocks around the request, cut at the last legal page."""
    start, end = view["_getpages.startoffset"], view["_getpages.endoffset"]
    origin, count = view["_getpages.origoffset"], view["_getpages.orignpages"]
    last = origin + pages(view, count)
    return [
        ZERO <= start, start <= origin,
        origin - start < block(view), aligned(start, block(view)), aligned(start, page(view)),
        aligned(end, page(view)), last <= end,
        # Less than a block beyond, or less than a page where pages are larger.
        z3.Or(end - last < block(view), end - last < page(view)),
    ]  # fmt: skip


def legal_window(view: View) -> z3.BoolRef:
    """274: the last page of the window is legal; and it is a whole block's, or the last."""
    end, memeof = view["_getpages.endoffset"], view["_getpages.memeof"]
    return z3.And(
        end - page(view) < memeof, z3.Or(memeof <= end, aligned(end, block(view)))
    )


def at_275(view: View) -> z3.BoolRef:
    """Where the window is known."""
    return z3.And(*limits(view), *counted(view), *window(view))


def array(view: View) -> list[z3.BoolRef]:
    """275-278: the array has a slot for each page of the window, the request at ``ridx``."""
    start, end = view["_getpages.startoffset"], view["_getpages.endoffset"]
    size, ridx = view["_getpages.pgs_size"], view["_getpages.ridx"]
    return [
        pages(view, ridx) == view["_getpages.origoffset"] - start,
        size & exact(7) == ZERO,
        pages(view, size >> 3) == end - start, end - start <= exact(WINDOW_MAX),
        ZERO <= ridx, ridx + view["_getpages.orignpages"] <= size >> 3,
        between(ZERO, end, exact(FILE_MAX + WINDOW_MAX)),
    ]  # fmt: skip


def as_size_t(view: View) -> z3.BoolRef:
    """277-279: C computes and compares in ``size_t``, the model in ``off_t`` and ``int``."""
    size = view["_getpages.pgs_size"]
    start, end = view["_getpages.startoffset"], view["_getpages.endoffset"]
    count, on_stack = (end - start) >> view["PAGE_SHIFT"], view["UBC_MAX_PAGES"] * exact(8)
    return z3.And(
        z3.Extract(31, 0, exact(8) * count) == z3.Extract(31, 0, size),
        z3.UGT(size, on_stack) == (size > on_stack),
    )


def at_279(view: View) -> z3.BoolRef:
    """Where the array's size is known."""
    return z3.And(*limits(view), *counted(view), *window(view), *array(view))


def slots(view: View) -> z3.BitVecRef:
    """The slots of the array."""
    return view["_getpages.pgs_size"] >> 3


def given_back(view: View) -> z3.BoolRef:
    """648: where the ways to the pages' release join, they are in the array."""
    ridx, count = view["_getpages.ridx"], view["_getpages.orignpages"]
    return z3.And(
        ZERO <= ridx, ONE <= count, ridx + count <= slots(view), slots(view) <= exact(1 << 22),
        view["_getpages.npages"] <= slots(view),
    )  # fmt: skip
