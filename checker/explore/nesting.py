"""The order in which blocks take locks inside each other."""

from __future__ import annotations

from typing import TypeAlias

Lock: TypeAlias = tuple[int, int | None]


def in_cycles(
    edges: dict[tuple[Lock, Lock], set[int]],
    places: dict[tuple[int, int], set[tuple[Lock, ...]]],
) -> set[tuple[int, int]]:
    """The acquisitions whose nesting is part of a cycle in the order of locks."""
    vague = {lock for pair in edges for lock, index in pair if index is None}

    def name(lock: Lock) -> Lock:
        return (lock[0], None) if lock[0] in vague else lock

    after: dict[Lock, set[Lock]] = {}
    for one, two in edges:
        after.setdefault(name(one), set()).add(name(two))

    def reaches(start: Lock, goal: Lock) -> bool:
        seen = {start}
        todo = [start]
        while todo:
            lock = todo.pop()
            if lock == goal:
                return True
            for other in after.get(lock, ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return False

    return {
        place
        for place, pairs in places.items()
        if any(reaches(name(pair[1]), name(pair[0])) for pair in pairs)
    }
