"""Units: what a thread does between two fine stops, and the locks it must hold."""

from __future__ import annotations

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
