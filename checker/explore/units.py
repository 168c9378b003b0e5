"""Units: what a thread does between two fine stops, and the locks it must hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..lang import ir

Token: TypeAlias = tuple[int, int, Literal["w", "r"]]
Lockset: TypeAlias = frozenset[Token]


@dataclass(frozen=True, slots=True)
class Unit:
    """The nodes from a fine stop up to the next ones, and those next ones."""

    start: int
    nodes: tuple[int, ...]
    following: tuple[int, ...]


def units(thread: ir.Thread) -> dict[int, Unit]:
    """Every unit of a thread, by its first node."""
    code = thread.code
    starts = [thread.entry]
    starts += [node for node, instr in enumerate(code) if instr.fine_stop and node != starts[0]]
    found: dict[int, Unit] = {}
    for start in starts:
        seen = {start}
        todo = [start]
        following: set[int] = set()
        while todo:
            for successor in code[todo.pop()].successors():
                if code[successor].fine_stop:
                    following.add(successor)
                elif successor not in seen:
                    seen.add(successor)
                    todo.append(successor)
        found[start] = Unit(start, tuple(sorted(seen)), tuple(sorted(following)))
    return found


def units_of(found: dict[int, Unit]) -> dict[int, set[int]]:
    """For each node the units that it belongs to."""
    result: dict[int, set[int]] = {}
    for start, unit in found.items():
        for node in unit.nodes:
            result.setdefault(node, set()).add(start)
    return result


def _after(held: Lockset, sync: ir.Sync) -> Lockset:
    """The locks that must be held after a synchronisation primitive's effect."""
    if sync.lock is None:
        return held
    if sync.kind in ("acquire", "try"):
        if sync.index is None:
            return frozenset(token for token in held if token[0] != sync.lock)
        return held | {(sync.lock, sync.index, sync.mode)}
    if sync.kind in ("release", "sleep"):
        return frozenset(
            token
            for token in held
            if token[0] != sync.lock or (sync.index is not None and token[1] != sync.index)
        )
    return held


def locksets(thread: ir.Thread) -> list[Lockset]:
    """For every node the locks that the thread holds just before it on every path."""
    code = thread.code
    before: list[Lockset | None] = [None] * len(code)
    before[thread.entry] = frozenset()
    todo = [thread.entry]
    while todo:
        node = todo.pop()
        held = before[node]
        assert held is not None
        sync = code[node].sync
        after = held if sync is None else _after(held, sync)
        for successor in code[node].successors():
            old = before[successor]
            new = after if old is None else old & after
            if new != old:
                before[successor] = new
                todo.append(successor)
    return [held if held is not None else frozenset() for held in before]


def waits_for_free(guard: ir.Expr, var: int, nobody: int) -> bool:
    """Is the lock read in the guard only to ask that it be free, never that it be held?"""
    match guard:
        case ir.Binary("and" | "or", left, right, _):
            return waits_for_free(left, var, nobody) and waits_for_free(right, var, nobody)
        case ir.Binary("==", ir.Shared(read, index), ir.Const(value), _) if read == var:
            return value == nobody and not _reads(index, var)
    return not _reads(guard, var)


def _reads(expr: ir.Expr, var: int) -> bool:
    return any(isinstance(sub, ir.Shared) and sub.var == var for sub in ir.walk(expr))


Promise: TypeAlias = tuple[int, int, frozenset[ir.Expr]]


def _promises(program: ir.Program, guard: ir.Expr) -> set[Promise]:
    """Locks that are free where the guard holds, unless one of some conditions holds too."""
    match guard:
        case ir.Binary("and", left, right, _):
            return _promises(program, left) | _promises(program, right)
        case ir.Binary("or", left, right, _):
            found: set[Promise] = set()
            for one, two in ((left, right), (right, left)):
                if not any(isinstance(sub, ir.Shared | ir.ListNext) for sub in ir.walk(one)):
                    found |= {
                        (lock, index, unless | {one})
                        for lock, index, unless in _promises(program, two)
                    }
            return found
        case ir.Binary("==", ir.Shared(var, index), ir.Const(value), _):
            shared = program.shared[var]
            if shared.pure_sync and value == len(program.threads):
                if isinstance(index, ir.Const):
                    return {(var, index.value, frozenset())}
                if shared.length == 1:
                    return {(var, 0, frozenset())}
    return set()


_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _denies(test: ir.Expr, truth: bool, condition: ir.Expr) -> bool:
    """Does the outcome of a test show that the condition is false?"""
    if isinstance(test, ir.Unary) and test.op == "not":
        return _denies(test.operand, not truth, condition)
    if isinstance(condition, ir.Unary) and condition.op == "not":
        return truth and test == condition.operand or _same(test, truth, condition)
    return _same(test, truth, condition)


def _same(test: ir.Expr, truth: bool, condition: ir.Expr) -> bool:
    if not truth:
        return test == condition
    if isinstance(test, ir.Binary) and isinstance(condition, ir.Binary):
        return (
            _OPPOSITE.get(test.op) == condition.op
            and test.left == condition.left
            and test.right == condition.right
        )
    return False


def free_locks(
    program: ir.Program, thread: ir.Thread, found: dict[int, Unit]
) -> dict[int, frozenset[tuple[int, int]]]:
    """For nodes behind a wait in the same unit: the mutexes that nobody holds meanwhile.

    A unit is one step, so a lock that its guard wants free stays free, unless the unit takes
    it; units with primitives of their own, other than wakeups, are left out.
    """
    code = thread.code
    result: dict[int, frozenset[tuple[int, int]]] = {}
    members = Counter(node for unit in found.values() for node in unit.nodes)
    for start, unit in found.items():
        action = code[start].action
        syncs = [sync for node in unit.nodes if (sync := code[node].sync) is not None]
        if not isinstance(action, ir.Wait) or any(sync.kind != "wakeup" for sync in syncs):
            continue
        inside = frozenset(unit.nodes)
        known: dict[int, frozenset[Promise]] = {}
        promised = frozenset(_promises(program, action.guard))
        if not promised:
            continue
        todo = [(code[start].next, promised)]
        while todo:
            node, promises = todo.pop()
            if node not in inside or node == start:
                continue
            old = known.get(node)
            new = promises if old is None else old & promises
            if new == old:
                continue
            known[node] = new
            instr = code[node]
            after = _surviving(instr.action, new)
            if isinstance(instr.action, ir.Branch):
                test = instr.action.test
                todo.append((instr.next, _known(after, test, True)))
                todo.append((instr.action.other, _known(after, test, False)))
            else:
                todo += [(successor, after) for successor in instr.successors()]
        for node, promises in known.items():
            locks = frozenset((lock, index) for lock, index, unless in promises if not unless)
            if locks and members[node] == 1:  # it belongs to no unit that begins elsewhere
                result[node] = locks
    return result


def _surviving(action: ir.Action, promises: frozenset[Promise]) -> frozenset[Promise]:
    """Drop the promises whose conditions an assignment may change."""
    if not isinstance(action, ir.Assign | ir.Choose) or not isinstance(action.target, ir.Local):
        return promises
    var = action.target.var
    return frozenset(
        promise
        for promise in promises
        if not any(
            isinstance(sub, ir.Local) and sub.var == var
            for condition in promise[2]
            for sub in ir.walk(condition)
        )
    )


def _known(promises: frozenset[Promise], test: ir.Expr, truth: bool) -> frozenset[Promise]:
    """Strike out the conditions that the outcome of a test shows to be false."""
    return frozenset(
        (lock, index, frozenset(c for c in unless if not _denies(test, truth, c)))
        for lock, index, unless in promises
    )
