"""One page, any one, as the executing thread sees it between two steps."""

from __future__ import annotations

from dataclasses import dataclass

import z3

from ...checker.symbolic.obligations import ME, NOBODY, State
from ...checker.symbolic.values import BITS, Value, as_bool

FOCUS = 1
NULL_PAGE = 2  # compiled with two pages
NULL_BUF = 3  # compiled with three buffers: any other one, the master, the latest nested one
BUSY, WANTED, FAKE, CLEAN, RDONLY, RELEASED, PAGEOUT = (1 << n for n in range(7))
# Of a page that a thread owns, only that thread changes these: all but WANTED.
OWNERS = BUSY | FAKE | CLEAN | RDONLY | RELEASED | PAGEOUT
PAGE = ("pages.flags", "pages.owner", "pages.io", "pages.live")
IL = "vnodes.interlock.owner"


def bits(value: Value, mask: int) -> z3.BoolRef:
    """Is any of the flags set?"""
    return (value & z3.BitVecVal(mask, BITS)) != 0


@dataclass(frozen=True, slots=True)
class Slots:
    """An array of references from one slot on, as a routine's argument."""

    array: int | str
    offset: z3.ArithRef


class Seen:
    """Predicates about one state of the view."""

    def __init__(self, state: State) -> None:
        self.state = state

    def has(self, mask: int) -> z3.BoolRef:
        """Has the page any of these flags?"""
        return bits(self.state["S", "pages.flags"], mask)

    @property
    def held(self) -> z3.BoolRef:
        """Has the thread the object lock?"""
        return self.state["S", IL] == ME

    @property
    def live(self) -> z3.BoolRef:
        return as_bool(self.state["S", "pages.live"])

    @property
    def mine(self) -> z3.BoolRef:
        """Does the executing thread own the page?"""
        return self.state["S", "pages.owner"] == ME

    @property
    def owned(self) -> z3.BoolRef:
        """Does a thread or a buffer own it?"""
        return z3.Or(self.state["S", "pages.owner"] != NOBODY,
                     self.state["S", "pages.io"] != NULL_BUF)

    @property
    def exclusive(self) -> z3.BoolRef:
        """Not both do."""
        return z3.Or(self.state["S", "pages.owner"] == NOBODY,
                     self.state["S", "pages.io"] == NULL_BUF)

    @property
    def resource(self) -> z3.BoolRef:
        """What holds of the page whenever the object lock is free."""
        return z3.And(
            self.has(BUSY) == self.owned,
            z3.Or(self.live, z3.Not(self.owned)),
            z3.Implies(self.has(RELEASED | PAGEOUT | FAKE | WANTED), self.has(BUSY)),
        )

    @property
    def valid(self) -> z3.BoolRef:
        """If it is the thread's own: busy, in use, and to be kept."""
        return z3.Implies(self.mine, z3.And(
            self.has(BUSY), self.live, z3.Not(self.has(RELEASED | PAGEOUT)),
        ))  # fmt: skip

    @property
    def valid_to_write(self) -> z3.BoolRef:
        """As ``valid``, but perhaps to be freed when it has been written."""
        return z3.Implies(self.mine, z3.And(self.has(BUSY), self.live))

    # ------------------------------------------------------------------------ arrays

    def anywhere(self, slots: Slots) -> z3.BoolRef:
        """Does the page stand in the array?"""
        return as_bool(self.state["in", slots.array])

    def once(self, slots: Slots) -> z3.BoolRef:
        return z3.Not(as_bool(self.state["in2", slots.array]))

    def at(self, slots: Slots) -> z3.ArithRef:
        """In which slot, counted from the first one of the argument."""
        place = self.state["at", slots.array]
        assert isinstance(place, z3.ArithRef)
        return place - slots.offset

    def again_at(self, slots: Slots) -> z3.ArithRef:
        """The second slot, if it stands in two."""
        place = self.state["at2", slots.array]
        assert isinstance(place, z3.ArithRef)
        return place - slots.offset

    def first_in(self, slots: Slots) -> z3.BoolRef:
        """Does it stand in the first slot?"""
        return z3.Or(z3.And(self.anywhere(slots), self.at(slots) == 0),
                     z3.And(z3.Not(self.once(slots)), self.again_at(slots) == 0))

    def inside(self, slots: Slots, low: z3.ArithRef | int, high: z3.ArithRef) -> z3.BoolRef:
        """Does it stand in a slot from ``low`` up to ``high``?"""
        return z3.And(self.anywhere(slots), self.at(slots) >= low, self.at(slots) < high)

    def as_in(self, other: Seen, slots: Slots) -> z3.BoolRef:
        """Does it stand where it stood in another state?"""
        return z3.And(
            self.anywhere(slots) == other.anywhere(slots),
            z3.Implies(self.anywhere(slots), self.at(slots) == other.at(slots)),
            z3.Implies(other.once(slots), self.once(slots)),
        )

    def kept(self, other: Seen) -> z3.BoolRef:
        """The thread's own page of another state still is, as it was."""
        owners = z3.BitVecVal(OWNERS, BITS)
        now, then = self.state["S", "pages.flags"], other.state["S", "pages.flags"]
        return z3.And(self.mine, self.state["S", "pages.io"] == NULL_BUF,
                      self.live == other.live, (now & owners) == (then & owners))
