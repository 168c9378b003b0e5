"""What may hold at the heads of loops: dirty implies listed (see ``listed.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import z3

from ...checker.symbolic.obligations import State
from ...checker.symbolic.view import Execution
from . import history
from .contract import Args
from .listed_contracts import Look
from .page import BUSY, FAKE
from .variables import Variables


def hints_of(
    execution: Execution, routine: str, began: Mapping[str, tuple[State, Args]], local: Variables
) -> dict[str, z3.BoolRef]:
    """What may be an invariant of any loop; and the scan's history.

    ``began``: where the routine that is held to its contract began.
    """
    now = Look(execution.state)
    found = {
        "always": now.always,
        "at rest": now.at_rest,
        "object lock": now.held,
        "no object lock": z3.Not(now.held),
        "owns nothing": z3.Not(now.mine),
        "own is kept": now.safe,
        "own is busy": z3.Implies(now.mine, z3.And(now.has(BUSY), now.live)),
        "own is filled": z3.Implies(now.mine, z3.Not(now.has(FAKE))),
        "own is listed": z3.Implies(now.mine, now.listed),
        "in order": now.resource,
        "busy if owned": z3.Implies(now.owned, z3.And(now.has(BUSY), now.live)),
        "one owner": now.owned_in_use,
    }
    names = {var.name for var in execution.thread.locals}
    if routine == "listed_putpages":
        end = execution.state["L", local.number("genfs_do_putpages.endoff")]
        found["as asked for"] = z3.Implies(local.truth("pagedaemon"), end == local("high"))
    if "write" in names:
        write = local.truth("write")
        found["own is kept, or to be written"] = now.safe_or(write)
        found["own is kept, or being filled"] = now.safe_or(z3.And(write, now.has(FAKE)))
        found["listed if to be written"] = z3.Implies(write, now.listed)
    if "uvm_aio_aiodone.write" in names:
        lost = z3.And(local.truth("uvm_aio_aiodone.write"),
                      local("uvm_aio_aiodone.error") != 0)
        found["own is kept, or failed"] = now.safe_or(lost)
    for name, (state, args) in began.items():
        if name == "uvn_findpages":
            found["listed as before"] = z3.Implies(
                z3.And(args.truth("nowait"), Look(state).listed), now.listed)
        if name == "_read_loop":
            found |= dict(_filling(now, args, local))
    if "_scan.cleanall" in names and isinstance(execution, history.HistoryExecution):
        found |= history.hints(execution, now, local)
    return found


def _filling(
    now: Look, args: Args, local: Variables
) -> Iterator[tuple[str, z3.BoolRef]]:
    """Pages of a hole: those that were found FAKE."""
    pgs = args.slots("pgs")
    first = local("_read_loop.pidx")

    def fake(high: z3.ArithRef) -> z3.BoolRef:
        return z3.Implies(z3.And(now.mine, now.inside(pgs, first, high)), now.has(FAKE))

    yield "inside files", local("_read_loop.offset") >= 0
    yield "the first is being filled", fake(first + 1)
    yield "those counted are being filled", fake(first + local("_read_loop.pcount"))
    yield "the hole's are being filled", fake(first + local("_read_loop.holepages"))
