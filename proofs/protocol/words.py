"""Words under the object lock: no update is lost, and VI_WRMAPDIRTY implies VI_ONWORKLST."""

from __future__ import annotations

from collections.abc import Iterable

import z3

from ...checker.lang import ir
from ...checker.symbolic.values import BITS, Value
from ...checker.symbolic.view import ME, NOBODY, Atoms, Execution, Treatment
from .locks import CALLED
from .page import IL
from .pageview import PageView

# Read, changed and written back; every store is made with the object lock, or while it is free
# in a step that needs it free.
WORDS = ("pages.flags", "vnodes.v_iflag", "vnodes.v_numoutput", "vnodes.g_dirtygen")
CHECKS = ("claim-2-flags", "claim-8-counters")
LOST = "by another thread is overwritten"
ONWORKLST, WRMAPDIRTY = 1, 4


class WordRules(PageView):
    """The view: the object lock, one page's flags, and the words of the vnode."""

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name == IL or var.name in WORDS

    def entry(self, execution: Execution) -> None:
        if self.called:
            execution.assume(self._held(execution))
            execution.assume(self._listed(execution))
        else:
            execution.assume(z3.Not(self._held(execution)))

    def treat(self, check: ir.Check) -> Treatment:
        if check.message.endswith(LOST):
            return "prove"
        return "assume" if check.name in ("kassert", "panic", "lock-discipline") else "ignore"

    def _listed(self, execution: Execution) -> z3.BoolRef:
        """VI_WRMAPDIRTY implies VI_ONWORKLST."""
        word = execution.shared("vnodes.v_iflag")
        return z3.Or((word & z3.BitVecVal(WRMAPDIRTY, BITS)) == 0,
                     (word & z3.BitVecVal(ONWORKLST, BITS)) != 0)

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        """Who has the lock finds the words as they were."""
        state = execution.state
        held = self._held(execution)
        kept = z3.BoolVal(False) if IL in assigned else held
        for name in WORDS:
            shared = execution.program.shared[execution.names[name]]
            state["S", name] = z3.If(kept, state["S", name], execution.fresh(name, shared.domain))
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        state["S", IL] = z3.If(held, z3.IntVal(ME), other)

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        lock = execution.shared(IL)
        if name in WORDS:
            execution.oblige(
                "store", name, z3.Implies(focus, z3.Or(lock == ME, lock == NOBODY)),
                f"{name} is stored to without the object lock",
            )  # fmt: skip
        elif name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "listed", self._listed(execution),
                             "the object lock is released with VI_WRMAPDIRTY but not VI_ONWORKLST")

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == ME:
            execution.assume(self._listed(execution))
        elif name == "vnodes.v_iflag":
            execution.oblige("store", "listed", z3.Or(self._held(execution),
                                                      self._listed(execution)),
                             "VI_WRMAPDIRTY but not VI_ONWORKLST, with the object lock free")

    def atoms(self, execution: Execution) -> Atoms:
        lock = frozenset({IL})
        return {
            "object lock": (self._held(execution), lock),
            "listed": (self._listed(execution), lock | {"vnodes.v_iflag"}),
        }

    def about_focus(self, atom: str) -> bool:
        return atom == "listed"

    def end(self, execution: Execution) -> None:
        self._owes(execution, "end", "ends with the object lock")

    def called_locked(self, execution: Execution) -> None:
        """getpages has been called: with PGO_LOCKED it keeps the lock, and changes the words."""
        self._owes(execution, "call", "getpages is called")
        for name in WORDS:
            shared = execution.program.shared[execution.names[name]]
            execution.state["S", name] = execution.fresh(name, shared.domain)
        execution.assume(z3.Implies(self._held(execution), self._listed(execution)))

    def _owes(self, execution: Execution, kind: str, what: str) -> None:
        execution.oblige(kind, "listed", z3.Or(z3.Not(self._held(execution)),
                                               self._listed(execution)),
                         f"{what} with VI_WRMAPDIRTY but not VI_ONWORKLST")


class WordExecution(Execution):
    """Where a call of getpages returns, the words may have changed."""

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        match instr.action:
            case ir.Choose(_, _, "fails") if instr.where.routine == "call_getpages":
                assert isinstance(self.rules, WordRules)
                self.rules.called_locked(self)
        return super()._step(instr)


def rules(routine: str, fixes: Iterable[str]) -> WordRules:
    """The rules for a routine: calls of getpages and putpages begin with the object lock."""
    return WordRules(routine in CALLED)
