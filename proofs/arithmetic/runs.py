"""A run of blocks in an I/O loop: what the block map says of the watched byte.

genfs_getpages (486-562) and genfs_do_io (1335-1373) compute alike: a block number, a run, a
piece.  Each step is a lemma that follows from few others: shifts of one number, or sums in
which shifts are opaque.
"""

from __future__ import annotations

from dataclasses import dataclass

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import FILE_MAX, between, small
from .lemmas import Number, derived, placed, stated

ZERO, ONE = exact(0), exact(1)
RUN_MAX = 1 << 30  # bytes of a run (VOP_BMAP's contract)


@dataclass(frozen=True)
class Runs:
    """What an I/O loop calls its numbers: ``routine`` is the prefix of its locals.

    ``done``: the bytes of the window before ``offset``.
    """

    routine: str
    done: Number

    def local(self, view: View, name: str) -> z3.BitVecRef:
        return view[f"{self.routine}.{name}"]

    def inside(self, view: View) -> z3.BoolRef:
        """Is the watched byte in the piece?"""
        done, position = self.done(view), view["watch.position"]
        return z3.And(done <= position, position < done + self.local(view, "iobytes"))

    # ------------------------------------------------------------ what the path says

    def bits(self, view: View) -> z3.BoolRef:
        return z3.And(between(9, view["FS_BSHIFT"], 16),
                      between(9, view["DEV_BSHIFT"], view["FS_BSHIFT"]))

    def place(self, view: View) -> z3.BoolRef:
        """The watched byte is as far from ``offset`` in the file as in the window."""
        offset = self.local(view, "offset")
        return view["watch.file"] == offset + self.to_watched(view)

    def bounds(self, view: View) -> z3.BoolRef:
        return z3.And(
            small(view["watch.position"]), small(self.done(view)),
            small(self.local(view, "iobytes")), self.inside_file(view),
        )  # fmt: skip

    def inside_file(self, view: View) -> z3.BoolRef:
        return between(0, self.local(view, "offset"), FILE_MAX + (1 << 31))

    def block(self, view: View) -> z3.BoolRef:
        return self.local(view, "lbn") == self.local(view, "offset") >> view["FS_BSHIFT"]

    def end(self, view: View) -> z3.BitVecRef:
        """Where the run ends in the file."""
        blocks = self.local(view, "lbn") + ONE + self.local(view, "run")
        return blocks << view["FS_BSHIFT"]

    def run(self, view: View) -> z3.BoolRef:
        """The run is no longer than a transfer."""
        run = self.local(view, "run")
        return z3.And(
            between(0, run, 1 << 21), (run + ONE) << view["FS_BSHIFT"] <= exact(RUN_MAX)
        )

    def ahead(self, view: View) -> z3.BoolRef:
        """The run ends behind ``offset``, not far away."""
        left = self.end(view) - self.local(view, "offset")
        return z3.And(small(left), left > ZERO, self.end(view) > ZERO)

    def block_start(self, view: View) -> z3.BoolRef:
        """``offset`` is less than a block behind its block's first byte."""
        start = self.local(view, "lbn") << view["FS_BSHIFT"]
        return z3.And(
            start == self.local(view, "offset") - self.rest(view),
            ZERO <= self.rest(view), self.rest(view) < ONE << view["FS_BSHIFT"],
        )  # fmt: skip

    def run_end(self, view: View) -> z3.BoolRef:
        """The run ends so many bytes behind that."""
        start = self.local(view, "lbn") << view["FS_BSHIFT"]
        return self.end(view) == start + self.run_bytes(view)

    def run_bytes(self, view: View) -> z3.BitVecRef:
        return (self.local(view, "run") + ONE) << view["FS_BSHIFT"]

    def one_block(self, view: View) -> z3.BoolRef:
        """A block at least."""
        return z3.And(
            ONE << view["FS_BSHIFT"] <= self.run_bytes(view),
            between(1, self.run_bytes(view), RUN_MAX),
        )

    def runs_on(self, *known: str) -> tuple[Lemma, ...]:
        """The run ends behind ``offset``; ``known``: what names the offset's bounds."""
        return (
            derived("block-start", self.block_start, "block", "bits"),
            derived("run-end", self.run_end, "bits"),
            derived("one-block", self.one_block, "bits", "run"),
            derived("ahead", self.ahead, "block-start", "run-end", "one-block", *known),
        )

    def within(self, view: View) -> z3.BoolRef:
        """501: the piece ends in the run."""
        left = self.end(view) - self.local(view, "offset")
        return self.local(view, "iobytes") <= left

    def ends(self, view: View) -> z3.BoolRef:
        return self.local(view, "offset") + self.local(view, "iobytes") <= self.end(view)

    def blocks(self, view: View) -> z3.BoolRef:
        """No number of a block is near the end of 64 bits."""
        most = 1 << 55
        return z3.And(between(0, self.local(view, "lbn"), most),
                      between(-most, watched_block(view), most))

    def contract(self, view: View) -> z3.BoolRef:
        """What VOP_BMAP says of the watched byte's block, if it is in the run."""
        lbn, run, blkno = (self.local(view, name) for name in ("lbn", "run", "blkno"))
        mine, watched = watched_block(view), view["watch.blkno"]
        where = blkno + ((mine - lbn) << per_block(view))
        return z3.And(
            between(-1, blkno, 1 << 46),
            z3.Or(mine < lbn, mine - lbn > run, z3.And(blkno < ZERO, watched < ZERO),
                  z3.And(blkno >= ZERO, watched == where)),
        )  # fmt: skip

    def rest(self, view: View) -> z3.BitVecRef:
        """The bytes of the block before ``offset``."""
        return self.local(view, "offset") & ((ONE << view["FS_BSHIFT"]) - ONE)

    # ------------------------------------------------------------- what follows alone

    def to_watched(self, view: View) -> z3.BitVecRef:
        return view["watch.position"] - self.done(view)

    def gap(self, view: View) -> z3.BoolRef:
        further = self.to_watched(view)
        return z3.Implies(
            self.inside(view), z3.And(small(further), further < self.local(view, "iobytes"))
        )

    def distance(self, view: View) -> z3.BoolRef:
        further = view["watch.file"] - self.local(view, "offset")
        return z3.Implies(
            self.inside(view), z3.And(small(further), further < self.local(view, "iobytes"))
        )

    def order(self, view: View) -> z3.BoolRef:
        offset, file = self.local(view, "offset"), view["watch.file"]
        return z3.Implies(
            self.inside(view),
            z3.And(offset <= file, file < offset + self.local(view, "iobytes")),
        )

    def not_before(self, view: View) -> z3.BoolRef:
        file = view["watch.file"]
        return z3.Implies(
            z3.And(self.local(view, "offset") <= file),
            self.local(view, "lbn") <= watched_block(view),
        )

    def not_behind(self, view: View) -> z3.BoolRef:
        lbn, run = self.local(view, "lbn"), self.local(view, "run")
        return z3.Implies(
            view["watch.file"] < (lbn + ONE + run) << view["FS_BSHIFT"],
            watched_block(view) - lbn <= run,
        )

    def in_run(self, view: View) -> z3.BoolRef:
        """The watched byte's block is in the run if it is in the piece."""
        lbn, mine = self.local(view, "lbn"), watched_block(view)
        return z3.Implies(
            self.inside(view),
            z3.And(lbn <= mine, between(0, mine - lbn, self.local(view, "run"))),
        )

    def near(self, view: View) -> z3.BoolRef:
        """So many blocks further are not many sectors further."""
        further = watched_block(view) - self.local(view, "lbn")
        sectors = further << per_block(view)
        return z3.Implies(
            between(0, further, self.local(view, "run")), between(0, sectors, RUN_MAX)
        )

    def mapped(self, view: View) -> z3.BoolRef:
        """Where the bytes of the piece are on disk, the watched one as an example."""
        blkno, watched = self.local(view, "blkno"), view["watch.blkno"]
        further = watched_block(view) - self.local(view, "lbn")
        where = blkno + (further << per_block(view))
        return z3.Implies(
            self.inside(view),
            z3.If(blkno < ZERO, watched < ZERO, z3.And(watched >= ZERO, watched == where)),
        )

    def watched(self, view: View) -> z3.BoolRef:
        """Unsigned, as the seed computes: the same as :meth:`inside`."""
        done, position = self.done(view), view["watch.position"]
        reached = z3.And(
            z3.ULE(done, position), z3.ULT(position - done, self.local(view, "iobytes"))
        )
        return self.inside(view) == reached

    def at_run(self, line: int) -> tuple[Lemma, ...]:
        """Where the block map was asked: what it says, in the proof's words."""
        return placed(line, [
            stated("bits", self.bits), stated("block", self.block), stated("run", self.run),
            stated("contract", self.contract),
        ])  # fmt: skip

    def first(self, view: View) -> z3.BoolRef:
        """501: not nothing, no more than is left, nor than the run holds."""
        size, left = self.local(view, "iobytes"), self.local(view, "bytes_")
        return z3.And(
            ONE <= size, size <= left, small(left), small(size),
            size <= self.end(view) - self.local(view, "offset"),
        )  # fmt: skip

    def at_size(self, line: int) -> tuple[Lemma, ...]:
        """Where the run's part of a piece is known."""
        return placed(line, [
            stated("bits", self.bits), stated("block", self.block), stated("run", self.run),
            stated("inside-file", self.inside_file),
            *self.runs_on("inside-file"),
            stated("first", self.first),
        ])  # fmt: skip

    def own_shifts(self, view: View) -> z3.BoolRef:
        """The routine's own names of the sizes."""
        block, sector = self.local(view, "fs_bshift"), self.local(view, "dev_bshift")
        return z3.And(between(9, block, 16), between(9, sector, block))

    def own_block(self, view: View) -> z3.BoolRef:
        offset, shift = self.local(view, "offset"), self.local(view, "fs_bshift")
        return self.local(view, "lbn") == offset >> shift

    def few(self, view: View) -> z3.BoolRef:
        """``offset`` is few sectors behind its block's first."""
        offset, lbn = self.local(view, "offset"), self.local(view, "lbn")
        behind = offset - (lbn << self.local(view, "fs_bshift"))
        return between(0, behind >> self.local(view, "dev_bshift"), 1 << 16)

    def somewhere(self, view: View) -> z3.BoolRef:
        return between(-1, self.local(view, "blkno"), 1 << 46)

    def sectors(self) -> tuple[Lemma, ...]:
        """Where the sector is computed: it is no large number."""
        return (stated("own-shifts", self.own_shifts), stated("own-block", self.own_block),
                stated("somewhere", self.somewhere),
                derived("few", self.few, "own-shifts", "own-block"))

    def at_end(self, line: int) -> tuple[Lemma, ...]:
        """Where a piece is known: it ends in the run."""
        return placed(line, [
            stated("bits", self.bits), stated("bounds", self.bounds),
            stated("block", self.block), stated("run", self.run),
            *self.runs_on("bounds"),
            stated("within", self.within),
            derived("ends", self.ends, "ahead", "within", "bounds"),
        ])  # fmt: skip

    def at_piece(self, line: int) -> tuple[Lemma, ...]:
        """There, behind :meth:`at_end`: what the block map says of its bytes."""
        return placed(line, [
            stated("place", self.place), stated("contract", self.contract),
            derived("blocks", self.blocks, "block", "bits", "bounds"),
            derived("gap", self.gap, "bounds", opaque=[self.done]),
            derived("distance", self.distance, "place", "gap", opaque=[self.to_watched]),
            derived("watched", self.watched, "bounds", opaque=[self.done]),
            derived("order", self.order, "distance", "bounds"),
            derived("not-before", self.not_before, "block", "bits", "bounds"),
            derived("not-behind", self.not_behind, "bits", "run", "blocks"),
            derived("in-run", self.in_run, "order", "not-before", "not-behind", "ends", "run",
                  "blocks"),
            derived("near", self.near, "bits", "run"),
            derived("mapped", self.mapped, "in-run", "near", "contract"),
        ])  # fmt: skip


def per_block(view: View) -> z3.BitVecRef:
    """Sectors in a block, as a shift: computed as an int, as the model does."""
    shifts = (z3.Extract(31, 0, view[name]) for name in ("FS_BSHIFT", "DEV_BSHIFT"))
    one, two = (z3.simplify(each) for each in shifts)
    return z3.SignExt(32, one - two)


def watched_block(view: View) -> z3.BitVecRef:
    """The number of the watched byte's block."""
    return view["watch.file"] >> view["FS_BSHIFT"]
