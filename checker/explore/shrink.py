"""Shortening a list of decisions while it still shows the same violation.

Delta debugging (Zeller, Hildebrandt: Simplifying and isolating failure-inducing input, TSE
2002): leave out ever smaller parts.  Between rounds, decisions of one thread are brought
together, so that what is left has few context switches.  A test executes its candidate as far
as that can be done and returns what was done, or None; so dropping a decision also drops what
depended on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Spent(Exception):
    """The budget is used up."""


class Shrinker(Generic[Item]):
    """Shortens one list; ``kind`` says which items belong together (their thread).

    ``budget`` bounds the items that are executed in all tests together; what was reached by
    then is the result, so it depends on the input only.
    """

    def __init__(
        self,
        test: Callable[[list[Item]], list[Item] | None],
        kind: Callable[[Item], int],
        budget: int = 20_000_000,
    ) -> None:
        self._test, self._kind, self._budget = test, kind, budget

    def shrink(self, items: list[Item]) -> list[Item]:
        """A list that passes the test, no longer than ``items`` (which must pass it)."""
        done = self._test(items)
        if done is None:
            raise ValueError("what is to be shortened does not pass the test")
        best = [done]
        try:
            before = None
            while before != best[0]:
                before = best[0]
                self._drop_kinds(best)
                self._drop_parts(best)
                self._gather(best)
        except _Spent:
            pass
        return best[0]

    def _try(self, best: list[list[Item]], candidate: list[Item], same: bool = False) -> bool:
        """Is the candidate shorter (``same``: has it fewer switches, and is it no longer)?"""
        self._budget -= len(candidate) + 1
        if self._budget < 0:
            raise _Spent
        done = self._test(candidate)
        if done is None or len(done) > len(best[0]):
            return False
        if len(done) == len(best[0]) and not (
            same and self._switches(done) < self._switches(best[0])
        ):
            return False
        best[0] = done
        return True

    def _switches(self, items: list[Item]) -> int:
        kinds = [self._kind(item) for item in items]
        return sum(one != two for one, two in zip(kinds, kinds[1:], strict=False))

    def _drop_kinds(self, best: list[list[Item]]) -> None:
        for kind in sorted({self._kind(item) for item in best[0]}):
            self._try(best, [item for item in best[0] if self._kind(item) != kind])

    def _drop_parts(self, best: list[list[Item]]) -> None:
        size = max(1, len(best[0]) // 2)
        while best[0]:
            at = len(best[0])
            dropped = False
            while at > 0:  # from the end, where more depends on the violation alone
                begin = max(0, at - size)
                if self._try(best, best[0][:begin] + best[0][at:]):
                    dropped = True
                    at = min(begin, len(best[0]))
                else:
                    at = begin
            if size > 1:
                size //= 2
            elif not dropped:
                return

    def _gather(self, best: list[list[Item]]) -> None:
        """Move runs of one thread to the thread's run before, or to the one behind."""
        at = 0
        while True:
            runs = self._runs(best[0])
            if at >= len(runs):
                return
            begin, end = runs[at]
            kind = self._kind(best[0][begin])
            same = [i for i, (start, _) in enumerate(runs) if self._kind(best[0][start]) == kind]
            place = same.index(at)
            moved = False
            for other in (same[place - 1 : place] if place else []) + same[place + 1 : place + 2]:
                items = best[0]
                part, rest = items[begin:end], items[:begin] + items[end:]
                to = runs[other][1] if other < at else runs[other][0] - len(part)
                if self._try(best, rest[:to] + part + rest[to:], same=True):
                    moved = True
                    break
            if not moved:
                at += 1

    def _runs(self, items: list[Item]) -> list[tuple[int, int]]:
        starts = [
            i for i, item in enumerate(items)
            if i == 0 or self._kind(item) != self._kind(items[i - 1])
        ]  # fmt: skip
        return list(zip(starts, [*starts[1:], len(items)], strict=False))
