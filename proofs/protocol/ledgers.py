"""What a thread sees of the counters, and its ledgers (see ``counters.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import z3

from ...checker.lang import ir
from ...checker.symbolic.obligations import FOCUS, ME
from ...checker.symbolic.values import as_int
from ...checker.symbolic.view import Execution
from .page import IL, NULL_BUF
from .tickets import BUFFER, GHOSTS, LATEST, SUFFIXES, Buffer, both, nesting

NUMOUTPUT, NPAGES, GENERATION = "vnodes.v_numoutput", "vnodes.uo_npages", "vnodes.g_dirtygen"
ARRAYS, INSIDE = "uvm.heap_arrays", "vnodes.inside"
LEDGERS: Final = {NUMOUTPUT: "ledger.output", NPAGES: "ledger.pages", ARRAYS: "ledger.arrays",
                  INSIDE: "ledger.inside"}
OUTPUT, PAGES = LEDGERS[NUMOUTPUT], LEDGERS[NPAGES]
# Changed under the object lock, over more than one step.
LOCKED: Final = (NUMOUTPUT, GENERATION)
# The thread has made pages busy to write them, and no buffer has them yet.
WRITES: Final = "writes"
# What a routine does with buffers: nothing but by calls; starts transfers; the device's work, by a
# thread for each buffer or one for all; or finishes them.
Role: TypeAlias = Literal["calls", "starts", "device", "disk", "finishes"]


class Ledgers:
    """The view: the object lock, counters, two buffers, and what the thread's ledgers say."""

    pools = frozenset({"pages", "bufs"})
    switches: frozenset[str] = frozenset()
    arrays = False
    exact = True
    passing = frozenset(f"{name}@" for name in (*BUFFER, *GHOSTS)) - {"bufs.mine@"}
    latest: Mapping[str, int] = {"bufs": LATEST}

    def __init__(self, role: Role, called: bool, counted: bool = False) -> None:
        """``called``: the routine begins with the object lock.

        ``counted``: a write is counted before the object lock is released.
        """
        self.role, self.called, self.counted = role, called, counted
        self.transfers = role != "calls"
        self._then: tuple[z3.ArithRef, ...] = ()
        self._parts: tuple[tuple[z3.ArithRef, z3.ArithRef], ...] = ()
        # Does the thread wait for the master that it began with?
        self._waits = z3.BoolVal(False)

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name in (IL, GENERATION, *LEDGERS) or (
            self.transfers and var.name in BUFFER)

    def set_bit(self, var: ir.SharedVar) -> bool:
        return False

    def entry(self, execution: Execution) -> None:
        state = execution.state
        for ledger in LEDGERS.values():
            state["S", ledger] = z3.IntVal(0)
        state["S", WRITES] = z3.BoolVal(False)
        for suffix in self._suffixes():
            self._unknown(execution, suffix)
            state["S", f"bufs.mine{suffix}"] = z3.BoolVal(False)
        if self.called:
            execution.assume(self._held(execution))
        else:
            execution.assume(z3.Not(self._held(execution)))
        if self.role == "device":
            (slot,) = (number for number, var in enumerate(execution.thread.locals)
                       if var.name == "slot")
            execution.assume(as_int(execution, state["L", slot]) == FOCUS)
        execution.facts.extend(self._known(execution))

    def _suffixes(self) -> tuple[str, ...]:
        return SUFFIXES if self.transfers else ()

    def _held(self, execution: Execution) -> z3.BoolRef:
        return execution.shared(IL) == ME

    def _unknown(self, execution: Execution, suffix: str) -> None:
        """Any buffer."""
        state = execution.state
        for name in BUFFER:
            domain = execution.program.shared[execution.names[name]].domain
            state["S", f"{name}{suffix}"] = execution.fresh(f"{name}{suffix}", domain)
        state["S", f"bufs.out{suffix}"] = execution.new("bufs.out", z3.IntSort())
        state["S", f"bufs.taken{suffix}"] = execution.truth("bufs.taken")

    def _known(self, execution: Execution) -> list[z3.BoolRef]:
        """What holds between two steps of the two buffers, and of the sums that they are in."""
        state = execution.state
        known = [each for each in both(state) if self._followed(each)] if self.transfers else []
        found = [formula for each in known for _, formula in each.holds()]
        if len(known) > 1:
            found.append(nesting(state))
        total = sum((each.tickets for each in known), self._ledger(execution, OUTPUT))
        found.append(execution.shared(NUMOUTPUT) >= total)
        for name in (ARRAYS, INSIDE):
            found.append(execution.shared(name) >= self._ledger(execution, LEDGERS[name]))
        if self.role in ("device", "disk"):
            # The latest one is the focus' parent, if it has one.
            parent = both(state)[0].number("parent")
            found.append(z3.Or(parent == NULL_BUF, parent == LATEST))
        return found

    def _followed(self, buffer: Buffer) -> bool:
        """Is anything known of the buffer?"""
        return buffer.suffix == "" or self.role in ("device", "disk") or not z3.is_false(
            z3.simplify(buffer.mine))

    def _ledger(self, execution: Execution, name: str) -> z3.ArithRef:
        value = execution.state["S", name]
        assert isinstance(value, z3.ArithRef)
        return value
