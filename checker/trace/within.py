"""The states inside one fine step, which no other thread ever sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..explore import semantics
from ..explore.interpret import State
from ..lang import ir
from .explain import evaluate


def within(
    program: ir.Program,
    thread: int,
    state: State,
    nodes: Sequence[int],
    choices: Sequence[int],
) -> Iterator[tuple[int, State]]:
    """The nodes that a step executed, with the state before each; -1 with the last one."""
    decided = iter(choices)
    for node in nodes:
        yield node, state
        action = program.threads[thread].code[node].action
        match action:
            case ir.Assign(target, expr):
                state = _stored(state, thread, target, evaluate(expr, state, thread))
            case ir.Choose(target):
                state = _stored(state, thread, target, next(decided, None))
            case ir.ListInsert() | ir.ListRemove():
                state = _relinked(state, thread, action)
    yield -1, state


def _stored(
    state: State, thread: int, target: ir.Local | ir.Shared, value: int | None
) -> State:
    index = 0 if target.index is None else evaluate(target.index, state, thread)
    memory = state.threads[thread].locals if isinstance(target, ir.Local) else state.shared
    if value is None or index is None or not 0 <= index < len(memory[target.var]):
        return state
    rows = list(memory)
    row = list(rows[target.var])
    row[index] = value
    rows[target.var] = tuple(row)
    if isinstance(target, ir.Shared):
        return replace(state, shared=tuple(rows))
    threads = list(state.threads)
    threads[thread] = replace(threads[thread], locals=tuple(rows))
    return replace(state, threads=tuple(threads))


def _relinked(state: State, thread: int, action: ir.ListInsert | ir.ListRemove) -> State:
    ref = action.list
    base = evaluate(ref.base, state, thread)
    node = evaluate(action.node, state, thread)
    if base is None or node is None:
        return state
    row = list(state.shared[ref.var])
    items = row[base : base + ref.capacity]
    if isinstance(action, ir.ListRemove):
        changed = semantics.list_remove(items, node, ref.empty)
    else:
        anchor = None if action.anchor is None else evaluate(action.anchor, state, thread)
        changed = semantics.list_insert(items, action.where, node, anchor, ref.empty)
    if changed is None:
        return state
    row[base : base + ref.capacity] = changed
    rows = list(state.shared)
    rows[ref.var] = tuple(row)
    return replace(state, shared=tuple(rows))
