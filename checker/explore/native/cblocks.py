"""The shape of one thread's code: its basic blocks, loops, and what its stops must clear."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...lang import ir
from ..errors import InternalError
from ..layout import ThreadLayout


@dataclass(slots=True)
class Shape:
    """The basic blocks of what can be reached from a thread's stops.

    ``blocks`` maps the first node of each block to its nodes, in the order in which they are
    written; every loop contains one of ``heads``; ``entered`` are the stops that some
    instruction leads to; ``longest`` is the largest number of blocks that can be executed
    without coming to a head; ``edges_to`` counts the edges that lead to a node.
    """

    thread: ir.Thread
    own: ThreadLayout
    blocks: dict[int, list[int]] = field(default_factory=dict)
    heads: set[int] = field(default_factory=set)
    entered: set[int] = field(default_factory=set)
    longest: int = 0
    edges_to: dict[int, int] = field(default_factory=dict)

    def is_stop(self, node: int) -> bool:
        """Does a thread that comes to this node stop there, if the search wants it?"""
        return self.thread.code[node].fine_stop and node in self.own.index


def shape(thread: ir.Thread, own: ThreadLayout) -> Shape:
    """Find the blocks of a thread.  Raises InternalError for a wait behind a store."""
    found = Shape(thread, own)
    order, leaders = _search(found)
    for node in order:
        if node in leaders:
            found.blocks[node] = _block(thread, node, leaders)
    found.longest = _longest(found, order)
    _check_waits(found, order)
    return found


def _search(found: Shape) -> tuple[list[int], set[int]]:
    """What can be reached, in reverse postorder, and the first nodes of blocks."""
    thread, own = found.thread, found.own
    code = thread.code
    postorder: list[int] = []
    state = [0] * len(code)
    entering = [0] * len(code)
    leaders = set(own.stops)
    for root in [thread.entry, *own.stops]:
        stack: list[tuple[int, int]] = [(root, 0)]
        while stack:
            node, turn = stack.pop()
            if turn == 0:
                if state[node]:
                    continue
                state[node] = 1
            successors = code[node].successors()
            if turn == len(successors):
                state[node] = 2
                postorder.append(node)
                continue
            stack.append((node, turn + 1))
            successor = successors[turn]
            entering[successor] += 1
            if entering[successor] > 1 or len(successors) > 1:
                leaders.add(successor)
            if found.is_stop(successor):
                found.entered.add(successor)
            if state[successor] == 1:
                found.heads.add(successor)
                leaders.add(successor)
            elif state[successor] == 0:
                stack.append((successor, 0))
    found.edges_to = {node: count for node, count in enumerate(entering) if count}
    return postorder[::-1], leaders


def _block(thread: ir.Thread, node: int, leaders: set[int]) -> list[int]:
    nodes = [node]
    while True:
        instr = thread.code[node]
        if isinstance(instr.action, ir.End | ir.Branch) or instr.next in leaders:
            return nodes
        node = instr.next
        nodes.append(node)


def _longest(found: Shape, order: list[int]) -> int:
    """Without the edges to heads there are no loops: measure the paths backwards."""
    code = found.thread.code
    length: dict[int, int] = {}
    for first in reversed(order):
        if first in found.blocks:
            following = code[found.blocks[first][-1]].successors()
            behind = [length[node] for node in following if node not in found.heads]
            length[first] = 1 + max(behind, default=0)
    return max(length.values(), default=0)


def _check_waits(found: Shape, order: list[int]) -> None:
    """No wait may follow a store in the same unit: it could not take the store back."""
    code = found.thread.code
    stored: dict[int, bool] = dict.fromkeys(order, False)
    todo = list(order)
    while todo:
        node = todo.pop()
        writes = any(access.write for access in ir.accesses(code[node].action))
        for successor in code[node].successors():
            if found.is_stop(successor) or stored[successor]:
                continue
            if stored[node] or writes:
                stored[successor] = True
                todo.append(successor)
    for node, after in stored.items():
        if after and isinstance(code[node].action, ir.Wait):
            raise InternalError(f"{found.thread.name}: a wait after a store in one step")


def parts(found: Shape, size: int) -> list[list[int]]:
    """Deal out the blocks to parts of about so many instructions.

    Blocks between which control passes other than by arrival at a stop stay together.  Inside
    a part the blocks keep their order.
    """
    leader = {first: first for first in found.blocks}

    def root(first: int) -> int:
        while leader[first] != first:
            leader[first] = leader[leader[first]]
            first = leader[first]
        return first

    for first, nodes in found.blocks.items():
        for successor in found.thread.code[nodes[-1]].successors():
            if not found.is_stop(successor):
                leader[root(successor)] = root(first)
    together: dict[int, list[int]] = {}
    for first in found.blocks:
        together.setdefault(root(first), []).append(first)
    dealt: list[list[int]] = [[]]
    room = size
    for firsts in together.values():
        need = sum(len(found.blocks[first]) for first in firsts)
        if need > room and dealt[-1]:
            dealt.append([])
            room = size
        dealt[-1] += firsts
        room -= need
    return dealt
