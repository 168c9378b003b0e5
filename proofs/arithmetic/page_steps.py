"""The steps from a piece of genfs_getpages to the pages that hold its bytes (486-519)."""

from __future__ import annotations

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import aligned, between, page, page_of, small
from .lemmas import derived, each_way, placed, stated
from .piece import (
    READ,
    at_slot,
    end,
    few_pages,
    inside_window,
    mask,
    new,
    page_bits,
    page_start,
    rounded,
    small_piece,
    so_far,
)

ZERO, ONE = exact(0), exact(1)


def page_new(view: View) -> z3.BoolRef:
    """486: that page is new."""
    same = page_of(view, view["watch.position"]) == view["_read_loop.pidx"]
    return z3.Implies(same, new(view))


def run_of_pages(view: View) -> list[z3.BoolRef]:
    """505: at least one page, none behind the window."""
    pidx, count = view["_read_loop.pidx"], view["_read_loop.pcount"]
    return [ONE <= count, pidx + count <= view["_getpages.npages"]]


def run_new(view: View) -> z3.BoolRef:
    """505: the pages counted are new (of which the watched one is an example)."""
    pidx, count = view["_read_loop.pidx"], view["_read_loop.pcount"]
    slot = page_of(view, view["watch.position"])
    return z3.Implies(z3.And(pidx <= slot, slot < pidx + count), new(view))


def reached(view: View) -> list[z3.BoolRef]:
    """519: of the bytes of the piece, the watched one as an example: what disk and pages are."""
    return [piece_new(view), end_new(view), READ.mapped(view), READ.watched(view)]


def piece_new(view: View) -> z3.BoolRef:
    """All pages of the piece are new."""
    return z3.Implies(READ.inside(view), new(view))


def end_new(view: View) -> z3.BoolRef:
    """The page in the middle of which it ends is new."""
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    mid_page = z3.Not(aligned(offset + size, page(view)))
    same = page_of(view, view["watch.position"]) == page_of(view, end(view))
    return z3.Implies(z3.And(mid_page, same), new(view))


# ------------------------------------------------------------------------------- steps


def _one_page(view: View) -> z3.BoolRef:
    """503: the piece does not leave its page."""
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    return offset + size <= rounded(view, offset)


def _span(view: View) -> z3.BoolRef:
    """503-510: otherwise it ends in the pages counted."""
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    room = (view["_read_loop.pcount"] << view["PAGE_SHIFT"]) - (offset - (offset & ~mask(view)))
    return z3.Or(_one_page(view), size <= room)


def _span_pages(view: View) -> z3.BoolRef:
    return z3.Or(_one_page(view), z3.And(*run_of_pages(view)))


def _run_new(view: View) -> z3.BoolRef:
    return z3.Or(_one_page(view), run_new(view))


def _same_rest(view: View) -> z3.BoolRef:
    """Pages begin at the same places in the file and in the window."""
    offset = view["_read_loop.offset"]
    return z3.And(
        offset - (offset & ~mask(view)) == so_far(view) & mask(view),
        rounded(view, offset) - offset == rounded(view, so_far(view)) - so_far(view),
    )


def _count(view: View) -> z3.BitVecRef:
    return z3.If(_one_page(view), ONE, view["_read_loop.pcount"])


def _base(view: View) -> z3.BoolRef:
    """Where the page looked at begins in the window."""
    start = view["_read_loop.pidx"] << view["PAGE_SHIFT"]
    return z3.And(start == so_far(view) - (so_far(view) & mask(view)), small(start),
                  small(so_far(view) & mask(view)))


def _sum(view: View) -> z3.BoolRef:
    """So many pages further."""
    pidx, count, shift = view["_read_loop.pidx"], _count(view), view["PAGE_SHIFT"]
    return (pidx + count) << shift == (pidx << shift) + _bytes_counted(view)


def _next(view: View) -> z3.BoolRef:
    """A page's end is no further than the next one's start."""
    return rounded(view, so_far(view)) <= (
        so_far(view) - (so_far(view) & mask(view)) + page(view))


