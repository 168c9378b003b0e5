"""What else threads hold while they wait: busy pages, and transactions of the mount.

Added to the view of the locks (``locks.py``), so that the order of theorem
``protocol-lock-order`` speaks of more than locks:

- *pages*: whether the thread may own a busy page.  It is one truth value for all pages: set
  where a page is taken or returned by getpages, cleared where all are given back
  (:data:`GIVES_BACK`, which rests on theorem protocol-ownership and is named in the README);
- *transactions*: of the mount, held by whoever is inside one, waited for by who suspends it;
- *gate*: closed by who suspends the mount, until it resumes; waited for by who enters the first
  transaction (whoever is inside one enters another at once, which the view knows).

Windows of the pager map, buffers, memory, the end of a transfer and of all output are ends of
the order: what gives them back holds none of these, see the README.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from ...checker.lang import ir
from ...checker.symbolic.values import as_bool
from ...checker.symbolic.view import ME, NOBODY, Execution
from .readers import ReadersExecution

BUSY = "ghost.busy"
PAGES, TRANSACTIONS, GATE = "pages", "transactions", "gate"
IL, COUNT = "vnodes.interlock.owner", "perthread.fstrans_count"
# Routines after which the thread owns no page; of a loop, each round gives one back.
GIVES_BACK = ("uvm_page_unbusy", "ubc_fault")


class WaitExecution(ReadersExecution):
    """Follows whether the executing thread may own a busy page."""

    def _initial(self) -> None:
        super()._initial()
        self.state["S", BUSY] = z3.BoolVal(False)

    def _gives_back(self, node: int) -> bool:
        where = self.thread.code[node].where
        match where.routine:
            case "uvm_page_unbusy":
                return True
            case "ubc_fault":
                return node in self.flow.loops
            case "_scan":
                # Written, skipped or failed: the pages are the buffer's.
                return 1123 in where.lines
        # The contracts: their callers own nothing when they call.
        return where.routine in ("call_getpages", "call_putpages") and isinstance(
            self.thread.code[node].action, ir.Check)

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        if self._gives_back(self.node):
            self.state["S", BUSY] = z3.BoolVal(False)
        match instr.action:
            case ir.Assign(ir.Shared(var), value) if (
                self.program.shared[var].name == "pages.owner"
            ):
                owner = self.eval(value)
                busy = as_bool(self.state["S", BUSY])
                self.state["S", BUSY] = z3.And(z3.Or(busy, owner == ME), owner != NOBODY)
        result = super()._step(instr)
        match instr.action:
            case ir.Choose(ir.Local(var), _, "fails"):
                # A call of getpages has returned: with pages, unless it fails; with the object
                # lock (PGO_LOCKED) even then.
                failed = as_bool(self.state["L", var])
                locked = self.state["S", IL] == ME
                self.state["S", BUSY] = z3.And(z3.Or(locked, z3.Not(failed)), self.truth(BUSY))
        return result


def held(execution: Execution) -> Iterator[tuple[str, z3.BoolRef]]:
    """What the thread holds beside locks."""
    if ("S", BUSY) in execution.state:
        yield PAGES, as_bool(execution.state["S", BUSY])
        name = GATE if execution.thread.name == "suspend" else TRANSACTIONS
        yield name, execution.state["S", COUNT] > 0


def wanted(execution: Execution, wait: ir.Wait) -> str:
    """Which of these is waited for ("" if none)."""
    match wait.reason:
        case "wakeup":
            stack = execution.thread.code[execution.node].where.stack
            sleeps = any(each.partition("@")[0] == "cv_wait" for each in stack)
            return "" if sleeps else PAGES
        case "fstrans":
            return GATE
    return TRANSACTIONS if wait.reason.startswith("fstrans holders") else ""


def waits_for(execution: Execution, wanted_one: str) -> z3.BoolRef:
    """Does the thread really wait?  Who is in a transaction passes the gate."""
    if wanted_one == GATE:
        return execution.state["S", COUNT] == 0
    return z3.BoolVal(True)
