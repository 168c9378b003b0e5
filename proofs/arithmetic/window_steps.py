"""The steps from the request of genfs_getpages to its window (268-279)."""

from __future__ import annotations

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import FILE_MAX, REQUEST_MAX, aligned, between, block, page, pages
from .lemmas import derived, placed, stated

ZERO, ONE = exact(0), exact(1)
WINDOW_MAX = REQUEST_MAX + (1 << 18)  # a request, and less than a block on either side


def _legal(view: View) -> z3.BitVecRef:
    """The bytes from the request's first to the last legal one."""
    return view["_getpages.memeof"] - view["_getpages.origoffset"]


def _legal_pages(view: View) -> z3.BoolRef:
    """268: no more pages than hold them."""
    most = _rounded(_legal(view), page(view)) >> view["PAGE_SHIFT"]
    asked = view["a_count"]
    return view["_getpages.orignpages"] == z3.If(asked <= most, asked, most)


def _limits(view: View) -> z3.BoolRef:
    return z3.And(
        between(1, view["a_count"], 1 << 21), _legal(view) >= ONE,
        _legal(view) <= exact(FILE_MAX + REQUEST_MAX) + block(view),
        pages(view, view["a_count"]) <= exact(REQUEST_MAX),
    )  # fmt: skip


def _enough(view: View) -> z3.BoolRef:
    """The last page has a legal byte; none further has, or none was asked for."""
    asked = _asked(view)
    return z3.And(
        asked - page(view) < _legal(view), between(1, asked, REQUEST_MAX),
        z3.Or(view["_getpages.orignpages"] == view["a_count"], _legal(view) <= asked),
    )  # fmt: skip


def _last_page(view: View) -> z3.BitVecRef:
    """Where the request's last page begins."""
    return _last(view) - page(view)


def _inside_by(view: View) -> z3.BitVecRef:
    """So many legal bytes the last page has, or more where it is cut."""
    return _legal(view) - _asked(view) + page(view)


def _beyond_by(view: View) -> z3.BitVecRef:
    """So far behind the legal bytes the request ends."""
    return _asked(view) - _legal(view)


def _inside_file(view: View) -> z3.BoolRef:
    """The first distance, in the file."""
    return view["_getpages.memeof"] - _last_page(view) == _inside_by(view)


def _beyond_file(view: View) -> z3.BoolRef:
    """The other."""
    return _last(view) - view["_getpages.memeof"] == _beyond_by(view)


def _some_inside(view: View) -> z3.BoolRef:
    return _inside_by(view) > ZERO


def _all_or_beyond(view: View) -> z3.BoolRef:
    return z3.Or(view["_getpages.orignpages"] == view["a_count"], _beyond_by(view) >= ZERO)


def _in_file(view: View) -> z3.BoolRef:
    most = FILE_MAX + REQUEST_MAX
    return z3.And(between(-(1 << 16), _last_page(view), most), between(0, _last(view), most))


def _last_legal(view: View) -> z3.BoolRef:
    """268: the last page begins before the legal ones end."""
    return _last_page(view) < view["_getpages.memeof"]


def _none_further(view: View) -> z3.BoolRef:
    """And no legal page further on was asked for."""
    return z3.Or(view["_getpages.orignpages"] == view["a_count"],
                 view["_getpages.memeof"] <= _last(view))


def _places(view: View) -> z3.BoolRef:
    origin, memeof = view["_getpages.origoffset"], view["_getpages.memeof"]
    most = FILE_MAX + REQUEST_MAX + (1 << 16)
    return z3.And(between(0, origin, FILE_MAX), between(0, memeof, most))


def at_request(line: int) -> tuple[Lemma, ...]:
    """271: the pages asked for that are legal."""
    return placed(line, [
        stated("shifts", _shifts), stated("limits", _limits), stated("places", _places),
        stated("legal-pages", _legal_pages),
        derived("enough", _enough, "shifts", "limits", "legal-pages", opaque=[_legal]),
        derived("sizes", _sizes, "shifts"),
        derived("inside-file", _inside_file, "shifts"),
        derived("beyond-file", _beyond_file, "shifts"),
        derived("some-inside", _some_inside, "sizes", "enough", "limits", opaque=[_asked, _legal]),
        derived("all-or-beyond", _all_or_beyond, "enough", "limits", opaque=[_asked, _legal]),
        derived("in-file", _in_file, "sizes", "enough", "places", opaque=[_asked]),
        derived("last-legal", _last_legal, "inside-file", "some-inside", "in-file", "places",
                opaque=[_inside_by, _last_page, _last]),
        derived("none-further", _none_further, "beyond-file", "all-or-beyond", "in-file",
                "places", opaque=[_beyond_by, _last_page, _last]),
    ])  # fmt: skip


def _last(view: View) -> z3.BitVecRef:
    """Where the request ends."""
    return view["_getpages.origoffset"] + pages(view, view["_getpages.orignpages"])


def _rounded(value: z3.BitVecRef, size: z3.BitVecRef) -> z3.BitVecRef:
    return (value + size - ONE) & ~(size - ONE)


def _shifts(view: View) -> z3.BoolRef:
    return z3.And(between(9, view["PAGE_SHIFT"], 16), between(9, view["FS_BSHIFT"], 16))


def _sizes(view: View) -> z3.BoolRef:
    """The same, as numbers of bytes."""
    return z3.And(
        between(1 << 9, page(view), 1 << 16), between(1 << 9, block(view), 1 << 16)
    )


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


def at_length(line: int) -> tuple[Lemma, ...]:
    """277: how long the window is at most."""
    return placed(line, [
        stated("shifts", _shifts), stated("apart", _apart),
        derived("length", _length, "shifts", "apart", opaque=[_asked]),

    ])  # fmt: skip


def _before(view: View) -> z3.BitVecRef:
    """The bytes of the window before the request."""
    return view["_getpages.origoffset"] - view["_getpages.startoffset"]


def _window(view: View) -> z3.BitVecRef:
    return view["_getpages.endoffset"] - view["_getpages.startoffset"]


def _counts(view: View) -> z3.BoolRef:
    """275-278: the index and the slots, as whole numbers of pages."""
    shift = view["PAGE_SHIFT"]
    return z3.And(
        view["_getpages.ridx"] == _before(view) >> shift,
        view["_getpages.pgs_size"] >> 3 == _window(view) >> shift,
    )


def _within(view: View) -> z3.BoolRef:
    """The request lies inside the window."""
    return z3.And(
        between(0, _before(view), 1 << 16), between(1, _window(view), WINDOW_MAX),
        between(1, _asked(view), REQUEST_MAX), _before(view) + _asked(view) <= _window(view),
    )  # fmt: skip


def _few(view: View) -> z3.BoolRef:
    return between(1, view["_getpages.orignpages"], 1 << 21)


def _slots(view: View) -> z3.BoolRef:
    """So do its slots in the array."""
    ridx = view["_getpages.ridx"]
    return ridx + view["_getpages.orignpages"] <= view["_getpages.pgs_size"] >> 3


def at_slots(line: int) -> tuple[Lemma, ...]:
    """279: the request's slots are in the array."""
    return placed(line, [
        stated("shifts", _shifts), stated("counts", _counts), stated("within", _within),
        stated("few", _few),
        derived("slots", _slots, "shifts", "counts", "within", "few", opaque=[_before, _window]),
    ])  # fmt: skip
