"""Execution that knows how a scan's references lie to the focus in the list of pages.

Of each local reference it follows whether the focus stands *behind* what it refers to in the
list: that is what "the scan has not come to the focus yet" means.  It is kept through
assignments, and through the first slot of local arrays (a page that is clean is looked at as a
cluster of one).  Taking the first, or the next, element of a list of which nothing else is
known goes in the one way in which a list can:

- the first element is the focus, or the focus stands behind it;
- behind an element in front of the focus comes the focus, or another one in front of it;
- behind any other element the focus does not come.

By offset, the page at an offset is the focus exactly if it is in use and has that offset.

Both are true as long as nobody else changes the list or the tree: while the object lock has
been held since the routine began (*unbroken*); without that nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.evaluation import evaluate
from ...checker.symbolic.flow import Loop
from ...checker.symbolic.values import BITS, Value, as_bool, as_int, pool_of
from ...checker.symbolic.view import FOCUS, Execution
from .listed_contracts import LAST, Look
from .listed_units import PAGE_SHIFT, PAGE_SIZE
from .page import CLEAN
from .variables import Variables

UNBROKEN: Final = "ghost.unbroken"
BOUNDED: Final = "ghost.end"  # the scan's end marker stands behind every page
LIST, TREE = "vnodes.memq", "vnodes.tree"
NULL = 2  # compiled with two pages
END_MARKER = 5
CLEANIT, FREE = 1, 8


def followed(execution: Execution, number: int) -> bool:
    """Is the local variable a reference to a page, or an array of them?"""
    return pool_of(execution.thread.locals[number].domain) == "pages"


class ListedExecution(Execution):
    """Constants whose value is open; and where a page begins and ends, exactly."""

    def eval(self, expr: ir.Expr) -> Value:
        match expr:
            case ir.Param("LLONG_MAX" | "FILE_UNITS"):
                return LAST
            case ir.Binary("&" | ">>" as op, one, ir.Const(constant)) if (
                self.rules.arrays
            ):
                value = self.eval(one)
                if isinstance(value, z3.ArithRef) and constant in (PAGE_SHIFT, -(1 << PAGE_SHIFT)):
                    return self._page(value, op == ">>")
        return evaluate(self, expr)

    def _check(self, check: ir.Check, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        """The kernel's own assertion where a page is mapped, of the thread's own page."""
        if check.name == "kassert" and "ONWORKLST" in check.message and (
            instr.where.routine == "_map_page"
        ):
            own = Look(self.state).mine
            for page in self._looked_at(instr.where.stack):
                self.oblige("check", "kassert", z3.Not(z3.And(
                    own, self.state["L", page] == FOCUS)), check.message)
        return super()._check(check, instr)

    def _looked_at(self, stack: tuple[str, ...]) -> set[int]:
        """The references whose flags the routine reads."""
        return {
            index.var for instr in self.thread.code if instr.where.stack == stack
            for root in ir.action_reads(instr.action) for expr in ir.walk(root)
            if isinstance(expr, ir.Shared)
            and self.program.shared[expr.var].name == "pages.flags"
            and isinstance(index := expr.index, ir.Local)
        }  # fmt: skip

    def _page(self, value: z3.ArithRef, number: bool) -> z3.ArithRef:
        """The number of the page, or its beginning."""
        page, rest = z3.Int(f"page!{self.counter}"), value
        self.counter += 1
        self.facts.append(z3.And(rest >= page * PAGE_SIZE, rest < (page + 1) * PAGE_SIZE))
        return page if number else page * PAGE_SIZE


class HistoryExecution(ListedExecution):
    """See the module's text.  The program is compiled with two pages, each of one unit."""

    def _initial(self) -> None:
        super()._initial()
        for number, var in enumerate(self.thread.locals):
            if followed(self, number):
                self.state["S", _behind(number)] = self.truth(_behind(number))
                if var.is_array:
                    self.state["S", _slot(number)] = self.fresh(_slot(number), var.domain)
        self.state["S", UNBROKEN] = z3.BoolVal(True)
        self.state["S", BOUNDED] = z3.BoolVal(False)

    def behind(self, number: int) -> z3.BoolRef:
        """Does the focus stand behind what the variable (an array: its first slot) refers to?"""
        return as_bool(self.state["S", _behind(number)])

    def slot(self, number: int) -> z3.ArithRef:
        return as_int(self, self.state["S", _slot(number)])

    def forget(self, number: int) -> None:
        """Anything may be in the array."""
        self.state["S", _behind(number)] = self.truth(_behind(number))
        self.state["S", _slot(number)] = self.fresh(
            _slot(number), self.thread.locals[number].domain)

    def let_go(self) -> None:
        """The object lock is released."""
        self.state["S", UNBROKEN] = z3.BoolVal(False)

    def inserted(self, node: Value, insert: bool) -> None:
        """The list was changed.  The end marker is inserted once, at the end."""
        if z3.is_int_value(node) and node.as_long() == END_MARKER:
            self.state["S", BOUNDED] = z3.BoolVal(insert)

    def _writes(self, loop: Loop) -> tuple[list[int], list[str], bool]:
        assigned, shared, stops = super()._writes(loop)
        if not (shared or stops) and any(followed(self, number) for number in assigned):
            raise ValueError("references change in a loop of one step: not followed there")
        return assigned, shared, stops

    # ---------------------------------------------------------------------- values

    def eval(self, expr: ir.Expr) -> Value:
        """As ever, but the tree, and first slots of arrays, are known; and constants' names."""
        match expr:
            case ir.Binary("&", one, ir.Const(-1)):
                return self.eval(one)
            case ir.Shared(var, index) if self.program.shared[var].name == TREE:
                value = self.fresh(TREE, self.program.shared[var].domain)
                now = Look(self.state)
                there = z3.And(now.live, self.shared("pages.offset") == as_int(
                    self, self.eval(index)))
                self.facts.append(z3.Implies(now.held, (value == FOCUS) == there))
                self.facts.append(z3.Implies(value == FOCUS, now.live))
                return value
            case ir.Local(var, index) if index is not None and ("S", _slot(var)) in self.state:
                other = self.fresh(f"element of {var}", self.thread.locals[var].domain)
                return z3.If(as_int(self, self.eval(index)) == 0, self.slot(var), other)
        return super().eval(expr)

    # ----------------------------------------------------------------- assignments

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        match instr.action:
            case ir.Assign(ir.Local(target, None), value) if followed(self, target):
                self._refer(target, value)
                return [(instr.next, self.reach)]
            case ir.Assign(ir.Local(target, index), value) if (
                index is not None and ("S", _slot(target)) in self.state
            ):
                first = as_int(self, self.eval(index)) == 0
                behind, element = self._position(value), as_int(self, self.eval(value))
                self.state["S", _behind(target)] = z3.If(first, behind, self.behind(target))
                self.state["S", _slot(target)] = z3.If(first, element, self.slot(target))
        return super()._step(instr)

    def _position(self, value: ir.Expr) -> z3.BoolRef:
        """Does the focus stand behind the element?"""
        match value:
            case ir.Local(var, None) if followed(self, var):
                return self.behind(var)
            case ir.Local(var, index) if index is not None and followed(self, var):
                return z3.If(as_int(self, self.eval(index)) == 0, self.behind(var),
                             self.truth("behind"))
        return self.truth("behind")

    def _refer(self, target: int, value: ir.Expr) -> None:
        """A local reference is assigned: what is known of it."""
        domain = self.thread.locals[target].domain
        match value:
            case ir.ListNext(ref, node) if self.program.shared[ref.var].name == LIST:
                found, behind = self._next(node, domain)
            case ir.Shared(var, ir.Const(0)) if self.program.shared[var].name == LIST:
                found, behind = self._first(domain)
            case _:
                behind = self._position(value)
                found = as_int(self, self.eval(value))
        self.state["L", target] = found
        self.state["S", _behind(target)] = behind

    def _first(self, domain: ir.Domain) -> tuple[Value, z3.BoolRef]:
        value, behind = self.fresh("first", domain), self.truth("behind first")
        live = Look(self.state).live
        self.facts.append(z3.Implies(value == FOCUS, live))
        bounded = as_bool(self.state["S", BOUNDED])
        self.facts.append(z3.Implies(self._known(), z3.And(
            z3.If(live, z3.If(value == FOCUS, z3.Not(behind), z3.And(value != NULL, behind)),
                  z3.Not(behind)),
            z3.Or(bounded, value != END_MARKER))))
        return value, behind

    def _next(self, node: ir.Expr, domain: ir.Domain) -> tuple[Value, z3.BoolRef]:
        value, behind = self.fresh("next", domain), self.truth("behind next")
        element, live = as_int(self, self.eval(node)), Look(self.state).live
        before = z3.And(self._position(node), live)
        bounded = as_bool(self.state["S", BOUNDED])
        # Nothing stands twice in a list.
        self.facts.append(z3.Implies(value == FOCUS, z3.And(live, element != FOCUS)))
        self.facts.append(z3.Implies(self._known(), z3.And(
            z3.If(before,
                  z3.If(value == FOCUS, z3.Not(behind), z3.And(
                      behind, z3.Implies(bounded, value != END_MARKER))),
                  z3.And(value != FOCUS, z3.Not(behind))),
            z3.Implies(z3.And(bounded, element != END_MARKER), value != NULL),
            z3.Or(bounded, value != END_MARKER))))
        return value, behind

    def _known(self) -> z3.BoolRef:
        return as_bool(self.state["S", UNBROKEN])


