"""The steps from the request of genfs_getpages to its window (268-279)."""

from __future__ import annotations

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import FILE_MAX, REQUEST_MAX, aligned, between, block, page, pages
from .steps import derived, placed, stated

ZERO, ONE = exact(0), exact(1)
WINDOW_MAX = REQUEST_MAX + (1 << 18)  # a request, and less than a block on either side


def _last(view: View) -> z3.BitVecRef:
    """Where the request ends."""
    return view["_getpages.origoffset"] + pages(view, view["_getpages.orignpages"])


def _rounded(value: z3.BitVecRef, size: z3.BitVecRef) -> z3.BitVecRef:
    return (value + size - ONE) & ~(size - ONE)


def _shifts(view: View) -> z3.BoolRef:
    return z3.And(between(9, view["PAGE_SHIFT"], 16), between(9, view["FS_BSHIFT"], 16))


def _request_end(view: View) -> z3.BoolRef:
    """The request ends at a page, far from the last offsets."""
    return z3.And(
        between(0, _last(view), FILE_MAX + REQUEST_MAX), aligned(_last(view), page(view))
    )


def _blocks_end(view: View) -> z3.BitVecRef:
    """272-273: so ends the window but for the legal pages."""
    return _rounded(_rounded(_last(view), block(view)), page(view))


def _at_blocks_end(view: View) -> z3.BoolRef:
    """273: (of an int that is shifted, which is the same)."""
    return view["_getpages.endoffset"] == _blocks_end(view)


def _legal_end(view: View) -> z3.BitVecRef:
    """Where the legal pages end."""
    return _rounded(view["_getpages.memeof"], page(view))


def _cut_end(view: View) -> z3.BoolRef:
    """274: the window ends at the first of the two."""
    one, two = _blocks_end(view), _legal_end(view)
    return view["_getpages.endoffset"] == z3.If(one <= two, one, two)


def _legal_request(view: View) -> z3.BoolRef:
    """268: the request's last page is legal."""
    memeof = view["_getpages.memeof"]
    return z3.And(_last(view) - page(view) < memeof,
                  memeof <= exact(FILE_MAX + REQUEST_MAX) + block(view))


def _legal_behind(view: View) -> z3.BoolRef:
    return _last(view) <= _legal_end(view)


def _near_block(view: View) -> z3.BoolRef:
    """The end of its last block is less than a block behind the request."""
    further = _rounded(_last(view), block(view)) - _last(view)
    return z3.And(ZERO <= further, further < block(view))


def _rounded_page(view: View) -> z3.BoolRef:
    """Where pages are larger blocks end at the request's, otherwise at pages."""
    whole = _rounded(_last(view), block(view))
    return z3.If(block(view) <= page(view), whole == _last(view),
                 _rounded(whole, page(view)) == whole)


def _near_end(view: View) -> z3.BoolRef:
    """The blocks end less than one of them, or less than a page, behind the request."""
    further = _blocks_end(view) - _last(view)
    return z3.And(
        between(0, further, 1 << 17), z3.Or(further < block(view), further < page(view))
    )


def _near(view: View) -> z3.BoolRef:
    """So does the window."""
    further = view["_getpages.endoffset"] - _last(view)
    return z3.And(
        _last(view) <= view["_getpages.endoffset"],
        z3.Or(further < block(view), further < page(view)),
    )


def at_end(rounded: int, known: int) -> tuple[Lemma, ...]:
    """``rounded`` (274), ``known`` (275): how far behind the request the window ends."""
    return (
        *placed(rounded, [stated("blocks-end", _at_blocks_end)]),
        *placed(known, [
            stated("shifts", _shifts), stated("request-end", _request_end),
            stated("cut-end", _cut_end), stated("legal-request", _legal_request),
            derived("near-block", _near_block, "shifts", "request-end", opaque=[_last]),
            derived("rounded-page", _rounded_page, "shifts", "request-end", opaque=[_last]),
            derived("near-end", _near_end, "near-block", "rounded-page", "shifts",
                    opaque=[_last]),
            derived("legal-behind", _legal_behind, "legal-request", "request-end", "shifts",
                    opaque=[_last]),
            derived("near", _near, "near-end", "cut-end", "request-end", "legal-behind",
                    opaque=[_blocks_end, _legal_end, _last]),
        ]),
    )  # fmt: skip


def _asked(view: View) -> z3.BitVecRef:
    """The bytes of the request."""
    return pages(view, view["_getpages.orignpages"])


def _apart(view: View) -> z3.BoolRef:
    """The request inside the window."""
    start, end = view["_getpages.startoffset"], view["_getpages.endoffset"]
    origin, last = view["_getpages.origoffset"], _last(view)
    return z3.And(
        between(0, origin, FILE_MAX), between(1, _asked(view), REQUEST_MAX),
        ZERO <= start, start <= origin, origin - start < block(view), last <= end,
        z3.Or(end - last < block(view), end - last < page(view)),
    )  # fmt: skip


def _length(view: View) -> z3.BoolRef:
    length = view["_getpages.endoffset"] - view["_getpages.startoffset"]
    return z3.And(ONE <= length, length <= exact(WINDOW_MAX))


def at_slots(line: int) -> tuple[Lemma, ...]:
    """279: how long the window is at most."""
    return placed(line, [
        stated("shifts", _shifts), stated("apart", _apart),
        derived("length", _length, "shifts", "apart", opaque=[_asked]),
    ])  # fmt: skip
