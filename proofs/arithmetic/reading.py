"""The I/O of genfs_getpages (402-565): tail, read loop, the hole's pages; cuts and invariants.

At 402, where the I/O begins, the routine is cut: what follows rests on :func:`at_402`, which is
proved there, alone.
"""

from __future__ import annotations

from collections.abc import Callable

import z3

from ...checker.symbolic.state import View, exact
from .common import (
    FILE_MAX,
    SECTOR_MAX,
    aligned,
    between,
    block,
    page,
    page_of,
    pages,
    sizes,
    small,
)
from .hole_steps import at_hole
from .lemmas import behind, each_way, placed
from .loop_steps import Round
from .page_steps import at_piece, reached
from .piece import READ, new, so_far
from .request import start_of_watch
from .window_steps import WINDOW_MAX

ZERO, ONE = exact(0), exact(1)


# ---------------------------------------------------------------------------- the I/O


def io_facts(view: View) -> list[z3.BoolRef]:
    """What stays true of the window during the I/O."""
    npages, start = view["_getpages.npages"], view["_getpages.startoffset"]
    return [
        sizes(view),
        ONE <= npages, pages(view, npages) <= exact(WINDOW_MAX),
        view["_getpages.pgs_size"] == npages << 3,
        aligned(start, page(view)), aligned(start, block(view)),
        ZERO <= start, start <= exact(FILE_MAX),
        # (where the window starts, a legal page or an earlier one of its block is)
        between(ZERO, view["_getpages.diskeof"], exact(FILE_MAX) + block(view)),
        ZERO <= view["_getpages.ridx"], ONE <= view["_getpages.orignpages"],
        view["_getpages.orignpages"] <= view["a_count"],
        view["_getpages.ridx"] + view["_getpages.orignpages"] <= npages,
        between(-1, view["watch.blkno"], 2 * SECTOR_MAX),
    ]  # fmt: skip


def at_402(view: View) -> z3.BoolRef:
    """Where the I/O begins."""
    return z3.And(*io_facts(view), *start_of_watch(view))


def watched(view: View) -> list[z3.BoolRef]:
    """The watched byte is any byte of the window; what it is called in the file."""
    position = view["watch.position"]
    return [
        small(position), position < pages(view, view["_getpages.npages"]),
        view["watch.file"] == view["_getpages.startoffset"] + position,
    ]


def untouched(view: View) -> z3.BoolRef:
    """Nothing was done to the watched byte."""
    return z3.And(view["watch.reads"] == ZERO, view["watch.zeroes"] == ZERO)


def zeroed(view: View) -> z3.BoolRef:
    """It was zeroed, once, if its page is new; otherwise nothing was done."""
    once = z3.And(view["watch.reads"] == ZERO, view["watch.zeroes"] == ONE)
    return z3.If(new(view), once, untouched(view))


def filled(view: View) -> z3.BoolRef:
    """It was read or zeroed, once, if its page is new; otherwise nothing was done."""
    reads, zeroes = view["watch.reads"], view["watch.zeroes"]
    once = z3.Or(z3.And(reads == ONE, zeroes == ZERO), z3.And(reads == ZERO, zeroes == ONE))
    return z3.If(new(view), once, untouched(view))


def on_disk(view: View) -> list[z3.BoolRef]:
    """402-403: the window's bytes, and those of them before the end of the file on disk."""
    total, below = view["_io.totalbytes"], view["_io.bytes_"]
    start, eof = view["_getpages.startoffset"], view["_getpages.diskeof"]
    return [
        total == pages(view, view["_getpages.npages"]), small(total), small(below),
        below == z3.If(eof < start, ZERO, z3.If(eof - start < total, eof - start, total)),
        view["watch.window"] == total, below <= total,
    ]


def at_434(view: View) -> z3.BoolRef:
    """Where the tail begins: it is what the disk does not hold."""
    return z3.And(
        *io_facts(view), *watched(view), *on_disk(view), *start_of_io(view),
        view["_io.tailstart"] == view["_io.bytes_"],
        view["_io.tailbytes"] == view["_io.totalbytes"] - view["_io.bytes_"],
    )  # fmt: skip


def start_of_io(view: View) -> list[z3.BoolRef]:
    """The master buffer (413) is set up, and nothing else was done."""
    names = ("transferred", "reads", "zeroes")
    return [*(view[f"watch.{name}"] == ZERO for name in names), *master(view)]


def tail(view: View) -> z3.BoolRef:
    """434: so far everything from the end on disk to ``tailstart`` was zeroed, nothing else."""
    start, left = view["_io.tailstart"], view["_io.tailbytes"]
    position = view["watch.position"]
    done = z3.And(view["_io.bytes_"] <= position, position < start)
    return z3.And(
        left == view["_io.totalbytes"] - start, small(left), small(start),
        view["_io.bytes_"] <= start,
        z3.Or(start == view["_io.bytes_"], aligned(start, page(view))),
        z3.If(done, zeroed(view), untouched(view)),
    )


def progress(view: View, left: z3.BitVecRef) -> list[z3.BoolRef]:
    """What the read loop has done when ``left`` bytes are to do."""
    offset, start = view["_read_loop.offset"], view["_getpages.startoffset"]
    skipped = view["_read_loop.skipbytes"]
    return [
        offset == start + view["_io.bytes_"] - left,
        small(left), left <= view["_io.bytes_"],
        z3.Implies(left > ZERO, aligned(offset, exact(1) << view["DEV_BSHIFT"])),
        small(skipped), skipped + left <= view["_io.bytes_"],
        *master(view),
        view["_read_loop.fs_bshift"] == view["FS_BSHIFT"],
        view["_read_loop.dev_bshift"] == view["DEV_BSHIFT"],
    ]  # fmt: skip


