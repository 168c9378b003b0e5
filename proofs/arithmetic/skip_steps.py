"""The steps over a page that is valid already (461-475): the next one holds ``offset``."""

from __future__ import annotations

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import aligned, between, page, page_of, small
from .lemmas import derived, placed, stated
from .piece import READ, page_bits, page_start, so_far

ZERO, ONE = exact(0), exact(1)


def _offset_aligned(view: View) -> z3.BoolRef:
    """464 asserts it."""
    return z3.And(aligned(view["_read_loop.offset"], page(view)), small(so_far(view)))


def _page(view: View) -> z3.BoolRef:
    """So the page that is skipped begins there in the window, too."""
    return aligned(so_far(view), page(view))


def at_valid(line: int) -> tuple[Lemma, ...]:
    """468: in front of what is skipped."""
    return placed(line, [
        stated("page-bits", page_bits), stated("start", page_start),
        stated("offset-aligned", _offset_aligned), stated("inside-file", READ.inside_file),
        derived("page", _page, "page-bits", "start", "offset-aligned"),
    ])  # fmt: skip


def _skipped(view: View) -> z3.BoolRef:
    return between(1, view["_read_loop.b"], 1 << 16)


def at_skipped(line: int) -> tuple[Lemma, ...]:
    """469: so many bytes are skipped."""
    return placed(line, [stated("skipped", _skipped)])


def _before(view: View) -> z3.BitVecRef:
    """The bytes in front of what was skipped."""
    return so_far(view) - view["_read_loop.b"]


def _started(view: View) -> z3.BoolRef:
    """The slot looked at was that of the page skipped."""
    before = _before(view)
    return z3.And(
        small(before), aligned(before, page(view)),
        view["_read_loop.pidx"] - ONE == page_of(view, before),
    )  # fmt: skip


def _whole(view: View) -> z3.BoolRef:
    """468: it was a whole page, if something is left."""
    return z3.Implies(view["_read_loop.bytes_"] > ZERO, view["_read_loop.b"] == page(view))


def _next(view: View) -> z3.BoolRef:
    """The next slot is that of the page behind it."""
    return view["_read_loop.pidx"] == page_of(view, _before(view) + page(view))


def _behind(view: View) -> z3.BoolRef:
    """472: which holds ``offset``."""
    return z3.Implies(
        view["_read_loop.bytes_"] > ZERO,
        view["_read_loop.pidx"] == page_of(view, so_far(view)),
    )


def at_skip(line: int) -> tuple[Lemma, ...]:
    """475: behind a page that is skipped."""
    return placed(line, [
        stated("page-bits", page_bits), stated("started", _started), stated("whole", _whole),
        derived("next", _next, "page-bits", "started", opaque=[_before]),
        derived("behind", _behind, "next", "whole"),
    ])  # fmt: skip
