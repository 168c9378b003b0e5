"""Who holds which lock, and who waits for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..explore.errors import InternalError
from ..explore.interpret import State, eval_expr
from ..lang import ir
from .names import Names


def evaluate(expr: ir.Expr, state: State, thread: int) -> int | None:
    """The value of a thread's expression; None where it reads outside its variable."""
    try:
        return eval_expr(expr, state, thread)
    except InternalError:
        return None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A thread that waits: for what, at which line, and who could end it."""

    thread: str
    reason: str
    what: str
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
        what, holders = _awaited(names, state, thread, action.guard)
        stack = tuple(entry.partition("@")[0] for entry in where.stack)
        yield Blocked(
            thread=thread.name,
            reason=action.reason,
            what=what,
            holders=holders,
            lines=where.lines or _stack_lines(where.stack),
            stack=stack,
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
    for _ in range(len(thread.code)):
        if node < 0:
            return None
        instr = thread.code[node]
        if isinstance(instr.action, ir.Wait):
            return node
        if isinstance(instr.action, (ir.Branch, ir.End, ir.Choose)):
            return None
        node = instr.next
    return None


def _awaited(
    names: Names, state: State, thread: ir.Thread, guard: ir.Expr
) -> tuple[str, tuple[str, ...]]:
    """What a false condition looks at, with values, and who holds it if it is a lock."""
    parts: dict[str, str] = {}
    holders: tuple[str, ...] = ()
    for expr in ir.walk(guard):
        if not isinstance(expr, ir.Shared):
            continue
        element = evaluate(expr.index, state, thread.index)
        var = names.program.shared[expr.var]
        if element is None or not 0 <= element < var.length:
            continue
        value = state.shared[expr.var][element]
        parts[names.element(expr.var, element)] = names.value(expr.var, value)
        if var.pure_sync and not holders:
            holders = holders_of(names, state, expr.var, element)
    return ", ".join(f"{name} = {value}" for name, value in parts.items()), holders
