"""genfs_do_io (1271-1390), and the lengths that genfs_gop_write (1219-1263) gives it."""

from __future__ import annotations

from dataclasses import replace

import z3

from ...checker.symbolic.conditions import Claim, Frame
from ...checker.symbolic.state import View, exact
from .common import (
    BUFFERS,
    FILE_MAX,
    REQUEST_MAX,
    SECTOR_MAX,
    SIZES_READ,
    WATCH,
    aligned,
    between,
    not_negative,
    sizes,
    small,
    within_files,
)
from .lemmas import behind, each_way, placed
from .loop_steps import Round, forgotten
from .steps import Loop

ZERO, ONE = exact(0), exact(1)


def entry(view: View) -> z3.BoolRef:
    """Types and parameters; nothing is watched yet; the window is what the caller mapped."""
    return z3.And(
        sizes(view),
        *(view[f"watch.{name}"] == ZERO for name in ("transferred", "reads", "zeroes", "asked")),
        between(-1, view["watch.blkno"], 2 * SECTOR_MAX),
        view["watch.window"] == view["length"],
    )


def callers(view: View) -> z3.BoolRef:
    """What putpages and direct I/O pass: whole sectors of the file, a bounded length."""
    return z3.And(
        between(0, view["off"], FILE_MAX),
        aligned(view["off"], ONE << view["DEV_BSHIFT"]),
        small(view["length"]), between(1, view["length"], REQUEST_MAX),
        view["watch.file"] == view["off"] + view["watch.position"],
        small(view["watch.position"]), view["watch.position"] < view["length"],
    )  # fmt: skip


def facts(view: View) -> list[z3.BoolRef]:
    """What stays true during the I/O."""
    return [
        sizes(view), callers(view), view["watch.window"] == view["length"],
        between(-1, view["watch.blkno"], 2 * SECTOR_MAX),
        view["genfs_do_io.fs_bshift"] == view["FS_BSHIFT"],
        view["genfs_do_io.dev_bshift"] == view["DEV_BSHIFT"],
        view["genfs_do_io.startoffset"] == view["off"],
        view.true("genfs_do_io.write") == (view["rw"] == ONE),
        view["genfs_do_io.mbp"] == ZERO, view["watch.asked"] == ONE,
        between(0, view["genfs_do_io.eof"], exact(FILE_MAX + REQUEST_MAX)),
        master(view),
    ]  # fmt: skip


def master(view: View) -> z3.BoolRef:
    """The master buffer is as it was set up (1310-1315)."""
    return z3.And(
        z3.Select(view.array("bufs.koff"), z3.BitVecVal(0, 32)) == 0,
        small(total(view)), ONE <= total(view), total(view) <= view["length"],
    )  # fmt: skip


def so_far(view: View) -> z3.BitVecRef:
    """The bytes that the loop is done with."""
    return view["genfs_do_io.offset"] - view["off"]


def total(view: View) -> z3.BitVecRef:
    """The master buffer's bytes (1315)."""
    return z3.Select(view.array("bufs.b_bcount"), z3.BitVecVal(0, 32))


def length(view: View) -> z3.BoolRef:
    """1301: no more than was mapped, and nothing past the end, if it starts before it."""
    size, eof = view["genfs_do_io.bytes_"], view["genfs_do_io.eof"]
    return z3.And(
        ONE <= size, size <= view["length"],
        z3.Implies(view["off"] < eof, size <= eof - view["off"]),
        z3.Implies(eof < view["off"], size == view["length"]),
    )  # fmt: skip


def clipped(view: View) -> z3.BoolRef:
    """1301 with the fix: nothing past the end, wherever it starts."""
    size, eof = view["genfs_do_io.bytes_"], view["genfs_do_io.eof"]
    left = eof - view["off"]
    return z3.And(
        small(size), size <= view["length"],
        size == z3.If(left <= ZERO, ZERO, z3.If(left < view["length"], left, view["length"])),
    )  # fmt: skip


def inside_file(view: View) -> z3.BoolRef:
    """1301: nothing past the end is transferred."""
    size = view["genfs_do_io.bytes_"]
    return z3.Or(size == ZERO, view["off"] + size <= view["genfs_do_io.eof"])


def progress(view: View) -> list[z3.BoolRef]:
    """What is done when ``bytes`` are left."""
    offset, left = view["genfs_do_io.offset"], view["genfs_do_io.bytes_"]
    skipped = view["genfs_do_io.skipbytes"]
    return [
        offset == view["off"] + total(view) - left,
        small(left), left <= total(view),
        z3.Implies(left > ZERO, aligned(offset, ONE << view["DEV_BSHIFT"])),
        small(skipped), skipped + left <= total(view),
    ]  # fmt: skip


