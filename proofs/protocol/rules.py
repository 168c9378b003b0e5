"""What one thread sees of the locks and of one page, and what others may do to that.

The page is any page: what is proved of it is proved of each.  ``docs/decisions/0010`` has
the argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import z3

from ...checker.lang import ir
from ...checker.symbolic.values import BITS, Value, as_bool
from ...checker.symbolic.view import ME, NOBODY, Atoms, Execution, Treatment

FOCUS = 1
NULL_BUF = 2  # compiled with two buffers: any other one, and the thread's own
BUSY, WANTED, FAKE, CLEAN, RDONLY, RELEASED, PAGEOUT = (1 << n for n in range(7))
# Of a page that a thread owns, only that thread changes these: all but WANTED.
OWNERS = BUSY | FAKE | CLEAN | RDONLY | RELEASED | PAGEOUT
PAGE = ("pages.flags", "pages.owner", "pages.io", "pages.live")
# The thread's own master buffer and window, while it starts transfers.
IO = ("bufs.b_async", "bufs.dir", "bufs.kva", "bufs.live", "kvas.npages", "kvas.map")
IL = "vnodes.interlock.owner"

# Of the contracts around calls: who owns pages afterwards.
RETURNS = ("leaves the caller with busy pages", "owns pages that it did not return")
# That one waits for nothing of one's own rests on the order of offsets: not proved here.
OPEN = ("waits for a page that it owns",)

Entry = Callable[[Execution, "PageRules"], None]


def bits(value: Value, mask: int) -> z3.BoolRef:
    """Is any of the flags set?"""
    return (value & z3.BitVecVal(mask, BITS)) != 0


class PageRules:
    """Rules for one thread, the locks, and one page."""

    pools = frozenset({"pages", "bufs"})
    switches: frozenset[str] = frozenset()
    arrays = True

    def __init__(self, proved: Iterable[str], enter: Entry, leave: Entry | None = None) -> None:
        self.proved = frozenset(proved)
        self.enter, self.leave = enter, leave

    # --------------------------------------------------------------------- the view

    def tracked(self, var: ir.SharedVar) -> bool:
        name = var.name
        return (
            name == IL or name in PAGE or name in IO
        )

    def set_bit(self, var: ir.SharedVar) -> bool:
        return var.name.rpartition(".")[2] in ("readers", "waiting_readers", "waiting_writers")

    def entry(self, execution: Execution) -> None:
        self.enter(execution, self)

    def treat(self, check: ir.Check) -> Treatment:
        if check.message in OPEN:
            return "ignore"
        if check.name in self.proved or check.message in RETURNS:
            return "prove"
        return "assume" if check.name in ("bounds", "kassert", "panic") else "ignore"

    def other(self, execution: Execution, name: str) -> Value | None:
        if name == "bufs.live":
            # The buffer that the thread gets while it has none is called the focus.
            taken = as_bool(execution.shared("bufs.live"))
            return z3.Or(z3.Not(taken), execution.truth("taken"))
        return None

    # -------------------------------------------------------------------- predicates

    def held(self, execution: Execution, mutex: str = IL) -> z3.BoolRef:
        return execution.shared(mutex) == ME

    def mine(self, execution: Execution) -> z3.BoolRef:
        return execution.shared("pages.owner") == ME

    def owned(self, execution: Execution) -> z3.BoolRef:
        """By a thread or a buffer."""
        return z3.Or(execution.shared("pages.owner") != NOBODY,
                     execution.shared("pages.io") != NULL_BUF)

    def exclusive(self, execution: Execution) -> z3.BoolRef:
        return z3.Or(execution.shared("pages.owner") == NOBODY,
                     execution.shared("pages.io") == NULL_BUF)

    def resource(self, execution: Execution) -> z3.BoolRef:
        """What the object lock protects, where it is free."""
        flags = execution.shared("pages.flags")
        return z3.And(
            bits(flags, BUSY) == self.owned(execution),
            z3.Or(as_bool(execution.shared("pages.live")), z3.Not(self.owned(execution))),
            z3.Implies(bits(flags, RELEASED | PAGEOUT | FAKE | WANTED), bits(flags, BUSY)),
        )

    # ------------------------------------------------------------- rely and guarantee

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        state = execution.state
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        state["S", IL] = z3.If(state["S", IL] == ME, z3.IntVal(ME), other)
        self._page(execution, IL in assigned)

    def _page(self, execution: Execution, released: bool) -> None:
        state = execution.state
        mine, owned = self.mine(execution), self.owned(execution)
        kept = z3.BoolVal(False) if released else self.held(execution)
        owner = execution.new("pages.owner", z3.IntSort())
        io = execution.new("pages.io", z3.IntSort())
        flags = execution.new("pages.flags", z3.BitVecSort(BITS))
        live = execution.truth("pages.live")
        old = state["S", "pages.flags"]
        execution.facts.append(z3.And(
            owner >= NOBODY, io >= 0, io <= NULL_BUF, z3.Or(owner == NOBODY, io == NULL_BUF),
            z3.ULT(flags, 1 << 7),
        ))  # fmt: skip
        ownership = z3.Or(owner != NOBODY, io != NULL_BUF)
        execution.facts.append(z3.Implies(z3.And(kept, z3.Not(mine)), ownership == owned))
        execution.facts.append(z3.Implies(
            mine, (flags & z3.BitVecVal(OWNERS, BITS)) == (old & z3.BitVecVal(OWNERS, BITS))
        ))  # fmt: skip
        state["S", "pages.flags"] = z3.If(kept, old, flags)
        was = as_bool(state["S", "pages.live"])
        state["S", "pages.live"] = z3.If(z3.Or(kept, mine), was, live)
        state["S", "pages.io"] = z3.If(mine, state["S", "pages.io"], io)
        state["S", "pages.owner"] = z3.If(mine, z3.IntVal(ME), owner)

    def unit(self, execution: Execution) -> None:
        for name in (*PAGE, IL):
            execution.state["G", name] = execution.state["S", name]

    def _owed(self, execution: Execution) -> Iterator[tuple[str, str, z3.BoolRef]]:
        """What the unit so far owes other threads."""
        state = execution.state
        was_owner, was_io = state["G", "pages.owner"], state["G", "pages.io"]
        was_flags, flags = state["G", "pages.flags"], state["S", "pages.flags"]
        same = z3.And(state["S", "pages.owner"] == was_owner, state["S", "pages.io"] == was_io)
        lives = state["S", "pages.live"] == state["G", "pages.live"]
        was_owned = z3.Or(was_owner != NOBODY, was_io != NULL_BUF)
        owners = z3.BitVecVal(OWNERS, BITS)
        taken = self.hands(execution)
        yield "one owner", "a thread and a buffer own a page at once", self.exclusive(execution)
        yield "others' pages", "a page that another owns is changed", z3.Implies(
            z3.And(was_owner != ME, was_owned),
            z3.Or(z3.And(same, lives, (flags & owners) == (was_flags & owners)), taken),
        )
        yield "without the lock", "a page becomes busy or free without the object lock", z3.Or(
            state["G", IL] == ME, z3.And(
                bits(flags, BUSY) == bits(was_flags, BUSY), self.owned(execution) == was_owned,
                lives,
            ))  # fmt: skip

    def hands(self, execution: Execution) -> z3.BoolRef:
        """Did the unit take the page over from a buffer that has finished?"""
        return z3.BoolVal(False)

    def guarantee(self, execution: Execution) -> None:
        state = execution.state
        if all(state["G", name].eq(state["S", name]) for name in PAGE):
            return
        for name, text, formula in self._owed(execution):
            execution.oblige("guarantee", name, formula, text)

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "object lock", self.resource(execution),
                             "the object lock is released with a page out of order")

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == ME:
            execution.assume(self.resource(execution))

    def read(self, execution: Execution, name: str, value: Value) -> None:
        if name in ("vnodes.tree", "vnodes.memq"):
            execution.assume(z3.Implies(value == FOCUS, as_bool(execution.shared("pages.live"))))

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        pass

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        pass

    def atoms(self, execution: Execution) -> Atoms:
        page, locks = frozenset(PAGE), frozenset({IL})
        found = {
            "mine": (self.mine(execution), page),
            "one owner": (self.exclusive(execution), page),
            "in order": (self.resource(execution), page | locks),
            "no pageout": (z3.Not(bits(execution.shared("pages.flags"), PAGEOUT)), page),
            "object lock": (self.held(execution), locks),
        }
        for name, _, formula in self._owed(execution):
            found[f"owed: {name}"] = (formula, page | locks)
        return found

    def about_focus(self, atom: str) -> bool:
        return atom != "object lock"

    def placed(self, atom: str) -> bool:
        return atom == "mine"

    def end(self, execution: Execution) -> None:
        if self.leave is not None:
            self.leave(execution, self)