def _behind(number: int) -> str:
    return f"behind {number}"


def _slot(number: int) -> str:
    return f"slot {number}"


def asked(execution: Execution) -> z3.BoolRef:
    """Is the scan to clean pages?"""
    word = execution.state["L", Variables(execution).number("flags")]
    return (word & z3.BitVecVal(CLEANIT, BITS)) != 0


def hints(
    execution: HistoryExecution, now: Look, local: Variables
) -> Mapping[str, z3.BoolRef]:
    """What may be an invariant of the scan, as long as it hopes to unlist the vnode."""
    page, following = local.number("pg"), local.number("nextpg")
    pgs = local.number("pgs")
    pg, nextpg = local("pg"), local("nextpg")
    by_list, off, end = local.truth("by_list"), local("off"), local("endoff")
    cleanall = local.truth("_scan.cleanall")
    hopes = z3.And(cleanall, as_bool(execution.state["L", local.number("_scan.wasclean")]))
    offset = execution.shared("pages.offset")
    ahead = z3.If(by_list, z3.Or(pg == FOCUS, execution.behind(page)), offset >= off)
    past = z3.And(now.live, z3.Not(ahead))
    flags = execution.state["L", local.number("flags")]

    def hoping(*what: z3.BoolRef) -> z3.BoolRef:
        return z3.Implies(hopes, z3.And(*what))

    return {
        "counted": local("_scan.i") >= 0,
        "unbroken": hoping(as_bool(execution.state["S", UNBROKEN]), now.held),
        "bounded": hoping(z3.Implies(by_list, as_bool(execution.state["S", BOUNDED]))),
        "everything is asked for": z3.Implies(cleanall, z3.And(
            (flags & z3.BitVecVal(CLEANIT, BITS)) != 0,
            local("startoff") == 0, end == LAST)),
        "same generation": hoping(
            execution.shared("vnodes.g_dirtygen") == local("_scan.dirtygen")),
        "passed is clean": hoping(z3.Implies(past, now.clean)),
        "free is clean": hoping(z3.Or(now.live, now.clean)),
        "the page of the offset": hoping(z3.Implies(z3.And(z3.Not(by_list), off < end), (
            pg == FOCUS) == z3.And(now.live, offset == off))),
        "no other page is at the offset": hoping(z3.Implies(z3.And(
            z3.Not(by_list), off < end, now.live, offset == off), pg == FOCUS)),
        "the page at hand is in use": hoping(z3.Implies(pg == FOCUS, now.live)),
        "the cluster is the page": hoping(
            execution.slot(pgs) == pg, execution.behind(pgs) == execution.behind(page)),
        "the page to free is clean": z3.Implies(
            z3.And(asked(execution), (flags & z3.BitVecVal(FREE, BITS)) != 0, now.live,
                   z3.Not(local.truth("needs_clean")), execution.slot(pgs) == FOCUS),
            z3.And(now.has(CLEAN), z3.Not(now.modified), z3.Not(now.writable))),
        "the page at hand is clean": hoping(z3.Implies(pg == FOCUS, now.clean)),
        "no page behind is at hand": hoping(z3.Implies(by_list, nextpg == NULL)),
        "the page behind": hoping(z3.Implies(z3.And(by_list, nextpg != NULL, now.live,
            nextpg != FOCUS, z3.Not(execution.behind(following))), now.clean)),
        "the page behind is in use": hoping(z3.Implies(
            z3.And(by_list, nextpg == FOCUS), now.live)),
        "the end is not behind": hoping(z3.Implies(z3.And(by_list, pg == END_MARKER),
            z3.Not(z3.And(now.live, execution.behind(page))))),
        "the end is not the page behind": hoping(z3.Implies(
            z3.And(by_list, nextpg == END_MARKER),
            z3.Not(z3.And(now.live, execution.behind(following))))),
        "no end": hoping(z3.Implies(by_list, z3.And(pg != NULL, pg != END_MARKER))),
    }
