"""Words about a piece of genfs_getpages' read loop (452-563) and the pages that it is in."""

from __future__ import annotations

import z3

from ...checker.symbolic.state import View, exact
from .common import aligned, between, fake, page, page_of, small
from .steps import Loop

ZERO, ONE = exact(0), exact(1)


def so_far(view: View) -> z3.BitVecRef:
    """The bytes that the read loop is done with."""
    return view["_read_loop.offset"] - view["_getpages.startoffset"]


READ = Loop("_read_loop", so_far)


def new(view: View) -> z3.BoolRef:
    """Is the watched byte's page new (FAKE)?"""
    return fake(view, page_of(view, view["watch.position"]))


def end(view: View) -> z3.BitVecRef:
    """Where the piece ends in the window."""
    return so_far(view) + view["_read_loop.iobytes"]


def mask(view: View) -> z3.BitVecRef:
    return page(view) - ONE


def rounded(view: View, value: z3.BitVecRef) -> z3.BitVecRef:
    return (value + mask(view)) & ~mask(view)


def page_bits(view: View) -> z3.BoolRef:
    return between(9, view["PAGE_SHIFT"], 16)


def page_start(view: View) -> z3.BoolRef:
    return aligned(view["_getpages.startoffset"], page(view))


def at_slot(view: View) -> z3.BoolRef:
    """The piece begins in the page looked at."""
    return view["_read_loop.pidx"] == page_of(view, so_far(view))


def small_piece(view: View) -> z3.BoolRef:
    """The window is no larger than 2 GiB, and there is a piece."""
    size = view["_read_loop.iobytes"]
    return z3.And(small(so_far(view)), small(size), small(end(view)), size >= ONE)


def few_pages(view: View) -> z3.BoolRef:
    npages = view["_getpages.npages"]
    return z3.And(between(1, npages, 1 << 22), small(npages << view["PAGE_SHIFT"]))


def inside_window(view: View) -> z3.BoolRef:
    """Unsigned, as the contracts ask."""
    size, window = view["_read_loop.iobytes"], view["watch.window"]
    return z3.And(z3.ULE(size, window), z3.ULE(so_far(view), window - size))
