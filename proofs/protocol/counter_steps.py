"""What the executing thread's own steps do to ledgers and buffers (see ``counters.py``)."""

from __future__ import annotations

import z3

from ...checker.lang import ir
from ...checker.symbolic.obligations import FOCUS, ME, NOBODY
from ...checker.symbolic.values import Value, as_bool, as_int
from ...checker.symbolic.view import Execution
from .ledgers import ARRAYS, GENERATION, LEDGERS, LOCKED, OUTPUT, PAGES, WRITES, Ledgers
from .page import IL
from .tickets import BUFFER, GHOSTS, LATEST, QUEUED, WRITE, both


class CounterSteps(Ledgers):
    """Stores, and the queue of the completion thread."""

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        state = execution.state
        if name in LEDGERS:
            ledger = LEDGERS[name]
            assert isinstance(value, z3.ArithRef)
            state["S", ledger] = self._ledger(execution, ledger) + value - execution.shared(name)
            if name == ARRAYS:
                execution.oblige("ledger", name, self._ledger(execution, ledger) >= 0,
                                 "an array is freed that the thread has not")
        if name in LOCKED:
            lock = execution.shared(IL)
            execution.oblige("store", name, z3.Or(lock == ME, lock == NOBODY),
                             f"{name} is stored to without the object lock")
        if name == GENERATION:
            assert isinstance(value, z3.ArithRef)
            execution.oblige("store", "grows", value > execution.shared(name),
                             "g_dirtygen does not grow")
        if name == "pages.live":
            taken = z3.is_true(z3.simplify(as_bool(value)))
            state["S", PAGES] = self._ledger(execution, PAGES) + (-1 if taken else 1)
        if name == "pages.owner" and _in(execution, "_cluster"):
            state["S", WRITES] = z3.BoolVal(True)
        if name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "counted", z3.Or(
                z3.Not(as_bool(state["S", WRITES])), self._ledger(execution, OUTPUT) >= 2),
                "the object lock is released before a write is counted")  # fmt: skip
        if name in BUFFER:
            if not self.transfers:
                raise ValueError(f"{execution.thread.name} stores to {name}: give it a role")
            self._store(execution, name, focus, value)

    def _store(
        self, execution: Execution, name: str, focus: z3.BoolRef, value: Value
    ) -> None:
        """A buffer is changed: one that is followed, and by its thread."""
        state = execution.state
        latest = self._is_latest(execution)
        one, two = both(state)
        execution.oblige("buffer", name, z3.Or(focus, latest),
                         "a buffer is changed that is not followed")
        if name == "bufs.live" and z3.is_true(z3.simplify(as_bool(value))):
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", "taken", z3.Implies(which, z3.Not(each.truth("live"))),
                                 "a buffer is taken that is in use")
                execution.assume(z3.Implies(which, each.clean))
                mine = f"bufs.mine{each.suffix}"
                state["S", mine] = z3.Or(each.mine, which)
        elif self.role not in ("device", "disk"):
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", name, z3.Implies(which, z3.And(each.mine, each.idle)),
                                 "a buffer of another is changed")
        if name == "bufs.dev" and z3.is_int_value(value) and value.as_long() == QUEUED:
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", "whole", z3.Implies(
                    z3.And(which, z3.Not(each.nested)),
                    z3.And(each.truth("live"), each.untouched)),
                    "the device is given a buffer of which something is under way")  # fmt: skip
        self._then = (one.tickets, two.tickets)
        self._parts = ((one.part, one.number("parent")), (two.part, two.number("parent")))

    def _is_latest(self, execution: Execution) -> z3.BoolRef:
        action = execution.thread.code[execution.node].action
        assert isinstance(action, ir.Assign) and isinstance(action.target, ir.Shared)
        return z3.simplify(as_int(execution, execution.eval(action.target.index)) == LATEST)

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name not in BUFFER:
            return
        state = execution.state
        one, two = both(state)
        added = one.tickets + two.tickets - self._then[0] - self._then[1]
        state["S", OUTPUT] = z3.simplify(self._ledger(execution, OUTPUT) - added)
        parts = ((one.part, one.number("parent")), (two.part, two.number("parent")))
        for number, (buffer, other) in enumerate(((one, LATEST), (two, FOCUS))):
            (part, parent), (was, had) = parts[number], self._parts[number]
            changed = z3.If(parent == other, part, 0) - z3.If(had == other, was, 0)
            out = f"bufs.out{'@' if other == LATEST else ''}"
            state["S", out] = z3.simplify(self._ledger(execution, out) + changed)
            strange = z3.Or(z3.And(parent != other, part != 0), z3.And(had != other, was != 0))
            unchanged = z3.And(parent == had, part == was)
            if not z3.is_false(z3.simplify(z3.Not(unchanged))):
                execution.oblige("buffer", f"nested{buffer.suffix}",
                                 z3.Or(unchanged, z3.Not(strange)),
                                 "a buffer is nested in one that is not followed")
        if name == "bufs.dir":
            # From here on the buffer counts.
            state["S", WRITES] = z3.And(as_bool(state["S", WRITES]), z3.Not(z3.And(
                focus, one.number("dir") == WRITE)))
        if name == "bufs.live":
            for each in (one, two):
                state["S", f"bufs.mine{each.suffix}"] = z3.And(each.mine, each.truth("live"))
                # A buffer that is free again was taken by nobody.
                state["S", f"bufs.taken{each.suffix}"] = z3.And(
                    each.truth("taken"), each.truth("live"))

    def stored(self, execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
        pass

    def renamed(self, execution: Execution) -> None:
        """Another buffer is taken: the one taken last before it is one of the others now."""
        if self.role in ("device", "disk"):
            return  # it only looks
        state = execution.state
        for number, var in enumerate(execution.thread.locals):
            if var.domain.kind == "ref" and var.domain.pool.startswith("bufs") and not var.is_array:
                value = state["L", number]
                state["L", number] = z3.If(value == LATEST, z3.IntVal(0), value)
        execution.oblige("buffer", "nested", both(state)[0].number("parent") != LATEST,
                         "the parent of a buffer is not followed any more")
        self._unknown(execution, "@")
        state["S", "bufs.live@"] = state["S", "bufs.mine@"] = z3.BoolVal(False)
        for name in (*BUFFER, *GHOSTS):
            state["G", f"{name}@"] = state["S", f"{name}@"]

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        """The queue of the completion thread."""
        if name != "uvm.aiodone" or not self.transfers:
            return
        state = execution.state
        for number, each in ((FOCUS, both(state)[0]), (LATEST, both(state)[1])):
            here = node == number
            inside = z3.And(each.truth("live"), each.truth("done"), z3.Not(each.truth("taken")))
            mine = f"bufs.mine{each.suffix}"
            if insert:
                execution.oblige("buffer", "queued", z3.Implies(here, inside),
                                 "a buffer is queued that is not done, or was finished")
                state["S", mine] = z3.And(each.mine, z3.Not(here))
            elif number == FOCUS:
                execution.oblige("buffer", "one at a time", z3.And(
                    z3.Not(each.mine), self._ledger(execution, OUTPUT) == 0),
                    "a buffer is taken while another is not finished")  # fmt: skip
                execution.assume(z3.And(here, inside, z3.Not(each.nested)))
                was = each.tickets
                state["S", "bufs.taken"] = z3.BoolVal(True)
                state["S", mine] = z3.BoolVal(True)
                state["S", OUTPUT] = self._ledger(execution, OUTPUT) + was - each.tickets
        if insert:
            execution.oblige("buffer", "queued", z3.Or(node == FOCUS, node == LATEST),
                             "a buffer is queued that is not followed")


def _in(execution: Execution, routine: str) -> bool:
    stack = execution.thread.code[execution.node].where.stack
    return any(each.partition("@")[0] == routine for each in stack)