def bytes_done(view: View) -> list[z3.BoolRef]:
    """The sums agree; and what became of the watched byte."""
    return [ROUND.summed(view), ROUND.coverage(view)]


def covered(view: View, done: z3.BitVecRef) -> z3.BoolRef:
    """What became of the watched byte when so many bytes are done."""
    untouched = z3.And(view["watch.reads"] == ZERO, view["watch.zeroes"] == ZERO)
    return z3.If(view["watch.position"] < done, once(view), untouched)


def once(view: View) -> z3.BoolRef:
    """The byte was transferred; or it is a hole's, and a read zeroed it."""
    reads, zeroes = view["watch.reads"], view["watch.zeroes"]
    hole = view["watch.blkno"] < ZERO
    writing = view["rw"] == ONE
    return z3.And(
        reads == z3.If(hole, ZERO, ONE),
        zeroes == z3.If(z3.And(hole, z3.Not(writing)), ONE, ZERO),
    )


def loop(view: View) -> list[z3.BoolRef]:
    """1333."""
    return [*facts(view), *progress(view), view["genfs_do_io.error"] == ZERO]


def piece(view: View) -> list[z3.BoolRef]:
    """1346: a piece is known."""
    offset, left = view["genfs_do_io.offset"], view["genfs_do_io.bytes_"]
    size, lbn = view["genfs_do_io.iobytes"], view["genfs_do_io.lbn"]
    return [
        *facts(view), *progress(view), view["genfs_do_io.error"] == ZERO,
        small(size), ZERO < size, size <= left,
        # (follows, in the form in which it is asked for)
        z3.ULE(size, view["watch.window"]),
        z3.ULE(total(view) - left, view["watch.window"] - size),
        lbn == offset >> view["FS_BSHIFT"],
        STEPS.run(view), STEPS.ends(view),
        between(-1, view["genfs_do_io.blkno"], SECTOR_MAX),
        z3.Implies(size < left, aligned(offset + size, ONE << view["DEV_BSHIFT"])),
    ]  # fmt: skip


STEPS = Loop("genfs_do_io", so_far)
ROUND = Round(STEPS, total, covered)


def finished(view: View) -> z3.BoolRef:
    """1378: without an error every byte of the request was dealt with once."""
    return z3.Implies(
        z3.And(view["genfs_do_io.error"] == ZERO, view["watch.position"] < total(view)),
        once(view),
    )


def _whole(view: View) -> z3.BoolRef:
    """1378: pieces and skipped bytes are the master's, with or without an error."""
    moved = view["watch.transferred"]
    return z3.And(
        view["genfs_do_io.skipbytes"] == total(view) - moved, small(moved), moved <= total(view)
    )


def _transfer(view: View) -> z3.BoolRef:
    """1373: a buffer is about to be given to the device."""
    return z3.And(
        *piece(view), *bytes_done(view), STEPS.mapped(view), STEPS.watched(view),
        *ROUND.in_round(view), STEPS.on_sector(view), STEPS.on_disk(view), STEPS.sector(view),
    )  # fmt: skip


BYTES = (
    *STEPS.at_piece(1346),
    *ROUND.at_piece(1346),
    *placed(1367, [each_way("filled", STEPS.filled), *STEPS.sectors()]),
    *behind(STEPS.at_transfer(1373)),
    *ROUND.at_transfer(1373),
    *ROUND.at_end(1351, 1334),
    *placed(1334, [each_way("master", master)]),
    *placed(1378, [each_way("whole", _whole)]),
)


FRAME = Frame(
    invariants={1333: lambda v: z3.And(*loop(v), *bytes_done(v))},
    cuts={1346: lambda v: z3.And(*piece(v), *bytes_done(v), STEPS.mapped(v),
                              STEPS.watched(v)),
          1373: _transfer},
    forgets={1373: forgotten(STEPS)},
    claims=(Claim("length", 1305, length), Claim("finished", 1378, finished)),
    lemmas=(*STEPS.at_end(1346), *ROUND.at_window(1346), *BYTES),
    tracked=WATCH | BUFFERS,
    reads={name: within_files for name in SIZES_READ},
)
# With the fix clip-past-eof.
CLIPPED_FRAME = replace(FRAME, claims=(Claim("length", 1305, clipped), *FRAME.claims[1:]))
ENTRY_FRAME = Frame(
    claims=(Claim("inside-file", 1305, inside_file),),
    tracked=WATCH | BUFFERS,
    reads={name: not_negative for name in SIZES_READ},
)
