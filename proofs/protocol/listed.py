"""Dirty implies listed: a page that is, or may become, dirty belongs to a vnode on the worklist.

What holds of the focus, any page (``listed_contracts.Look``):

- *always*: with a writable mapping the page is in use and its vnode listed; a page that a
  buffer owns can be un-busied without harm (*kept*);
- *at rest*, whenever the object lock is free: a page is absent, busy, clean (PG_CLEAN, and not
  modified), or its vnode is listed.

Whoever takes the vnode off the list finds the page absent, or owned by nobody, clean and
mapped by nobody for writing: so what somebody owns stays listed.  For the scan of putpages that
needs a history (``history.py``).  Who owns the page is taken from theorem protocol-ownership.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.contracts import KINDS, arguments
from ...checker.symbolic.obligations import FOCUS, ME, NOBODY, Atoms, State, Treatment
from ...checker.symbolic.values import BITS, Value, as_bool
from ...checker.symbolic.view import Execution
from . import history
from .contract import Args
from .listed_contracts import LAST, LISTINGS, ONWORKLST, WRITE_ENTRY, Look
from .listed_loops import hints_of
from .listed_units import LOST, PAGE_SIZE, TRACKED
from .page import BUSY, CLEAN, FAKE, IL, NULL_BUF, OWNERS, RDONLY
from .rules import OPEN
from .variables import Variables

# A writable mapping was entered of a page that the thread does not own.
FOREIGN: Final = "ghost.foreign"
HAND_OVER: Final = "_hand_over"


def _no_stores(then: Look, now: Look) -> z3.BoolRef:
    """Nobody mapped the page for writing; it was modified through a mapping at most."""
    return z3.And(z3.Implies(now.writable, then.writable),
                  z3.Implies(now.modified, z3.Or(then.modified, then.writable)))


class ListedRules:
    """The view: the object lock, the focus, the vnode's flags and generation."""

    pools = frozenset({"pages"})
    switches: frozenset[str] = frozenset()

    def __init__(self, routine: str) -> None:
        self.routine = routine
        self.arrays = routine == "listed_read_loop"
        # Where the routine that is proved against its contract began.
        self.began: dict[str, tuple[State, Args]] = {}

    # --------------------------------------------------------------------- the view

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name in TRACKED

    def set_bit(self, var: ir.SharedVar) -> bool:
        return False

    def entry(self, execution: Execution) -> None:
        execution.state["S", FOREIGN] = z3.BoolVal(False)
        now = Look(execution.state)
        execution.assume(z3.And(now.always, now.owned_in_use))
        execution.assume(self._offset(now))
        if not self.routine.startswith("listed_"):
            execution.assume(z3.Not(z3.Or(now.held, now.mine)))

    def _offset(self, now: Look) -> z3.BoolRef:
        """Assumption "page"."""
        offset = now.state["S", "pages.offset"]
        return z3.And(offset >= 0, offset + PAGE_SIZE < LAST)

    def treat(self, check: ir.Check) -> Treatment:
        if check.name in KINDS:
            return "contract"
        if check.message in OPEN:
            return "ignore"
        assumed = ("kassert", "panic", "claim-1-ownership")
        return "assume" if check.name in assumed else "ignore"

    def other(self, execution: Execution, name: str) -> Value | None:
        if name == "pages.offset":
            # Of any other page; another scan's marker has -1.
            least = -1 if self.routine == "listed_scan" else 0
            offset = execution.new(name, z3.IntSort())
            execution.facts.append(z3.And(offset >= least, offset + PAGE_SIZE < LAST))
            return offset
        return None

    # -------------------------------------------------------------------- contracts

    def changes(self, execution: Execution, check: ir.Check) -> tuple[list[int], list[str]]:
        arrays = []
        if check.message == "_cluster":
            arrays = [number for number, var in enumerate(execution.thread.locals)
                      if var.is_array and history.followed(execution, number)]
        return arrays, list(TRACKED)

    def contract(self, execution: Execution, check: ir.Check) -> None:
        contract, name = LISTINGS[check.message], check.message
        args = Args(contract.arguments, arguments(execution, check))
        then = Look(dict(execution.state))
        if check.name == "requires":
            self.began[name] = (then.state, args)
            for _, formula in contract.requires(then, args):
                execution.assume(formula)
            execution.assume(self._in_order(then))
            if contract.alone:
                execution.assume(z3.Not(then.mine))
            return
        if check.name == "ensures":
            begun = Look(self.began[name][0])
            execution.assume(z3.And(self._in_order(then), contract.known(begun, then, args)))
            for text, formula in contract.ensures(begun, then, args):
                execution.oblige("end", name, formula, f"ends {text}")
            return
        for text, formula in contract.requires(then, args):
            execution.oblige("call", name, formula, f"{text} (calls {name})")
        if name == "_scan":
            execution.oblige(LOST, name, z3.Implies(
                args.truth("asked to clean"), args.truth("clean")),
                "a scan is not told to clean, though putpages was")  # fmt: skip
        if contract.alone:
            execution.assume(z3.Not(then.mine))
        self.guarantee(execution)
        self._anything(execution)
        if isinstance(execution, history.HistoryExecution):
            execution.let_go()
            for number in self.changes(execution, check)[0]:
                execution.forget(number)
        now = Look(execution.state)
        execution.assume(z3.And(self._invariants(now), self._in_order(now)))
        execution.assume(contract.known(then, now, args))
        for _, formula in contract.ensures(then, now, args):
            execution.assume(formula)
        self.unit(execution)

    def _in_order(self, now: Look) -> z3.BoolRef:
        """Theorem protocol-ownership, where a routine that has a contract begins or ends."""
        return z3.And(z3.Implies(now.held, now.resource),
                      z3.Implies(now.mine, z3.And(now.has(BUSY), now.live)))

    def _invariants(self, now: Look) -> z3.BoolRef:
        return z3.And(now.always, now.owned_in_use, self._offset(now))

    def _anything(self, execution: Execution) -> None:
        for name in TRACKED:
            var = execution.program.shared[execution.names[name]]
            execution.state["S", name] = execution.fresh(name, var.domain)

    def hints(
        self, execution: Execution, assigned: frozenset[int]
    ) -> Mapping[str, z3.BoolRef]:
        """What may be an invariant of any loop; and the scan's history."""
        found = hints_of(execution, self.routine, self.began, Variables(execution, assigned))
        found |= {f"owed: {name}": formula for name, _, formula in self._owed(execution)}
        return found

    # ------------------------------------------------------------- rely and guarantee

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        state = execution.state
        then = Look(dict(state))
        mine = z3.BoolVal(False) if "pages.owner" in assigned else then.mine
        none = z3.BoolVal(False) if "pages.owner" in assigned else z3.Not(then.mine)
        held = z3.BoolVal(False) if IL in assigned else then.held
        self._anything(execution)
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        state["S", IL] = z3.If(then.held, z3.IntVal(ME), other)
        now = Look(state)
        owners = z3.BitVecVal(OWNERS, BITS)
        flags, old = state["S", "pages.flags"], then.state["S", "pages.flags"]

        def same(*names: str) -> z3.BoolRef:
            return z3.And([state["S", name] == then.state["S", name] for name in names])

        # A loop that changes mappings itself may have had a store through another.
        stores = z3.BoolVal(True) if "pages.pte" in assigned else _no_stores(then, now)
        execution.facts.append(z3.And(
            self._invariants(now),
            z3.Implies(mine, z3.And(
                same("pages.owner", "pages.io", "pages.live", "pages.offset"), stores,
                (flags & owners) == (old & owners), z3.Implies(then.listed, now.listed))),
            z3.Implies(none, z3.Not(now.mine)),
            z3.Implies(held, z3.And(
                same("pages.live", "pages.offset", "vnodes.v_iflag", "vnodes.g_dirtygen"),
                stores, flags == old, now.owned == then.owned)),
        ))  # fmt: skip

    def unit(self, execution: Execution) -> None:
        for name in TRACKED:
            execution.state["G", name] = execution.state["S", name]

    def guarantee(self, execution: Execution) -> None:
        """What ``interfere`` lets others rely on, as far as no other theorem proves it."""
        state = execution.state
        if all(state["G", name].eq(state["S", name]) for name in TRACKED):
            return
        for name, text, formula in self._owed(execution):
            execution.oblige("guarantee", name, formula, text)

    def _owed(self, execution: Execution) -> Iterator[tuple[str, str, z3.BoolRef]]:
        """What the unit so far owes other threads.

        Unless it mapped a page that it does not own, which is refuted where the lock is released.
        """
        state = execution.state
        then = Look({("S", name): value for (kind, name), value in state.items() if kind == "G"})
        now, foreign = Look(state), as_bool(state["S", FOREIGN])
        stores = _no_stores(then, now)
        yield ("always", "a page is mapped for writing, or a buffer's and dirty; not listed",
               z3.Or(foreign, now.always))
        yield ("others' pages", "a page that another owns is mapped, modified, or unlisted",
               z3.Or(foreign, then.mine, z3.Not(then.owned), z3.And(
                   stores, z3.Implies(then.listed, now.listed))))
        yield ("without the lock", "what the object lock protects is changed without it",
               z3.Or(then.held, z3.And(
                   stores, now.live == then.live, z3.Implies(then.at_rest, now.at_rest),
                   state["S", "vnodes.v_iflag"] == then.state["S", "vnodes.v_iflag"],
                   state["S", "vnodes.g_dirtygen"] == then.state["S", "vnodes.g_dirtygen"])))

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        now = Look(execution.state)
        match name:
            case "vnodes.interlock.owner" if z3.is_int_value(value) and value.as_long() == NOBODY:
                execution.oblige("release", "at rest", now.at_rest,
                                 "the object lock is released with a dirty page, not listed")
                execution.oblige("release", "mapped",
                                 z3.Not(as_bool(execution.state["S", FOREIGN])),
                                 "a page is mapped for writing by who does not own it")
                if isinstance(execution, history.HistoryExecution):
                    execution.let_go()
            case "vnodes.v_iflag":
                self._unlists(execution, now, value)
            case "vnodes.g_dirtygen":
                # Theorem protocol-words.
                execution.assume(now.held)
            case "pages.pte":
                writes = z3.And(focus, value == WRITE_ENTRY)
                execution.assume(z3.Implies(z3.And(writes, now.mine), now.live))
                execution.oblige("map", "pte", z3.Implies(writes, z3.And(now.held, now.listed)),
                                 "a page is mapped for writing though its vnode is not listed")
                foreign = as_bool(execution.state["S", FOREIGN])
                execution.state["S", FOREIGN] = z3.Or(foreign, z3.And(writes, z3.Not(now.mine)))
            case "pages.modified":
                new = z3.And(now.held, now.has(BUSY), now.has(FAKE))
                execution.oblige("modify", name, z3.Implies(
                    z3.And(focus, as_bool(value)), z3.Or(now.writable, new)),
                    "a page is modified without a writable mapping")  # fmt: skip
            case "pages.live":
                execution.oblige("free", name, z3.Implies(
                    z3.And(focus, z3.Not(as_bool(value))), z3.Not(now.writable)),
                    "a page is freed that is mapped for writing")  # fmt: skip
            case history.TREE:
                self._changes_list(execution, name)
            case "pages.io" | "pages.owner":
                self._changes_hands(execution, now, name, focus, value)
            case "pages.flags":
                self._frees(execution, now, focus, value)
                self._flags(execution, now, focus, value)

    def _unlists(self, execution: Execution, now: Look, value: Value) -> None:
        stays = z3.Or((value & z3.BitVecVal(ONWORKLST, BITS)) != 0, z3.Not(now.listed))
        stack = execution.thread.code[execution.node].where.stack
        names = tuple(entry.partition("@")[0] for entry in stack[-2:])
        if names[-1:] == ("_clean",) or names == ("_clean", "vn_syncer_remove_from_worklist"):
            # Assumption "reclaimed".
            execution.assume(z3.Or(stays, z3.Not(now.live)))
        execution.oblige("unlist", "v_iflag", z3.Or(stays, z3.And(now.held, now.clean)),
                         "the vnode is taken off the list with a page busy, dirty or writable")

    def _changes_hands(
        self, execution: Execution, now: Look, name: str, focus: z3.BoolRef, value: Value
    ) -> None:
        """Who owns a page, theorem protocol-ownership says; a buffer's can be un-busied."""
        where = execution.thread.code[execution.node].where
        if where.routine == HAND_OVER:
            execution.assume(z3.Implies(focus, z3.Or(now.mine, now.has_buffer)))
            if self.routine in ("listed_read_loop", "listed_io"):
                # A read that is waited for keeps its pages; a write access waits (``_io``).
                execution.assume(z3.Not(z3.And(focus, Variables(execution).truth("write"))))
        if name == "pages.io":
            execution.oblige("hand over", "io", z3.Implies(
                z3.And(focus, value != NULL_BUF), now.kept),
                "a buffer is given a page that is dirty, and the vnode is not listed")
            if where.routine == "_take_pages":
                execution.assume(z3.Implies(focus, now.has_buffer))

    def _frees(self, execution: Execution, now: Look, focus: z3.BoolRef, value: Value) -> None:
        """uvm_pagefree empties the word first, then clears the modified bit.

        A cluster that is written is busy (theorem protocol-ownership, at 1085): not freed here.
        """
        simple = z3.simplify(value)
        if self.routine == "listed_scan" and z3.is_bv_value(simple) and not simple.as_long():
            written = Variables(execution).truth("needs_clean")
            execution.assume(z3.Not(z3.And(focus, written)))
            execution.oblige(LOST, "pages.flags", z3.Implies(
                z3.And(focus, now.live, history.asked(execution)),
                z3.And(now.has(CLEAN), z3.Not(now.modified))),
                "a page is freed that is dirty, though it was to be cleaned")  # fmt: skip

    def _flags(
        self, execution: Execution, now: Look, focus: z3.BoolRef, value: Value
    ) -> None:
        """Theorem protocol-ownership; a constant is what a page gets that is made or freed.

        Whoever still hands pages over to a buffer changes RDONLY of these (534), and CLEAN
        (531) only for a write access, which keeps its pages.
        """
        if not z3.is_bv_value(z3.simplify(value)):
            old = now.state["S", "pages.flags"]
            cleared = (old & ~value & z3.BitVecVal(BUSY | FAKE | CLEAN, BITS)) != 0
            execution.assume(z3.Implies(z3.And(focus, cleared), now.mine))
            changed = ((old ^ value) & z3.BitVecVal(OWNERS & ~RDONLY, BITS)) != 0
            execution.assume(z3.Implies(z3.And(focus, changed), z3.Or(
                now.mine, z3.And(now.held, z3.Not(now.owned)))))

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == ME:
            now = Look(execution.state)
            execution.assume(z3.And(now.at_rest, now.resource))

    def stored(self, execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
        raise AssertionError(name)

    def read(self, execution: Execution, name: str, value: Value) -> None:
        now = Look(execution.state)
        if name == "vnodes.uo_npages":
            # Assumption "counted".
            execution.assume(z3.Implies(z3.And(now.held, value == 0), z3.Not(now.live)))
        elif name in ("vnodes.tree", "vnodes.memq"):
            execution.assume(z3.Implies(value == FOCUS, now.live))

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        if name == history.LIST:
            self._changes_list(execution, name)
            if isinstance(execution, history.HistoryExecution):
                execution.inserted(node, insert)

    def _changes_list(self, execution: Execution, name: str) -> None:
        """The scan finds the list, and the tree, as it left them while it has the lock."""
        execution.oblige("list", name, Look(execution.state).held,
                         "the list or the tree of pages changes without the object lock")

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        if wait.rest:
            # Theorem protocol-ownership: a daemon at rest owns no page.
            execution.assume(z3.Not(Look(execution.state).mine))

    def atoms(self, execution: Execution) -> Atoms:
        return {}

    def about_focus(self, atom: str) -> bool:
        return False

    def placed(self, atom: str) -> bool:
        return False

    def end(self, execution: Execution) -> None:
        if not self.routine.startswith("listed_"):
            execution.oblige("end", self.routine, z3.Not(Look(execution.state).held),
                             "ends with the object lock")


def rules(routine: str) -> ListedRules:
    """The rules for a routine."""
    return ListedRules(routine)


def engine(routine: str) -> type[Execution]:
    """Only the scan has a history."""
    return history.HistoryExecution if routine == "listed_scan" else history.ListedExecution
