"""Which local variables a thread may still read: backward data flow, per element.

An element stored at a constant index is dead before the store; a read at an unknown index
reads every element, a store at an unknown index kills none.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..lang import ir


@dataclass(slots=True)
class Liveness:
    """For every node the live elements before it, as a bit mask over ``offset[var] + element``."""

    thread: ir.Thread
    offset: list[int]
    before: list[int]

    def is_live(self, node: int, var: int, element: int) -> bool:
        """May the element be read, from this node on, before it is stored?"""
        return bool(self.before[node] >> (self.offset[var] + element) & 1)


def _used(thread: ir.Thread, offset: list[int], action: ir.Action) -> int:
    mask = 0
    for root in ir.action_reads(action):
        for expr in ir.walk(root):
            if isinstance(expr, ir.Local):
                mask |= element_mask(thread, offset, expr)
    return mask


def element_mask(thread: ir.Thread, offset: list[int], expr: ir.Local) -> int:
    """The elements that a local expression may denote."""
    length = thread.locals[expr.var].length
    if expr.index is None:
        return 1 << offset[expr.var]
    if isinstance(expr.index, ir.Const):
        if 0 <= expr.index.value < length:
            return 1 << (offset[expr.var] + expr.index.value)
        return 0
    return ((1 << length) - 1) << offset[expr.var]


def _killed(thread: ir.Thread, offset: list[int], action: ir.Action) -> int:
    if isinstance(action, ir.Assign | ir.Choose) and isinstance(action.target, ir.Local):
        index = action.target.index
        if index is None or isinstance(index, ir.Const):
            return element_mask(thread, offset, action.target)
    return 0


def liveness(thread: ir.Thread) -> Liveness:
    """Solve the data-flow equations of one thread."""
    offset: list[int] = []
    total = 0
    for var in thread.locals:
        offset.append(total)
        total += var.length
    code = thread.code
    used = [_used(thread, offset, instr.action) for instr in code]
    kept = [~_killed(thread, offset, instr.action) for instr in code]
    predecessors: list[list[int]] = [[] for _ in code]
    for node, instr in enumerate(code):
        for successor in instr.successors():
            predecessors[successor].append(node)
    before = list(used)
    todo = list(range(len(code)))
    queued = [True] * len(code)
    while todo:
        node = todo.pop()
        queued[node] = False
        after = 0
        for successor in code[node].successors():
            after |= before[successor]
        value = used[node] | (after & kept[node])
        if value != before[node]:
            before[node] = value
            for predecessor in predecessors[node]:
                if not queued[predecessor]:
                    queued[predecessor] = True
                    todo.append(predecessor)
    return Liveness(thread, offset, before)
