"""The shape of a routine's graph: its loops, and an order in which everything else is forward."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..lang import ir


@dataclass(frozen=True, slots=True)
class Loop:
    """A natural loop: the node that back edges lead to, and every node inside."""

    head: int
    nodes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Flow:
    """Nodes in topological order of the forward edges, and loops by head."""

    order: tuple[int, ...]
    loops: dict[int, Loop]
    back: frozenset[tuple[int, int]]


def successors(instr: ir.Instr) -> tuple[int, ...]:
    """Where control goes; nowhere behind a check that always fails."""
    if isinstance(instr.action, ir.Check) and instr.action.test == ir.Const(0):
        return ()
    return instr.successors()


def analyse(thread: ir.Thread) -> Flow:
    """Find the loops.  Raises ValueError where a loop has two entries (none has, from source)."""
    code = thread.code
    back: set[tuple[int, int]] = set()
    postorder: list[int] = []
    colour: dict[int, int] = {thread.entry: 1}
    stack: list[tuple[int, list[int]]] = [
        (thread.entry, list(reversed(successors(code[thread.entry]))))
    ]
    while stack:
        node, todo = stack[-1]
        if not todo:
            stack.pop()
            colour[node] = 2
            postorder.append(node)
            continue
        target = todo.pop()
        state = colour.get(target, 0)
        if state == 1:
            back.add((node, target))
        elif state == 0:
            colour[target] = 1
            stack.append((target, list(reversed(successors(code[target])))))
    order = tuple(reversed(postorder))
    before: dict[int, list[int]] = {node: [] for node in order}
    for node in order:
        for target in successors(code[node]):
            before[target].append(node)
    loops: dict[int, Loop] = {}
    for source, head in sorted(back):
        nodes = {head, source}
        todo = [source] if source != head else []
        while todo:
            for previous in before[todo.pop()]:
                if previous not in nodes:
                    nodes.add(previous)
                    todo.append(previous)
        known = loops.get(head)
        loops[head] = Loop(head, frozenset(nodes) | (known.nodes if known else frozenset()))
    for head, loop in loops.items():
        for node in loop.nodes - {head}:
            if any(previous not in loop.nodes for previous in before[node]):
                raise ValueError(f"the loop at node {head} has two entries")
    return Flow(order, loops, frozenset(back))


def fills(program: ir.Program, thread: ir.Thread) -> frozenset[int]:
    """The last nodes of runs of stores that set every slot of an array to "none".

    Between them are at most checks; nothing jumps into a run, and no other thread runs.  So
    such a run stands for the emptying of an array of any length.
    """
    code = thread.code
    entered = Counter(target for instr in code for target in instr.successors())
    found: set[int] = set()
    for first in range(len(code)):
        array, node, slot = _emptied(program, thread, code[first].action, 0), first, 0
        while array is not None:
            if slot == array[1] - 1:
                found.add(node)
                break
            node, slot = code[node].next, slot + 1
            while isinstance(code[node].action, ir.Check | ir.Nop) and entered[node] == 1 and (
                not code[node].fine_stop
            ):
                node = code[node].next
            following = _emptied(program, thread, code[node].action, slot)
            if following != array or entered[node] != 1 or code[node].fine_stop:
                break
    return frozenset(found)


def _emptied(
    program: ir.Program, thread: ir.Thread, action: ir.Action, slot: int
) -> tuple[str, int] | None:
    """The array and its length, if the action sets this slot of it to "none"."""
    match action:
        case ir.Assign(ir.Local(number, ir.Const(index)), ir.Const(value)) if index == slot:
            local = thread.locals[number]
            if value == _none(local.domain):
                return f"local {number}", local.length
        case ir.Assign(ir.Shared(number, ir.Const(index)), ir.Const(value)) if index == slot:
            shared = program.shared[number]
            if value == _none(shared.domain) and shared.width == shared.length:
                return shared.name, shared.length
    return None


def _none(domain: ir.Domain) -> int:
    """The value of a reference to nothing."""
    return next((value for value, name in domain.labels if name == "NULL"), -1)
