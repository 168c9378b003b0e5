"""Flags of a page and its mappings: which go together, and that no mapped page is freed.

One page and one mapping of it are followed, any ones.  What the object lock protects (the
flags, the mappings, and whether the page is in use) is legal whenever that lock is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.obligations import ME, NOBODY, Atoms, Treatment
from ...checker.symbolic.values import Value, as_bool
from ...checker.symbolic.view import Execution, Rules
from .locks import CALLED
from .page import FAKE, IL, PAGEOUT, RDONLY, RELEASED, bits
from .pageview import PageView

FLAGS, LIVE, ENTRY = "pages.flags", "pages.live", "pages.pte"
PAGE: Final = (FLAGS, LIVE, ENTRY)
NONE, WRITE = 0, 2  # of Prot
CHECKS: Final = ("claim-2-flags", "freed-while-mapped")
# One mapping that is followed, and all others.
PARAMETERS: Final = (
    ("METADATA", 1), ("NBUFS", 2), ("NMAPPINGS", 2), ("NPAGES", 2), ("PAGEDAEMON", 1),
    ("SHOULD_YIELD", 1), ("WAPBL", 1),
)  # fmt: skip
SIZES: Final = (
    "any number of threads, pages, mappings and windows; with a journal; without DEBUG; one file"
)
NAME: Final = "protocol-mappings"
STATEMENT: Final = (
    "whenever the object lock is free a page that is FAKE, RELEASED or PAGEOUT is not mapped, a "
    "page that is RDONLY is mapped by no process for writing, and a free page is not mapped; no "
    "mapped page is freed"
)
# The lines that set RDONLY, and what is assumed of the page there (README: holes).
NEW, HOLE = 534, 637


class MapRules(PageView):
    """The view: the object lock, one page's flags, and one mapping of it."""

    def __init__(self, called: bool) -> None:
        super().__init__(called)
        # Is the mapping a process's (or else a window's)?
        self.user = z3.Bool("the mapping is a process's")

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name == IL or var.name in PAGE

    def entry(self, execution: Execution) -> None:
        for number, var in enumerate(execution.thread.locals):
            if var.name in ("mapping", "window"):
                value = execution.state["L", number]
                assert isinstance(value, z3.ArithRef)
                execution.assume(z3.And(value >= 0, value <= 1))
        execution.assume(self._held(execution) if self.called else z3.Not(self._held(execution)))
        if self.called:
            execution.assume(self.legal(execution))

    def treat(self, check: ir.Check) -> Treatment:
        if check.name == "freed-while-mapped":
            return "prove"
        return "assume" if check.name in ("kassert", "panic", "lock-discipline") else "ignore"

    def _has(self, execution: Execution, mask: int) -> z3.BoolRef:
        return bits(execution.shared(FLAGS), mask)

    def legal(self, execution: Execution) -> z3.BoolRef:
        """What may go together."""
        entry, live = execution.shared(ENTRY), as_bool(execution.shared(LIVE))
        return z3.And(
            z3.Or(live, entry == NONE),
            z3.Implies(self._has(execution, FAKE | RELEASED | PAGEOUT), entry == NONE),
            z3.Implies(z3.And(self._has(execution, RDONLY), self.user), entry != WRITE),
        )  # fmt: skip

    def anything(self, execution: Execution, kept: z3.BoolRef) -> None:
        """A page of which nothing is known, unless it is as it was."""
        for name in PAGE:
            shared = execution.program.shared[execution.names[name]]
            old = execution.state["S", name]
            execution.state["S", name] = z3.If(kept, old, execution.fresh(name, shared.domain))

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        """Who has the lock finds the page as it was."""
        held = self._held(execution)
        self.anything(execution, z3.BoolVal(False) if IL in assigned else held)
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        execution.state["S", IL] = z3.If(held, z3.IntVal(ME), other)

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        lock = execution.shared(IL)
        if name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "legal", self.legal(execution),
                             "the object lock is released with flags and mappings that do not "
                             "go together")
        if name in PAGE:
            execution.oblige("store", name, z3.Implies(focus, z3.Or(lock == ME, lock == NOBODY)),
                             f"{name} is stored to without the object lock")
        if name == ENTRY:
            self._maps(execution, focus, value)
        if name == FLAGS:
            self._sets(execution, focus, value)

    def _maps(self, execution: Execution, focus: z3.BoolRef, value: Value) -> None:
        """A fault maps a page that getpages has returned, which theorem ownership is about."""
        stack = [each.partition("@")[0] for each in execution.thread.code[execution.node]
                 .where.stack]
        if "pmap_enter" not in stack:
            return
        window = "ubc_fault" in stack
        # Behind a slow fault the code itself looks for RELEASED.
        given = FAKE | PAGEOUT | (0 if window or "_slow" in stack else RELEASED)
        execution.assume(z3.Implies(focus, z3.And(
            self.user == z3.BoolVal(not window), z3.Not(self._has(execution, given)),
            as_bool(execution.shared(LIVE)))))

    def _sets(self, execution: Execution, focus: z3.BoolRef, value: Value) -> None:
        """RDONLY is set on pages over holes."""
        lines = execution.thread.code[execution.node].where.lines
        anew = z3.And(focus, bits(value, RDONLY), z3.Not(self._has(execution, RDONLY)))
        if NEW in lines:
            execution.assume(z3.Implies(anew, self._has(execution, FAKE)))
        elif HOLE in lines:
            execution.assume(z3.Implies(z3.And(anew, self.user),
                                        execution.shared(ENTRY) != WRITE))

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name == IL and z3.is_int_value(value) and value.as_long() == ME:
            execution.assume(self.legal(execution))

    def atoms(self, execution: Execution) -> Atoms:
        lock, page = frozenset({IL}), frozenset(PAGE)
        return {
            "object lock": (self._held(execution), lock),
            "legal": (self.legal(execution), lock | page),
            "not mapped": (execution.shared(ENTRY) == NONE, page),
        }

    def about_focus(self, atom: str) -> bool:
        return atom != "object lock"

    def end(self, execution: Execution) -> None:
        """What is called with PGO_LOCKED ends with the lock."""
        execution.oblige("end", "legal", z3.Or(
            z3.Not(self._held(execution)), self.legal(execution)),
            "ends with flags and mappings that do not go together")  # fmt: skip


