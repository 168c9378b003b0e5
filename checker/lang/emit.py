"""Emitting a thread's graph: nodes, dangling edges, labels, atomic regions, fine stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import ir


@dataclass(slots=True, eq=False)
class Label:
    """A point of the program: edges that wait for it, or the node where it was placed."""

    edges: list[tuple[int, bool]] = field(default_factory=list)
    node: int | None = None


class Emitter:
    """Builds one graph.  ``pending`` holds the edges that lead to the next node emitted.

    An edge is (node, is it the ``other`` edge of a branch); the entry is node -1.
    """

    def __init__(self, is_ghost: Callable[[int], bool]) -> None:
        self.code: list[ir.Instr] = []
        self.locals: list[ir.LocalVar] = []
        self.entry = -1
        self.pending: list[tuple[int, bool]] = [(-1, False)]
        self.sync: ir.Sync | None = None
        self._is_ghost = is_ghost
        self._depth = 0
        self._quiet = 0
        self._head: int | None = None
        self._head_wanted = False
        self._region_accesses = False

    @property
    def reachable(self) -> bool:
        return bool(self.pending)

    @property
    def in_region(self) -> bool:
        return self._depth > 0

    def local(self, name: str, domain: ir.Domain, length: int = 1, array: bool = False) -> int:
        self.locals.append(ir.LocalVar(name, domain, length, array))
        return len(self.locals) - 1

    # ------------------------------------------------------------------ emission

    def emit(self, action: ir.Action, where: ir.Where) -> int:
        """Append a node at the current point; -1 where the point cannot be reached."""
        if not self.pending:
            return -1
        node = len(self.code)
        instr = ir.Instr(action, -1, where, sync=self.sync)
        self.sync = None
        self.code.append(instr)
        self._patch(node)
        self.pending = [] if isinstance(action, ir.End) else [(node, False)]
        visible = not self._quiet and self._is_visible(action)
        if self._depth:
            if self._head_wanted:
                self._head, self._head_wanted = node, False
            self._region_accesses = self._region_accesses or visible
        else:
            instr.fine_stop = visible
        return node

    def _is_visible(self, action: ir.Action) -> bool:
        if isinstance(action, ir.Wait | ir.Choose):
            return True
        return any(not self._is_ghost(access.var) for access in ir.accesses(action))

    def _patch(self, node: int) -> None:
        for source, other in self.pending:
            self._point(source, other, node)

    def _point(self, source: int, other: bool, node: int) -> None:
        if source < 0:
            self.entry = node
        elif other:
            action = self.code[source].action
            assert isinstance(action, ir.Branch)
            self.code[source].action = ir.Branch(action.test, node)
        else:
            self.code[source].next = node

    # -------------------------------------------------------------- control flow

    def branch(self, test: ir.Expr, where: ir.Where, then: Label, other: Label) -> None:
        """Go to one of two labels; nothing is pending afterwards."""
        if isinstance(test, ir.Const):
            self.goto(then if test.value else other)
            return
        node = self.emit(ir.Branch(test, -1), where)
        if node < 0:
            return
        self.pending = [(node, False)]
        self.goto(then)
        self.pending = [(node, True)]
        self.goto(other)

    def goto(self, label: Label) -> None:
        if label.node is not None:
            self._patch(label.node)
        else:
            label.edges.extend(self.pending)
        self.pending = []

    def place(self, label: Label) -> None:
        """The label is here (for labels that are only jumped forward to)."""
        self.pending.extend(label.edges)
        label.edges = []

    def place_loop(self, label: Label, where: ir.Where) -> None:
        """The label is here and later code jumps back to it."""
        if self._depth and self._head_wanted:
            self.emit(ir.Nop(), where)  # a region's head is never its own loop
        label.node = self.emit(ir.Nop(), where)
        if label.node < 0:
            label.node = None

    # ------------------------------------------------------------------- regions

    @contextmanager
    def region(self) -> Iterator[None]:
        """Everything emitted inside is one step with what it is entered by."""
        if self._depth == 0:
            self._head, self._head_wanted, self._region_accesses = None, True, False
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                if self._head is not None and self._region_accesses:
                    self.code[self._head].fine_stop = True
                self._head_wanted = False

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing emitted inside is a step of the program: ghosts and properties."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def finish(self) -> tuple[list[ir.Instr], int]:
        """Close the graph: drop empty nodes and what cannot be reached; renumber."""
        forward: dict[int, int] = {}

        def resolve(node: int) -> int:
            seen = []
            while (
                self.code[node].action == ir.Nop()
                and not self.code[node].fine_stop
                and self.code[node].sync is None
                and self.code[node].next != node
            ):
                if node in forward:
                    node = forward[node]
                    break
                seen.append(node)
                node = self.code[node].next
                if node in seen:
                    break
            for passed in seen:
                forward[passed] = node
            return node

        entry = resolve(self.entry)
        order: dict[int, int] = {}
        stack = [entry]
        while stack:
            node = stack.pop()
            if node in order:
                continue
            order[node] = len(order)
            instr = self.code[node]
            if isinstance(instr.action, ir.End):
                continue
            instr.next = resolve(instr.next)
            if isinstance(instr.action, ir.Branch):
                instr.action = ir.Branch(instr.action.test, resolve(instr.action.other))
                stack.append(instr.action.other)
            stack.append(instr.next)
        return ir.renumber(self.code, order), order[entry]
