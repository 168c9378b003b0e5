"""The steps from a hole's bytes to the pages that are marked for it (520-534)."""

from __future__ import annotations

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import page_of, small
from .lemmas import derived, placed, stated
from .piece import (
    at_slot,
    end,
    few_pages,
    inside_window,
    mask,
    page_bits,
    page_start,
    rounded,
    small_piece,
    so_far,
)

ONE = exact(1)


def marked(view: View) -> z3.BoolRef:
    """529: the pages that are marked are inside the window."""
    pidx, count = view["_read_loop.pidx"], view["_read_loop.holepages"]
    return pidx + count <= view["_getpages.npages"]


def hole_pages(view: View) -> z3.BoolRef:
    """529: the pages marked are those that the hole's bytes are in."""
    first, last = so_far(view), end(view) - ONE
    pidx, count = view["_read_loop.pidx"], view["_read_loop.holepages"]
    return z3.And(pidx == page_of(view, first), pidx + count - ONE == page_of(view, last))


def _hole_size(view: View) -> z3.BoolRef:
    """520: whole pages from the first to the last."""
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    length = rounded(view, offset + size) - (offset & ~mask(view))
    return view["_read_loop.holepages"] == length >> view["PAGE_SHIFT"]


def _same_ends(view: View) -> z3.BoolRef:
    """Pages begin at the same places in the file and in the window."""
    offset, done = view["_read_loop.offset"], so_far(view)
    last = offset + view["_read_loop.iobytes"]
    return z3.And(
        offset - (offset & ~mask(view)) == done - (done & ~mask(view)),
        rounded(view, last) - last == rounded(view, end(view)) - end(view),
    )


def _hole_length(view: View) -> z3.BoolRef:
    offset, size = view["_read_loop.offset"], view["_read_loop.iobytes"]
    length = rounded(view, offset + size) - (offset & ~mask(view))
    return length == rounded(view, end(view)) - (so_far(view) & ~mask(view))


def _hole_count(view: View) -> z3.BoolRef:
    length = rounded(view, end(view)) - (so_far(view) & ~mask(view))
    return view["_read_loop.holepages"] == length >> view["PAGE_SHIFT"]


def _window(view: View) -> z3.BoolRef:
    """The window's bytes are its pages'."""
    window = view["watch.window"]
    return z3.And(
        window == view["_getpages.npages"] << view["PAGE_SHIFT"], small(window), few_pages(view)
    )


def _in_window(view: View) -> z3.BoolRef:
    """The piece ends in them."""
    window = view["_getpages.npages"] << view["PAGE_SHIFT"]
    return z3.And(end(view) <= window, few_pages(view))


def at_hole(line: int) -> tuple[Lemma, ...]:
    """529: the pages marked."""
    return placed(line, [
        stated("page-bits", page_bits), stated("start", page_start), stated("slot", at_slot),
        stated("small", small_piece), stated("size", _hole_size),
        stated("inside-window", inside_window), stated("window", _window),
        derived("in-window", _in_window, "window", "inside-window", "small", opaque=[so_far]),
        derived("same-ends", _same_ends, "start", "page-bits"),
        derived("length", _hole_length, "same-ends"),
        derived("count", _hole_count, "size", "length"),
        derived("hole-pages", hole_pages, "count", "slot", "small", "page-bits", opaque=[so_far]),
        derived("marked", marked, "hole-pages", "in-window", "small", "page-bits",
                opaque=[so_far]),
    ])  # fmt: skip
