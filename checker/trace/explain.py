"""Who holds which lock, and who waits for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import networkx as nx

from ..explore.errors import InternalError
from ..explore.interpret import State, eval_expr
from ..lang import ir
from .names import Names
from .stack import outside


def evaluate(expr: ir.Expr, state: State, thread: int) -> int | None:
    """The value of a thread's expression; None where it reads outside its variable."""
    try:
        return eval_expr(expr, state, thread)
    except InternalError:
        return None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A thread that waits: why, for which lock or queue, and who holds or owns that.

    ``values`` are those that the condition looks at; ``rest``: it may stay there for ever.
    """

    thread: str
    reason: str
    what: str
    values: str
    holders: tuple[str, ...]
    lines: tuple[int, ...]
    stack: tuple[str, ...]
    rest: bool


def locks_held(names: Names, state: State, thread: int) -> tuple[str, ...]:
    """The locks a thread holds, each with its record; reader/writer locks with the mode."""
    held: list[str] = []
    for number, var in enumerate(names.program.shared):
        if not var.pure_sync:
            continue
        field = var.name.rpartition(".")[2]
        for element, value in enumerate(state.shared[number]):
            lock = names.element(number, element).removesuffix(f".{field}")
            if field == "owner" and value == thread:
                held.append(lock)
            elif field == "writer" and value == thread:
                held.append(f"{lock} (writer)")
            elif field == "readers" and value >> thread & 1:
                held.append(f"{lock} (reader)")
    return tuple(held)


def holders_of(names: Names, state: State, var: int, element: int) -> tuple[str, ...]:
    """The threads that hold the lock that a lock variable belongs to."""
    prefix = names.element(var, element).rpartition(".")[0]
    result: dict[str, None] = {}
    for thread in names.program.threads:
        for lock in locks_held(names, state, thread.index):
            if lock.partition(" (")[0] == prefix:
                mode = lock.partition(" (")[2].rstrip(")")
                result[f"{thread.name} ({mode})" if mode else thread.name] = None
    return tuple(result)


def blocked_threads(names: Names, state: State) -> Iterator[Blocked]:
    """Every thread that stands at a wait whose condition does not hold."""
    for thread in names.program.threads:
        node = _first_wait(thread, state.threads[thread.index].pc)
        if node is None:
            continue
        action = thread.code[node].action
        assert isinstance(action, ir.Wait)
        if evaluate(action.guard, state, thread.index) != 0:
            continue
        where = thread.code[node].where
        what, values, holders = _awaited(names, state, thread, action)
        yield Blocked(
            thread=thread.name,
            reason=action.reason,
            what=what,
            values=values,
            holders=holders,
            lines=where.lines or _stack_lines(where.stack),
            stack=tuple(entry.partition("@")[0] for entry in outside(where.stack)),
            rest=action.rest,
        )


def _stack_lines(stack: tuple[str, ...]) -> tuple[int, ...]:
    for entry in reversed(stack):
        line = entry.partition("@")[2]
        if line.isdigit():
            return (int(line),)
    return ()


def _first_wait(thread: ir.Thread, node: int) -> int | None:
    """The wait at the head of the step that begins at a node, if there is one."""
    first = node
    for _ in range(len(thread.code)):
        if node < 0:
            return None
        instr = thread.code[node]
        if instr.fine_stop and node != first:
            return None
        if isinstance(instr.action, ir.Wait):
            return node
        if isinstance(instr.action, (ir.Branch, ir.End, ir.Choose)):
            return None
        node = instr.next
    return None


def _awaited(
    names: Names, state: State, thread: ir.Thread, action: ir.Wait
) -> tuple[str, str, tuple[str, ...]]:
    """What a wait is for, the values its condition looks at, and who could end it."""
    parts: dict[str, str] = {}
    holders: tuple[str, ...] = ()
    what = ""
    for expr in ir.walk(action.guard):
        if not isinstance(expr, ir.Shared):
            continue
        element = evaluate(expr.index, state, thread.index)
        var = names.program.shared[expr.var]
        if element is None or not 0 <= element < var.length:
            continue
        value = state.shared[expr.var][element]
        shown = names.value(expr.var, value)
        parts[names.element(expr.var, element)] = shown
        if not var.pure_sync or what:
            continue
        if var.name == "threads.wchan":
            what = shown
            holders = _owners(names, state, shown)
        else:
            what = names.element(expr.var, element).rpartition(".")[0]
            holders = holders_of(names, state, expr.var, element)
    values = ", ".join(f"{name} = {shown}" for name, shown in parts.items())
    return what, values, holders


def _owners(names: Names, state: State, queue: str) -> tuple[str, ...]:
    """The thread that owns the record a wait queue belongs to, where the model tracks that."""
    record = queue.rpartition(".")[0]
    owners = {var.phase.owner for var in names.program.shared if var.phase is not None}
    for number in sorted(owners):
        for element, value in enumerate(state.shared[number]):
            owner = names.element(number, element).rpartition(".")[0]
            if owner == record and value < len(names.program.threads):
                return (f"{names.thread(value)} (owner)",)
    return ()


def circles(blocked: Sequence[Blocked]) -> list[list[str]]:
    """Who waits for whom in a circle, each from its first name in alphabetical order."""
    waits: nx.DiGraph[str] = nx.DiGraph()
    for entry in blocked:
        for holder in entry.holders:
            waits.add_edge(entry.thread, holder.partition(" (")[0])
    found = []
    for circle in nx.simple_cycles(waits):
        start = circle.index(min(circle))
        found.append(circle[start:] + circle[:start])
    return sorted(found)
