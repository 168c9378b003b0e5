"""The shape of a routine's graph: its loops, and an order in which everything else is forward."""

from __future__ import annotations

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