def _counted(view: View) -> z3.BoolRef:
    """The pages counted are in the window, or one."""
    count = _count(view)
    return z3.And(
        between(1, count, 1 << 22), between(1, _bytes_counted(view), 1 << 31),
        z3.Implies(_one_page(view), _bytes_counted(view) == page(view)),
        between(0, view["_read_loop.pidx"], 1 << 22),
    )  # fmt: skip


def _rest(view: View) -> z3.BitVecRef:
    """The bytes of the page before ``offset``."""
    return so_far(view) & mask(view)


def _room(view: View) -> z3.BoolRef:
    """510: the piece is no longer than what is left of the pages counted."""
    room = _bytes_counted(view) - _rest(view)
    return z3.Or(_one_page(view), view["_read_loop.iobytes"] <= room)


def _end_one(view: View) -> z3.BoolRef:
    return z3.Implies(
        _one_page(view), end(view) <= so_far(view) - _rest(view) + page(view)
    )


def _bytes_counted(view: View) -> z3.BitVecRef:
    return z3.If(_one_page(view), page(view), view["_read_loop.pcount"] << view["PAGE_SHIFT"])


def _ends(view: View) -> z3.BoolRef:
    return end(view) <= so_far(view) - _rest(view) + _bytes_counted(view)


def _ends_one(view: View) -> z3.BoolRef:
    return z3.Implies(_one_page(view), _ends(view))


def _ends_room(view: View) -> z3.BoolRef:
    return z3.Or(_one_page(view), _ends(view))


def _bound(view: View) -> z3.BoolRef:
    start = view["_read_loop.pidx"] << view["PAGE_SHIFT"]
    return end(view) <= start + _bytes_counted(view)


def _limit(view: View) -> z3.BoolRef:
    """It ends where the last of its pages does, or before."""
    shift = view["PAGE_SHIFT"]
    last = view["_read_loop.pidx"] + _count(view)
    return z3.And(
        end(view) <= last << shift, between(0, last << shift, 1 << 32),
        between(0, last, 1 << 23), (last << shift) >> shift == last,
    )  # fmt: skip


def _fits(view: View) -> z3.BoolRef:
    """One page more than 2 GiB is not much more."""
    offset = view["_read_loop.offset"]
    return between(0, offset, (1 << 63) - (1 << 32) + (1 << 31))


def _gap(view: View) -> z3.BoolRef:
    """To the end of the page it is less than a page."""
    return between(0, rounded(view, so_far(view)) - so_far(view), (1 << 16) - 1)


def _one_limit(view: View) -> z3.BoolRef:
    """In a page, relative to the window."""
    return z3.Implies(_one_page(view), end(view) <= rounded(view, so_far(view)))


def _in_pages(view: View, position: z3.BitVecRef) -> z3.BoolRef:
    slot, pidx = page_of(view, position), view["_read_loop.pidx"]
    return z3.And(pidx <= slot, slot < pidx + _count(view))


def _position_in(view: View) -> z3.BoolRef:
    return z3.Implies(READ.inside(view), _in_pages(view, view["watch.position"]))


def _end_in(view: View) -> z3.BoolRef:
    mid_page = z3.Not(aligned(end(view), page(view)))
    return z3.Implies(mid_page, _in_pages(view, end(view)))


def _same_end(view: View) -> z3.BoolRef:
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    return aligned(offset + size, page(view)) == aligned(end(view), page(view))


def _counted_new(view: View) -> z3.BoolRef:
    return z3.Implies(_in_pages(view, view["watch.position"]), new(view))


def _position(view: View) -> z3.BoolRef:
    return small(view["watch.position"])


def _pages_left(view: View) -> z3.BoolRef:
    """510: something is left of the pages counted."""
    offset = view["_read_loop.offset"]
    room = (view["_read_loop.pcount"] << view["PAGE_SHIFT"]) - (offset - (offset & ~mask(view)))
    return between(1, room, 1 << 31)


