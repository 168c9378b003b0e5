"""The steps of one round of an I/O loop: what is added up, and what becomes of the watched byte.

Both loops (452-563, 1332-1374) do a piece, which is zeroed, skipped or transferred, and go on
behind it.  What a round adds to the sums is proved where the piece is known, of few numbers;
where the round ends the same formulas are found again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View, exact
from .common import aligned, small
from .lemmas import Number, behind, derived, each_way, placed, stated
from .steps import Loop

ZERO, ONE = exact(0), exact(1)


@dataclass(frozen=True)
class Round:
    """A round of a loop.

    ``total``: the bytes that the loop is to do.  ``covered``: what has become of the watched
    byte when so many of them are done.
    """

    loop: Loop
    total: Number
    covered: Callable[[View, z3.BitVecRef], z3.BoolRef]

    def left(self, view: View) -> z3.BitVecRef:
        return self.loop.local(view, "bytes_")

    def size(self, view: View) -> z3.BitVecRef:
        return self.loop.local(view, "iobytes")

    def skipped(self, view: View) -> z3.BitVecRef:
        return self.loop.local(view, "skipbytes")

    def behind(self, view: View) -> z3.BitVecRef:
        """The bytes that are done behind the piece."""
        return self.loop.done(view) + self.size(view)

    # ------------------------------------------------------------------ in front of it

    def spans(self, view: View) -> z3.BoolRef:
        """What is done and what is left are all, and in the window."""
        done, left, total = self.loop.done(view), self.left(view), self.total(view)
        window = view["watch.window"]
        return z3.And(
            small(done), small(left), small(total), small(window), done + left == total,
            total <= window,
        )  # fmt: skip

    def sized(self, view: View) -> z3.BoolRef:
        """What is left holds the piece."""
        size = self.size(view)
        return z3.And(ONE <= size, size <= self.left(view))

    def inside_window(self, view: View) -> z3.BoolRef:
        """Unsigned, as the contracts ask."""
        size, window = self.size(view), view["watch.window"]
        return z3.And(z3.ULE(size, window), z3.ULE(self.loop.done(view), window - size))

    def room(self, view: View) -> z3.BoolRef:
        """What was skipped and what is left are no more than all."""
        skipped = self.skipped(view)
        return z3.And(small(skipped), skipped + self.left(view) <= self.total(view))

    def sectors(self, view: View) -> z3.BoolRef:
        """A piece that is not the last ends at a sector."""
        end = self.loop.local(view, "offset") + self.size(view)
        sector = ONE << view["DEV_BSHIFT"]
        return z3.Implies(self.size(view) < self.left(view), aligned(end, sector))

    def summed(self, view: View) -> z3.BoolRef:
        """What is done was skipped or transferred."""
        done, moved = self.loop.done(view), view["watch.transferred"]
        return z3.And(self.skipped(view) == done - moved, small(moved), moved <= done)

    def coverage(self, view: View) -> z3.BoolRef:
        return self.covered(view, self.loop.done(view))

    def position(self, view: View) -> z3.BoolRef:
        return small(view["watch.position"])

    # ---------------------------------------------------------------------- behind it

    def rest(self, view: View) -> z3.BoolRef:
        """What is left behind the piece."""
        left, skipped = self.left(view) - self.size(view), self.skipped(view)
        end = self.loop.local(view, "offset") + self.size(view)
        return z3.And(
            small(left), left <= self.total(view),
            z3.Implies(left > ZERO, aligned(end, ONE << view["DEV_BSHIFT"])),
            small(skipped), skipped + left <= self.total(view),
        )  # fmt: skip

    def next(self, view: View) -> z3.BoolRef:
        """That, and if the piece is skipped."""
        return z3.And(self.rest(view), small(self.skipped(view) + self.size(view)))

    def added(self, view: View) -> z3.BoolRef:
        """The sums behind the piece."""
        return self._sums(view, self.skipped(view), view["watch.transferred"])

    def _sums(
        self, view: View, skipped: z3.BitVecRef, moved: z3.BitVecRef
    ) -> z3.BoolRef:
        end = self.behind(view)
        return z3.And(skipped == end - moved, small(moved), moved <= end)

    def skip_adds(self, view: View) -> z3.BoolRef:
        """If the piece is skipped."""
        moved = view["watch.transferred"]
        return self._sums(view, self.skipped(view) + self.size(view), moved)

    def transfer_adds(self, view: View) -> z3.BoolRef:
        """If it is transferred."""
        moved = view["watch.transferred"] + self.loop.buffer(view, "b_bcount")
        return self._sums(view, self.skipped(view), moved)

    def covered_behind(self, view: View) -> z3.BoolRef:
        return self.covered(view, self.behind(view))

    def kept(self, view: View) -> z3.BoolRef:
        """A byte outside of the piece is as it should be behind it."""
        return z3.Or(self.loop.inside(view), self.covered_behind(view))

    def untouched(self, view: View) -> z3.BoolRef:
        """To a byte of the piece nothing was done yet."""
        nothing = z3.And(view["watch.reads"] == ZERO, view["watch.zeroes"] == ZERO)
        return z3.Implies(self.loop.inside(view), nothing)

    # -------------------------------------------------------------------------- lemmas

    def at_window(self, line: int) -> tuple[Lemma, ...]:
        """Where the piece is known: it is inside the window."""
        return placed(line, [
            stated("spans", self.spans), stated("sized", self.sized),
            derived("inside-window", self.inside_window, "spans", "sized",
                    opaque=[self.loop.done, self.total]),
        ])  # fmt: skip

    def at_piece(self, line: int) -> tuple[Lemma, ...]:
        """There, behind the cut: the round's sums, and its bytes."""
        opaque = [self.loop.done, self.total]
        return behind(placed(line, [
            stated("spans", self.spans), stated("sized", self.sized), stated("room", self.room),
            stated("sectors", self.sectors), stated("summed", self.summed),
            stated("position", self.position), stated("coverage", self.coverage),
            derived("next", self.next, "spans", "sized", "room", "sectors", opaque=opaque),
            derived("skip-adds", self.skip_adds, "spans", "sized", "summed", opaque=opaque),
            derived("kept", self.kept, "spans", "sized", "position", "coverage", opaque=opaque),
            derived("untouched", self.untouched, "spans", "sized", "position", "coverage",
                    opaque=opaque),
        ]))  # fmt: skip

    def in_round(self, view: View) -> list[z3.BoolRef]:
        """What of this holds until the piece is done with."""
        return [self.spans(view), self.next(view), self.kept(view), self.untouched(view)]

    def at_transfer(self, line: int) -> tuple[Lemma, ...]:
        """Where a buffer is given to the device, behind the cut."""
        return behind(placed(line, [
            stated("spans", self.spans), stated("sized", self.sized),
            stated("summed", self.summed), stated("filled", self.loop.filled),
            derived("transfer-adds", self.transfer_adds, "spans", "sized", "summed", "filled",
                    opaque=[self.loop.done, self.total]),
        ]))  # fmt: skip

    def at_end(self, skipped: int, end: int) -> tuple[Lemma, ...]:
        """Where a piece was skipped, and where the round ends."""
        return (
            *placed(skipped, [each_way("hole-covered", self.covered_behind)]),
            *placed(end, [each_way("covered", self.covered_behind),
                          each_way("added", self.added), each_way("spans", self.spans),
                          each_way("rest", self.rest), each_way("sized", self.sized),
                          each_way("inside-file", self.loop.inside_file)]),
        )  # fmt: skip


def forgotten(loop: Loop) -> tuple[str, ...]:
    """What is forgotten where a buffer is given away: which one it is, and all of them."""
    return (f"{loop.routine}.bp", "bufs.koff", "bufs.b_bcount", "bufs.b_blkno")