def inside_new(view: View) -> z3.BoolRef:
    """``offset`` is inside a page only if that is new (of which the watched one is an example)."""
    offset, left = view["_read_loop.offset"], view["_read_loop.bytes_"]
    mid_page = z3.Not(aligned(offset, page(view)))
    same = page_of(view, view["watch.position"]) == page_of(view, so_far(view))
    return z3.Implies(z3.And(left > ZERO, mid_page, same), new(view))


def master(view: View) -> list[z3.BoolRef]:
    """The master buffer (413) is as it was set up."""
    koff = z3.Select(view.array("bufs.koff"), z3.BitVecVal(0, 32))
    count = z3.Select(view.array("bufs.b_bcount"), z3.BitVecVal(0, 32))
    return [
        koff == 0, count == view["_io.bytes_"],
        view["watch.asked"] == ONE, view["_io.mbp"] == ZERO,
    ]  # fmt: skip


def covered(view: View, done: z3.BitVecRef) -> z3.BoolRef:
    """The read loop's part of the window, of which so many bytes are done, and the tail's."""
    position = view["watch.position"]
    return z3.If(
        position < done, filled(view),
        z3.If(position < view["_io.bytes_"], untouched(view), zeroed(view)),
    )  # fmt: skip


ROUND = Round(READ, lambda view: view["_io.bytes_"], covered)
coverage, accounted = ROUND.coverage, ROUND.summed


def read_loop(view: View) -> list[z3.BoolRef]:
    """453."""
    left = view["_read_loop.bytes_"]
    return [*progress(view, left), view["_read_loop.error"] == ZERO]


def skip_loop(view: View) -> list[z3.BoolRef]:
    """461: the same, and the page looked at is the one that holds ``offset``."""
    left = view["_read_loop.bytes_"]
    return [*progress(view, left), left > ZERO,
            view["_read_loop.pidx"] == page_of(view, so_far(view))]


def at_486(view: View) -> list[z3.BoolRef]:
    """Where a page that is not valid was reached."""
    left = view["_read_loop.bytes_"]
    return [
        *io_facts(view), *watched(view), *on_disk(view), *progress(view, left),
        view["_read_loop.error"] == ZERO, left > ZERO,
        view["_read_loop.pidx"] == page_of(view, so_far(view)),
    ]  # fmt: skip


def at_519(view: View) -> list[z3.BoolRef]:
    """Where a piece is known: not nothing, nor more than is left, nor past the block's run."""
    left, offset = view["_read_loop.bytes_"], view["_read_loop.offset"]
    size, lbn = view["_read_loop.iobytes"], view["_read_loop.lbn"]
    return [
        *io_facts(view), *watched(view), *on_disk(view), *progress(view, left),
        view["_read_loop.error"] == ZERO,
        view["_read_loop.pidx"] == page_of(view, so_far(view)),
        between(-1, view["_read_loop.blkno"], SECTOR_MAX),
        small(size), ZERO < size, size <= left,
        READ.inside_file(view),
        # (follows, in the form in which it is asked for)
        z3.ULE(size, view["watch.window"]),
        z3.ULE(so_far(view), view["watch.window"] - size),
        lbn == offset >> view["FS_BSHIFT"],
        READ.run(view), READ.ends(view),
        z3.Implies(size < left, aligned(offset + size, ONE << view["DEV_BSHIFT"])),
    ]  # fmt: skip


def at_562(view: View) -> list[z3.BoolRef]:
    """A buffer is about to be given to the device."""
    return [
        *at_519(view), *of_byte(view), *reached(view),
        *ROUND.in_round(view), READ.on_sector(view), READ.on_disk(view), READ.sector(view),
    ]  # fmt: skip


def _whole(view: View) -> z3.BoolRef:
    """451: pieces and skipped bytes are the master's, with or without an error."""
    moved, below = view["watch.transferred"], view["_io.bytes_"]
    return z3.And(
        view["_read_loop.skipbytes"] == below - moved, small(moved), moved <= below
    )


def _all(view: View) -> z3.BoolRef:
    """451: without an error the watched byte is dealt with."""
    return z3.Or(view["_read_loop.error"] != ZERO, filled(view))


# Of every byte: from the piece to where the loop ends.
BYTES = (
    *READ.at_piece(519), *at_piece(519), *ROUND.at_piece(519),
    *at_hole(529),
    *placed(547, [each_way("filled", READ.filled)]), *placed(555, READ.sectors()),
    *behind(READ.at_transfer(562)), *ROUND.at_transfer(562),
    *ROUND.at_end(527, 454),
    *placed(454, [each_way("master", lambda view: z3.And(*master(view)))]),
    *placed(451, [
        each_way("whole", _whole), each_way("all", _all),
        each_way("valid", lambda view: never_valid(view)),
        each_way("master", lambda view: z3.And(*master(view))),
    ]),
)  # fmt: skip


def at_565(view: View) -> z3.BoolRef:
    """Without an error every byte of a new page is filled once, and no other is touched."""
    error = view["_io.error"]
    return z3.Implies(error == ZERO, filled(view))


def never_valid(view: View) -> z3.BoolRef:
    """Error or not: nothing was done to a page with valid contents."""
    return z3.Or(new(view), untouched(view))


def both(*parts: Callable[[View], list[z3.BoolRef]]) -> Callable[[View], z3.BoolRef]:
    """All of them."""
    return lambda view: z3.And(*(formula for part in parts for formula in part(view)))


def of_byte(view: View) -> list[z3.BoolRef]:
    """What has become of the watched byte, and the sums, between two pieces."""
    return [inside_new(view), coverage(view), accounted(view)]
