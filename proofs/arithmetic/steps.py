"""The steps from a piece of a run to the place of a byte on disk, for both I/O loops.

genfs_getpages (486-562) and genfs_do_io (1335-1373) compute alike: a sector, and the buffer that
is given to the device.  With ``runs.py`` they are why the byte goes where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View
from .common import aligned
from .lemmas import derived, placed, stated
from .runs import ONE, ZERO, Runs, per_block, watched_block


@dataclass(frozen=True)
class Loop(Runs):
    """An I/O loop: its runs, and the transfers of their pieces."""

    def buffer(self, view: View, name: str) -> z3.BitVecRef:
        """A field of the buffer that is given to the device, with the sign its type has."""
        number = z3.Extract(31, 0, self.local(view, "bp"))
        return z3.Select(view.array(f"bufs.{name}"), number)

    def device_sector(self, view: View) -> z3.BitVecRef:
        return self.buffer(view, "b_blkno")

    def filled(self, view: View) -> z3.BoolRef:
        """The buffer is this piece's."""
        return z3.And(
            self.buffer(view, "koff") == self.done(view),
            self.buffer(view, "b_bcount") == self.local(view, "iobytes"),
        )

    def sector(self, view: View) -> z3.BoolRef:
        """It goes to this piece's place."""
        offset, lbn = self.local(view, "offset"), self.local(view, "lbn")
        return z3.And(
            self.filled(view),
            self.buffer(view, "b_blkno")
            == self.local(view, "blkno") + (
                (offset - (lbn << view["FS_BSHIFT"])) >> view["DEV_BSHIFT"]),
        )  # fmt: skip

    def on_sector(self, view: View) -> z3.BoolRef:
        return aligned(self.local(view, "offset"), ONE << view["DEV_BSHIFT"])

    def on_disk(self, view: View) -> z3.BoolRef:
        further = watched_block(view) - self.local(view, "lbn")
        where = self.local(view, "blkno") + (
            further << per_block(view))
        return z3.Implies(
            self.inside(view),
            z3.And(view["watch.blkno"] >= ZERO, view["watch.blkno"] == where),
        )

    def in_block(self, view: View) -> z3.BoolRef:
        start = self.local(view, "lbn") << view["FS_BSHIFT"]
        return self.local(view, "offset") - start == self.rest(view)

    def in_sectors(self, view: View) -> z3.BoolRef:
        shift = view["DEV_BSHIFT"]
        return (self.rest(view) >> shift) << shift == self.rest(view)

    def at_offset(self, view: View) -> z3.BoolRef:
        """The sector's bytes are where ``offset`` is on disk."""
        shift, blkno = view["DEV_BSHIFT"], self.local(view, "blkno")
        return (blkno + (self.rest(view) >> shift)) << shift == (blkno << shift) + self.rest(view)

    def at_block(self, view: View) -> z3.BoolRef:
        """The watched block's bytes are as far behind the run's as in the file."""
        shift, blkno = view["DEV_BSHIFT"], self.local(view, "blkno")
        further = watched_block(view) - self.local(view, "lbn")
        sectors = further << per_block(view)
        return (blkno + sectors) << shift == (blkno << shift) + (further << view["FS_BSHIFT"])

    def spread(self, view: View) -> z3.BoolRef:
        mine, lbn, shift = watched_block(view), self.local(view, "lbn"), view["FS_BSHIFT"]
        return (mine - lbn) << shift == (mine << shift) - (lbn << shift)

    def whole(self, view: View) -> z3.BoolRef:
        file, shift = view["watch.file"], view["FS_BSHIFT"]
        return (watched_block(view) << shift) + (file & ((ONE << shift) - ONE)) == file

    def sector_rest(self, view: View) -> z3.BoolRef:
        here = self.local(view, "blkno") + (self.rest(view) >> view["DEV_BSHIFT"])
        return self.buffer(view, "b_blkno") == here

    def here(self, view: View) -> z3.BoolRef:
        """Where the transfer begins on disk, in bytes."""
        shift, blkno = view["DEV_BSHIFT"], self.local(view, "blkno")
        return self.buffer(view, "b_blkno") << shift == (blkno << shift) + self.rest(view)

    def there(self, view: View) -> z3.BoolRef:
        """Where the watched block begins on disk, in bytes."""
        shift, blkno = view["DEV_BSHIFT"], self.local(view, "blkno")
        further = (watched_block(view) - self.local(view, "lbn")) << view["FS_BSHIFT"]
        return z3.Implies(
            self.inside(view), view["watch.blkno"] << shift == (blkno << shift) + further
        )

    def piece(self, view: View) -> z3.BoolRef:
        """What the contract looks at: is the watched byte in the buffer?"""
        position, at = view["watch.position"], self.buffer(view, "koff")
        found = z3.And(z3.ULE(at, position), z3.ULT(position - at, self.buffer(view, "b_bcount")))
        return found == self.inside(view)

    def allocated(self, view: View) -> z3.BoolRef:
        return z3.Implies(self.inside(view), view["watch.blkno"] >= ZERO)

    def address(self, view: View) -> z3.BoolRef:
        """The watched byte is transferred between its places."""
        shift = view["DEV_BSHIFT"]
        file = view["watch.file"]
        here = (self.buffer(view, "b_blkno") << shift) + (
            view["watch.position"] - self.buffer(view, "koff"))
        there = (view["watch.blkno"] << shift) + (file & ((ONE << view["FS_BSHIFT"]) - ONE))
        return z3.Implies(self.inside(view), here == there)

    def at_transfer(self, line: int) -> tuple[Lemma, ...]:
        """Where a buffer is given to the device."""
        return placed(line, [
            stated("bits", self.bits), stated("place", self.place), stated("block", self.block),
            stated("on-sector", self.on_sector), stated("sector", self.sector),
            stated("on-disk", self.on_disk), stated("watched", self.watched),
            derived("in-block", self.in_block, "block", "bits"),
            derived("in-sectors", self.in_sectors, "on-sector", "bits"),
            derived("spread-rest", self.at_offset, "in-sectors", "bits"),
            derived("at-block", self.at_block, "bits"),
            derived("spread", self.spread, "bits"),
            derived("whole", self.whole, "bits"),
            derived("sector-rest", self.sector_rest, "sector", "in-block"),
            derived("here", self.here, "sector-rest", "spread-rest",
                    opaque=[self.device_sector, self.rest]),
            derived("there", self.there, "on-disk", "at-block"),
            derived("piece", self.piece, "sector", "watched"),
            derived("allocated", self.allocated, "on-disk"),
            derived("address", self.address, "place", "sector", "here", "there", "in-block",
                  "spread", "whole"),
        ])  # fmt: skip
