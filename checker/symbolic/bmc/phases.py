"""What a reduced search must verify of records' phases, as expressions of the IR.

The reduction assumes that accesses to a record are made in its phase
(:class:`...explore.pygen.Checks`); here the same questions are asked symbolically.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...explore.asking import guarded_reads, only_own
from ...explore.pygen import Checks
from ...lang import ir

OUTSIDE = 3  # an access that is not made, or not to a record


def _cond(test: ir.Expr, then: ir.Expr, other: ir.Expr) -> ir.Expr:
    return ir.Cond(test, then, other)


def _is(op: str, one: ir.Expr, value: int) -> ir.Expr:
    return ir.Binary(op, one, ir.Const(value), ir.INT32)


@dataclass(frozen=True, slots=True)
class OwnerStore:
    """What a store must leave as it was: levels before and after, and the owner's old value."""

    levels: tuple[ir.Expr, ...]
    target: ir.Shared
    fine: tuple[int, int] | None


class Phases:
    """The questions for one thread."""

    def __init__(self, program: ir.Program, thread: ir.Thread, checks: Checks) -> None:
        self.program, self.thread, self.checks = program, thread, checks
        self.owners = {var.phase.owner for var in program.shared if var.phase is not None}

    def level(self, phase: ir.Phase, record: ir.Expr) -> ir.Expr:
        """2: the record is the thread's; 1: it is nobody's; 0: it may be another thread's."""
        shared, me = self.program.shared, self.thread.index
        owner = ir.Shared(phase.owner, record)
        if phase.guard is None:
            free: ir.Expr = _cond(_is("==", owner, phase.nobody), ir.Const(1), ir.Const(0))
        else:
            which: ir.Expr = ir.Const(0)
            if phase.via is not None:
                which = ir.Shared(phase.via, record)
            held = _is("==", ir.Shared(phase.guard, which), me)
            inside = self._inside(which, shared[phase.guard].length)
            mine = _cond(inside, _cond(held, ir.Const(2), ir.Const(0)), ir.Const(0))
            free = _cond(_is("!=", owner, phase.nobody), ir.Const(0), mine)
        level = _cond(_is("==", owner, me), ir.Const(2), free)
        return _cond(self._inside(record, shared[phase.owner].length), level, ir.Const(2))

    def _inside(self, index: ir.Expr, length: int) -> ir.Expr:
        return ir.Binary("and", _is(">=", index, 0), _is("<", index, length), ir.BOOL)

    def sites(self, node: int) -> Iterator[ir.Expr]:
        """For each access of the instruction its level; :data:`OUTSIDE` where it is not made."""
        if node not in self.checks.sites:
            return
        action = self.thread.code[node].action
        found: list[tuple[int, ir.Expr, tuple[tuple[ir.Expr, bool], ...]]] = []
        for root in ir.action_reads(action):
            for one, guards in guarded_reads(root):
                if not (isinstance(one, ir.Shared) and self._own_test(action, one.var)):
                    if isinstance(one, ir.Shared):
                        found.append((one.var, one.index, guards))
                    else:
                        found.append((one.list.var, one.list.base, guards))
        found += [(access.var, access.index, ()) for access in ir.accesses(action) if access.write]
        for number, index, guards in found:
            var = self.program.shared[number]
            if var.phase is None:
                continue
            record = index
            if var.width > 1:
                record = ir.Binary("//", index, ir.Const(var.width), ir.INT32)
            level = self.level(var.phase, record)
            made = _cond(self._inside(index, var.length), level, ir.Const(OUTSIDE))
            for test, truth in reversed(guards):
                no = ir.Const(OUTSIDE)
                made = _cond(test, made, no) if truth else _cond(test, no, made)
            yield made

    def _own_test(self, action: ir.Action, var: int) -> bool:
        return var in self.owners and only_own(action, var, self.thread.index)

    def store(self, node: int) -> OwnerStore | None:
        """What is to be verified about a store that may end a phase."""
        action = self.thread.code[node].action
        if node not in self.checks.owners or not isinstance(action, ir.Assign):
            return None
        target = action.target
        if not isinstance(target, ir.Shared):
            return None
        phases: dict[ir.Phase, None] = {}
        for shared in self.program.shared:
            phase = shared.phase
            if phase is not None and target.var in (phase.owner, phase.via):
                phases[phase] = None
        levels = tuple(self.level(phase, target.index) for phase in phases)
        owned = [phase for phase in phases if phase.owner == target.var]
        fine = (self.thread.index, owned[0].nobody) if owned else None
        return OwnerStore(levels, target, fine)