class MapExecution(Execution):
    """A call of getpages that keeps the object lock changes the page all the same.

    Reading one slot of a local array twice gives the same reference, unless something was stored
    to an array, or a round of a loop has begun, in between.
    """

    def __init__(self, program: ir.Program, rules: Rules) -> None:
        super().__init__(program, rules)
        self._slots: dict[int, list[tuple[Value, Value]]] = {}

    def eval(self, expr: ir.Expr) -> Value:
        match expr:
            case ir.Local(var, index) if index is not None:
                where = super().eval(index)
                for known, value in self._slots.get(var, ()):
                    if known.eq(where):
                        return value
                value = super().eval(expr)
                self._slots.setdefault(var, []).append((where, value))
                return value
        return super().eval(expr)

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        if self.node in self.flow.loops:
            self._slots.clear()
        result = super()._step(instr)
        match instr.action:
            case ir.Assign(ir.Local(_, index)) if index is not None:
                self._slots.clear()
            case ir.Choose(_, _, "fails"):
                rules = self.rules
                assert isinstance(rules, MapRules)
                rules.anything(self, z3.BoolVal(False))
                held = self.shared(IL) == ME
                legal = z3.Implies(held, rules.legal(self))
                return [(target, z3.And(reach, legal)) for target, reach in result]
        return result


def rules(routine: str, fixes: Iterable[str]) -> MapRules:
    """The rules for a routine: calls of getpages and putpages begin with the object lock."""
    return MapRules(routine in CALLED)