def _as_int(view: View) -> z3.BoolRef:
    """510 shifts an int: that is the same."""
    count, shift = view["_read_loop.pcount"], view["PAGE_SHIFT"]
    low = z3.Extract(31, 0, count) << z3.Extract(31, 0, shift)
    return z3.SignExt(32, low) == count << shift


def _run(view: View) -> z3.BoolRef:
    return z3.And(*run_of_pages(view), view["_read_loop.pidx"] >= ZERO)


def at_count(line: int) -> tuple[Lemma, ...]:
    """509: where the pages are counted."""
    return placed(line, [
        stated("page-bits", page_bits), stated("pages", few_pages), stated("count", _run),
        derived("room", _pages_left, "page-bits", "pages", "count"),
        derived("as-int", _as_int, "page-bits", "pages", "count"),
    ])  # fmt: skip


def _left(view: View) -> z3.BoolRef:
    """What is left and what is done are in the window."""
    left, window = view["_read_loop.bytes_"], view["watch.window"]
    return z3.And(
        small(so_far(view)), small(left), small(window), so_far(view) + left <= window
    )


def _progress(view: View) -> z3.BoolRef:
    offset, start = view["_read_loop.offset"], view["_getpages.startoffset"]
    below, left, window = view["_io.bytes_"], view["_read_loop.bytes_"], view["watch.window"]
    return z3.And(
        offset == start + below - left, small(left), small(below), small(window),
        left <= below, below <= window,
    )  # fmt: skip


def _sized(view: View) -> z3.BoolRef:
    """What is left holds the piece."""
    size = view["_read_loop.iobytes"]
    return z3.And(ONE <= size, size <= view["_read_loop.bytes_"])


def at_window(line: int) -> tuple[Lemma, ...]:
    """519: the piece is inside the window."""
    return placed(line, [
        stated("progress", _progress), derived("left", _left, "progress"),
        stated("sized", _sized),
        derived("inside-window", inside_window, "left", "sized", opaque=[so_far]),
    ])  # fmt: skip


def at_piece(line: int) -> tuple[Lemma, ...]:
    """519: the pages of a piece are new, and those that it ends in the middle of."""
    return placed(line, [
        stated("page-bits", page_bits), stated("start", page_start), stated("slot", at_slot),
        stated("small", small_piece), stated("fits", _fits), stated("position", _position),
        stated("pages", few_pages), each_way("span-pages", _span_pages), each_way("span", _span),
        each_way("run-new", _run_new),
        stated("page-new", page_new),
        derived("same-rest", _same_rest, "page-bits", "start"),
        derived("gap", _gap, "page-bits"),
        derived("one-limit", _one_limit, "same-rest", "small", "fits", "gap", opaque=[so_far]),
        derived("base", _base, "slot", "small", "page-bits", opaque=[so_far]),
        derived("next", _next, "small", "page-bits", opaque=[so_far]),
        derived("counted", _counted, "span-pages", "slot", "small", "pages", "page-bits"),
        derived("sum", _sum, "page-bits"),
        derived("room", _room, "span", "same-rest"),
        derived("end-one", _end_one, "one-limit", "next"),
        derived("ends-one", _ends_one, "end-one", "counted", opaque=[_bytes_counted, _rest]),
        derived("ends-room", _ends_room, "room", "base", "counted", "small",
                opaque=[_bytes_counted, _rest, so_far]),
        derived("ends", _ends, "ends-one", "ends-room"),
        derived("bound", _bound, "ends", "base"),
        derived("limit", _limit, "bound", "sum", "base", "counted", "page-bits"),
        derived("position-in", _position_in, "limit", "slot", "small", "position", "page-bits",
                opaque=[so_far]),
        derived("end-in", _end_in, "limit", "slot", "small", "page-bits", opaque=[so_far]),
        derived("same-end", _same_end, "start", "page-bits"),
        derived("counted-new", _counted_new, "run-new", "page-new", "span-pages"),
        derived("piece-new", piece_new, "position-in", "counted-new"),
        derived("end-new", end_new, "end-in", "same-end", "counted-new"),
    ])  # fmt: skip
