"""What one thread sees of the locks and of one page, and what others may do to that.

The page is any page: what is proved of it is proved of each.  ``docs/decisions/0010`` has
the argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import z3

from ...checker.lang import ir
from ...checker.symbolic.contracts import KINDS, arguments, listed
from ...checker.symbolic.obligations import ME, NOBODY, Atoms, State, Treatment
from ...checker.symbolic.values import BITS, Value, as_bool
from ...checker.symbolic.view import Execution
from . import transfers
from .contract import Args
from .contracts import CONTRACTS
from .page import (
    BUSY,
    CLEAN,
    FAKE,
    FOCUS,
    IL,
    NULL_BUF,
    OWNERS,
    PAGE,
    PAGEOUT,
    Seen,
    bits,
)
from .variables import Variables

# That one waits for nothing of one's own rests on the order of offsets: not proved here.
OPEN = ("waits for a page that it owns",)


class PageRules:
    """Rules for one thread, the locks, and one page."""

    pools = frozenset({"pages", "bufs"})
    switches: frozenset[str] = frozenset()
    arrays = True

    latest: Mapping[str, int] = {"bufs": transfers.LATEST}

    def __init__(
        self, proved: Iterable[str], transfers: bool = False, finishes: bool = False,
        begins: bool = False,
    ) -> None:  # fmt: skip
        """``begins``: a thread begins with the routine, and has nothing.

        ``transfers``: the routine stores to buffers or windows.

        ``finishes``: it is the completion thread's, which takes buffers from its queue.
        """
        self.proved = frozenset(proved)
        self.transfers, self.finishes, self.begins = transfers, finishes, begins
        # Where a routine that is proved against its contract began.
        self.began: dict[str, tuple[State, Args]] = {}

    # --------------------------------------------------------------------- the view

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name == IL or var.name in PAGE or (
            self.transfers and (var.name in transfers.BUFFER or var.name in transfers.WINDOW)
        )

    def set_bit(self, var: ir.SharedVar) -> bool:
        return False

    def entry(self, execution: Execution) -> None:
        if self.transfers:
            transfers.begin(execution, not self.finishes)
        execution.assume(Seen(execution.state).exclusive)
        execution.assume(self._lives(execution))
        if self.begins:
            execution.assume(self._nothing(execution))

    def _nothing(self, execution: Execution) -> z3.BoolRef:
        """The thread has neither the object lock nor a page."""
        seen = Seen(execution.state)
        return z3.Not(z3.Or(seen.held, seen.mine))

    def _lives(self, execution: Execution) -> z3.BoolRef:
        """A buffer that has pages is in use."""
        state = execution.state
        if not self.transfers:
            return z3.BoolVal(True)
        return z3.Or(state["S", "pages.io"] != FOCUS, as_bool(state["S", "bufs.live"]))

    def treat(self, check: ir.Check) -> Treatment:
        if check.name in KINDS:
            return "contract"
        if check.message in OPEN:
            return "ignore"
        if check.name in self.proved:
            return "prove"
        return "assume" if check.name in ("kassert", "panic") else "ignore"

    def other(self, execution: Execution, name: str) -> Value | None:
        if name == "bufs.live":
            # What the thread gets is the focus, or, when it has that, the latest one.
            return z3.BoolVal(True)
        if name == "pages.flags":
            return self._alike(execution)
        return None

    def _alike(self, execution: Execution) -> Value | None:
        """The flags of another page, of which the same is known as of the one followed."""
        lines = execution.thread.code[execution.node].where.lines
        for each in self.began:
            alike = CONTRACTS[each].alike
            if alike is not None and alike.line in lines:
                local = Variables(execution)
                condition = local.truth(alike.condition)
                seen = Seen(execution.state)
                execution.oblige("alike", each, z3.Implies(
                    z3.And(local(alike.variable) == FOCUS, condition), seen.has(alike.flag)),
                    "a page is not as every page is here")  # fmt: skip
                flags = execution.new("pages.flags", z3.BitVecSort(BITS))
                execution.assume(z3.Implies(condition, bits(flags, alike.flag)))
                return flags
        return None

    # -------------------------------------------------------------------- contracts

    def changes(self, execution: Execution, check: ir.Check) -> tuple[list[int], list[str]]:
        contract = CONTRACTS[check.message]
        given = dict(zip(contract.arguments, listed(check), strict=True))
        arrays = [array for name, (_, array) in given.items()
                  if name in contract.arrays and array is not None]
        return arrays, [*PAGE, IL, *(transfers.BUFFER if contract.transfers else ())]

    def contract(self, execution: Execution, check: ir.Check) -> None:
        contract, name = CONTRACTS[check.message], check.message
        args = Args(contract.arguments, arguments(execution, check))
        if check.name == "requires" and contract.transfers:
            transfers.anything(execution)
        then = Seen(dict(execution.state))
        if check.name == "requires":
            self.began[name] = (then.state, args)
            for _, formula in contract.requires(then, args):
                execution.assume(formula)
            if contract.assumed is not None:
                execution.assume(contract.assumed(args))
            return
        if check.name == "ensures":
            begun = Seen(self.began[name][0])
            for text, formula in contract.ensures(begun, then, args):
                execution.oblige("end", name, formula, text)
            for argument, given in zip(contract.arguments, arguments(execution, check),
                                       strict=True):
                if given.array is not None and argument not in contract.arrays:
                    execution.oblige("end", name, then.as_in(begun, args.slots(argument)),
                                     "an array is changed that callers think is not")
            return
        for text, formula in contract.requires(then, args):
            execution.oblige("call", name, formula, f"{text} (calls {name})")
        self.guarantee(execution)
        if contract.transfers:
            transfers.anything(execution)
        elif self.transfers:
            transfers.interfere(execution, not self.finishes)
        self._anything(execution)
        for array in self.changes(execution, check)[0]:
            execution.new_array(array, execution.thread.locals[array].domain, twice=True)
        now = Seen(execution.state)
        execution.assume(now.exclusive)
        execution.assume(self._lives(execution))
        for _, formula in contract.ensures(then, now, args):
            execution.assume(formula)
        self.unit(execution)

    def hints(
        self, execution: Execution, assigned: frozenset[int]
    ) -> Mapping[str, z3.BoolRef]:
        """Those of the contract that the routine is held to."""
        found = {"has nothing": self._nothing(execution)} if self.begins else {}
        return found | {
            text: formula
            for name, (state, args) in self.began.items()
            for text, formula in CONTRACTS[name].hints(
                Seen(state), Seen(execution.state), args, Variables(execution, assigned)
            )
        }

    def _anything(self, execution: Execution) -> None:
        """A page of which nothing is known, and the lock."""
        for name in (*PAGE, IL):
            var = execution.program.shared[execution.names[name]]
            execution.state["S", name] = execution.fresh(name, var.domain)

    # ------------------------------------------------------------- rely and guarantee

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        state = execution.state
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        state["S", IL] = z3.If(state["S", IL] == ME, z3.IntVal(ME), other)
        then = Seen(dict(state))
        kept = z3.BoolVal(False)
        if self.transfers:
            kept = transfers.interfere(execution, not self.finishes)
        self._page(execution, then, IL in assigned, kept)
        execution.facts.append(self._lives(execution))

    def _page(
        self, execution: Execution, then: Seen, released: bool, transfer: z3.BoolRef
    ) -> None:
        """What others may do to the page: to a thread's own they set WANTED.

        ``transfer``: nobody else touches the thread's buffer, and so which pages it has.
        """
        state = execution.state
        has = transfers.Buffer(then).has_page
        own = z3.Or(then.mine, z3.And(transfer, has))
        kept = z3.BoolVal(False) if released else then.held
        self._fresh_page(execution)
        now = Seen(state)
        execution.facts.append(z3.Implies(
            z3.And(kept, z3.Not(then.mine)), now.owned == then.owned))
        owners = z3.BitVecVal(OWNERS, BITS)
        flags, old = state["S", "pages.flags"], then.state["S", "pages.flags"]
        execution.facts.append(z3.Implies(own, (flags & owners) == (old & owners)))
        execution.facts.append(z3.Implies(
            z3.And(transfer, z3.Not(has)), state["S", "pages.io"] != FOCUS))
        for name, same in (("flags", kept), ("live", z3.Or(kept, own)),
                           ("io", own), ("owner", own)):
            key = ("S", f"pages.{name}")
            state[key] = z3.If(same, then.state[key], state[key])

    def _fresh_page(self, execution: Execution) -> None:
        """In front of a step of this thread's nobody else is it."""
        state = execution.state
        owner = execution.new("pages.owner", z3.IntSort())
        io = execution.new("pages.io", z3.IntSort())
        state["S", "pages.owner"], state["S", "pages.io"] = owner, io
        state["S", "pages.flags"] = execution.new("pages.flags", z3.BitVecSort(BITS))
        state["S", "pages.live"] = execution.truth("pages.live")
        execution.facts.append(z3.And(
            owner >= NOBODY, io >= 0, io <= NULL_BUF, Seen(state).exclusive,
            z3.ULT(state["S", "pages.flags"], 1 << 7),
        ))  # fmt: skip

    def unit(self, execution: Execution) -> None:
        for name in (*PAGE, IL):
            execution.state["G", name] = execution.state["S", name]

    def _owed(self, execution: Execution) -> Iterator[tuple[str, str, z3.BoolRef]]:
        """What the unit so far owes other threads."""
        state = execution.state
        now = Seen(state)
        then = Seen({("S", name): value for (kind, name), value in state.items() if kind == "G"})
        was_flags, flags = then.state["S", "pages.flags"], state["S", "pages.flags"]
        same = z3.And(*(state["S", name] == then.state["S", name]
                        for name in ("pages.owner", "pages.io")))
        lives = now.live == then.live
        owners = z3.BitVecVal(OWNERS, BITS)
        yield "one owner", "a thread and a buffer own a page at once", now.exclusive
        yield "others' pages", "a page that another owns is changed", z3.Implies(
            z3.And(z3.Not(then.mine), then.owned),
            z3.Or(
                z3.And(same, lives, (flags & owners) == (was_flags & owners)),
                # Who starts transfers may change flags still; who finishes takes the page.
                z3.And(self._own_buffer(execution),
                       z3.Or(z3.BoolVal(self.finishes), z3.And(same, lives))),
            ),
        )
        yield "without the lock", "flags, or who has the page, change without the lock", z3.Or(
            then.held, z3.And(flags == was_flags, now.owned == then.owned, lives))

    def _own_buffer(self, execution: Execution) -> z3.BoolRef:
        """Had the thread's own buffer the page?"""
        if not self.transfers:
            return z3.BoolVal(False)
        return z3.And(execution.state["G", "pages.io"] == FOCUS,
                      as_bool(execution.state["S", "buffer.mine"]))

    def guarantee(self, execution: Execution) -> None:
        state = execution.state
        if self.transfers:
            transfers.guarantee(execution)
        if all(state["G", name].eq(state["S", name]) for name in PAGE):
            return
        for name, text, formula in self._owed(execution):
            execution.oblige("guarantee", name, formula, text)

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "object lock", Seen(execution.state).resource,
                             "the object lock is released with a page out of order")
        if name == "pages.flags" and not z3.is_bv_value(z3.simplify(value)):
            # (A constant is what a page gets that is made or freed.)
            self._clears(execution, focus, value)
        if name == "pages.live" and z3.is_false(z3.simplify(as_bool(value))):
            execution.oblige("freed", name, z3.Implies(focus, Seen(execution.state).live),
                             "a page is freed that is not in use")
        if self.transfers:
            transfers.before(execution, name, focus, value)
        elif name in transfers.BUFFER or name in transfers.WINDOW or name == "kvas.live":
            raise ValueError(f"{execution.thread.name} stores to {name}: say that it transfers")

    def _clears(self, execution: Execution, focus: z3.BoolRef, value: Value) -> None:
        """Theorem protocol-dirty-implies-listed rests on it."""
        seen = Seen(execution.state)
        word = seen.state["S", "pages.flags"]
        assert isinstance(word, z3.BitVecRef) and isinstance(value, z3.BitVecRef)
        own = seen.mine
        if self.transfers:
            buffer = transfers.Buffer(seen)
            own = z3.Or(own, z3.And(buffer.mine, buffer.has_page))
        execution.oblige("clears", "pages.flags", z3.Implies(
            z3.And(focus, bits(word & ~value, BUSY | FAKE | CLEAN)), own),
            "BUSY, FAKE or CLEAN is cleared by who does not own the page")

    def stored(self, execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
        if self.transfers:
            transfers.stored(execution, name, latest, value)

    def renamed(self, execution: Execution) -> None:
        if self.transfers:
            transfers.renamed(execution)

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == ME:
            execution.assume(Seen(execution.state).resource)

    def read(self, execution: Execution, name: str, value: Value) -> None:
        if name in ("vnodes.tree", "vnodes.memq"):
            execution.assume(z3.Implies(value == FOCUS, as_bool(execution.shared("pages.live"))))
        elif name == "kvas.live":
            # The window that the thread gets is the one that is compiled.
            execution.assume(z3.Not(as_bool(value)))
        elif name == "uvm.aiodone" and self.finishes:
            execution.assume(value == FOCUS)

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        if self.transfers:
            transfers.listed(execution, name, node, insert)

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        pass

    def atoms(self, execution: Execution) -> Atoms:
        page, locks = frozenset(PAGE), frozenset({IL})
        seen = Seen(execution.state)
        found = {
            "mine": (seen.mine, page),
            "one owner": (seen.exclusive, page),
            "in order": (seen.resource, page | locks),
            "no pageout": (z3.Not(seen.has(PAGEOUT)), page),
            "to be kept if mine": (seen.valid, page),
            "object lock": (seen.held, locks),
        }
        for name, _, formula in self._owed(execution):
            found[f"owed: {name}"] = (formula, page | locks)
        return found

    def about_focus(self, atom: str) -> bool:
        return atom != "object lock"

    def placed(self, atom: str) -> bool:
        return atom == "mine"

    def end(self, execution: Execution) -> None:
        if self.begins:
            execution.oblige("end", "nothing", self._nothing(execution),
                             "a thread ends with the object lock, or a page")
        if self.transfers and not any(CONTRACTS[name].transfers for name in self.began):
            buffer = transfers.Buffer(Seen(execution.state))
            execution.oblige("end", "buffer", z3.And(
                z3.Not(buffer.right), z3.Or(buffer.mine, z3.Not(
                    as_bool(execution.state["S", "window.mine"])))),
                "a buffer or a window stays with the thread")  # fmt: skip
