"""The control flow inside one unit: nodes, exits, loops, and where branches meet again."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..explore.interpret import ENDED
from ..lang import ir


@dataclass(slots=True)
class Flow:
    """The unit that begins at a stop.

    ``order`` holds its nodes in the order of a depth-first walk; ``after`` each node's
    successors, an exit to stop ``s`` being ``-2 - s`` and to the thread's end -1.  ``heads`` are
    the nodes that loops go back to; ``meet`` where the ways behind a branch all meet again.
    """

    stop: int
    order: list[int] = field(default_factory=list)
    after: dict[int, tuple[int, ...]] = field(default_factory=dict)
    heads: set[int] = field(default_factory=set)
    meet: dict[int, int | None] = field(default_factory=dict)

    @property
    def exits(self) -> list[int]:
        """The stops that the unit leads to (:data:`ENDED`), in the order of the walk."""
        found = {to: None for node in self.order for to in self.after[node] if to < 0}
        return [target_of(code) for code in found]

    def reaching(self, goals: set[int]) -> set[int]:
        """The nodes from which a goal can be reached by at least one edge."""
        found: set[int] = set()
        changed = True
        while changed:
            changed = False
            for node in reversed(self.order):
                if node not in found and any(
                    to in goals or to in found for to in self.after[node]
                ):
                    found.add(node)
                    changed = True
        return found


def target_of(code: int) -> int:
    """The stop that an exit stands for."""
    return ENDED if code == -1 else -2 - code


def flow(thread: ir.Thread, stop: int) -> Flow:
    """Walk the unit that begins at a stop."""
    made = Flow(stop)
    code = thread.code

    def edges(node: int) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for to in code[node].successors():
            if isinstance(code[to].action, ir.End):
                found[-1] = None
            elif code[to].fine_stop:
                found[-2 - to] = None
            else:
                found[to] = None
        return tuple(found)

    if isinstance(code[stop].action, ir.End):
        raise ValueError("a unit does not begin at the end")
    state: dict[int, int] = {}
    stack = [(stop, 0)]
    while stack:
        node, turn = stack.pop()
        if turn == 0:
            state[node] = 1
            made.order.append(node)
            made.after[node] = edges(node)
        if turn < len(made.after[node]):
            stack.append((node, turn + 1))
            to = made.after[node][turn]
            if to >= 0 and to not in state:
                stack.append((to, 0))
            elif to >= 0 and state[to] == 1:
                made.heads.add(to)
        else:
            state[node] = 2
    _meet(made)
    return made


def _meet(made: Flow) -> None:
    """Immediate postdominators, by the classic data flow over bit sets."""
    position = {node: at for at, node in enumerate(made.order)}
    everything = (1 << len(made.order)) - 1
    behind = {node: everything for node in made.order}
    changed = True
    while changed:
        changed = False
        for node in reversed(made.order):
            common = everything
            for to in made.after[node]:
                common &= behind[to] if to >= 0 else 0
            new = common | 1 << position[node]
            if new != behind[node]:
                behind[node] = new
                changed = True
    for node in made.order:
        rest = behind[node] & ~(1 << position[node])
        ways = [made.order[at] for at in _bits(rest)]
        nearest = max(ways, key=lambda one: behind[one].bit_count(), default=None)
        made.meet[node] = nearest


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
