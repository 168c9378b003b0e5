"""Histories of concurrent operations, and whether some order explains them.

A history is linearizable (Herlihy and Wing 1990) if its operations have an order that
keeps "this one had returned before that one was called" and in which a sequential
specification gives the results that were seen.  The search is that of Wing and Gong (1993)
with the cache of Lowe (2017, "Testing for linearizability", algorithm 1): a set of
operations that were placed, together with the state they led to, is never tried twice.
Histories of separate objects are checked one by one (locality; Horn and Kroening 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Operation:
    """One operation: times are positions in the order of all calls and returns.

    ``returned`` is None if it never did: then it may have happened or not.
    """

    thread: str
    name: str
    arguments: tuple[object, ...]
    result: object
    called: int
    returned: int | None

    def __str__(self) -> str:
        arguments = ", ".join(_brief(one) for one in self.arguments)
        end = "..." if self.returned is None else str(self.returned)
        result = "" if self.result is None else f" -> {_brief(self.result)}"
        return f"[{self.called:4d} {end:>4}] {self.thread:<10} {self.name}({arguments}){result}"


def _brief(value: object) -> str:
    if isinstance(value, bytes):
        return f"{value[:4].hex()}{'...' if len(value) > 4 else ''}" if value else "nothing"
    return str(value)


@dataclass
class History:
    """Collects operations from any thread."""

    operations: list[Operation] = field(default_factory=list)
    _clock: int = 0
    _lock: Lock = field(default_factory=Lock)

    def now(self) -> int:
        """A new time, later than all before."""
        with self._lock:
            self._clock += 1
            return self._clock

    def run(
        self, thread: str, name: str, arguments: tuple[object, ...], body: Callable[[], object]
    ) -> object:
        """Runs ``body`` and notes it; if it raises, as an operation that never returned."""
        called = self.now()
        try:
            result = body()
        except BaseException:
            self._add(Operation(thread, name, arguments, None, called, None))
            raise
        self.note(thread, name, arguments, result, called)
        return result

    def note(
        self, thread: str, name: str, arguments: tuple[object, ...], result: object, called: int
    ) -> None:
        """An operation that was called at ``called`` returns now."""
        self._add(Operation(thread, name, arguments, result, called, self.now()))

    def _add(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)


Step = Callable[[State, Operation], Iterable[State]]


@dataclass(frozen=True)
class Unexplained(Generic[State]):
    """No order exists: the shortest beginning of the history for which this is so."""

    operations: tuple[Operation, ...]
    initial: State

    def __str__(self) -> str:
        start = self.initial
        begins = ", ".join(map(str, start)) if isinstance(start, tuple) else start
        lines = [f"no order of these operations explains their results, from {begins}:"]
        lines += [f"  {operation}" for operation in self.operations]
        return "\n".join(lines)


def check(
    operations: Sequence[Operation], initial: State, step: Step[State]
) -> Unexplained[State] | None:
    """None if the history is linearizable.

    ``step(state, operation)`` gives the states that the operation may lead to with the
    result it had: none if that result is impossible, several if the specification leaves
    something open.
    """
    if linearizable(operations, initial, step):
        return None
    # What was called before the time of a return, with what had returned by then.
    for end in sorted(one.returned for one in operations if one.returned is not None):
        part = [
            one if one.returned is not None and one.returned <= end else _cut(one)
            for one in operations
            if one.called < end
        ]
        if not linearizable(part, initial, step):
            shown = sorted(part, key=lambda one: one.called)
            return Unexplained(tuple(shown), initial)
    raise AssertionError("the whole history has an order after all")


def _cut(one: Operation) -> Operation:
    """An operation as it looks before it has returned: its result may yet be anything."""
    return Operation(one.thread, one.name, one.arguments, one.result, one.called, None)


def linearizable(operations: Sequence[Operation], initial: State, step: Step[State]) -> bool:
    """Whether some order explains the results.  Depth first; each configuration once."""
    ordered = sorted(operations, key=lambda one: one.called)
    forever = 1 + max((max(one.called, one.returned or 0) for one in ordered), default=0)
    ends = [forever if one.returned is None else one.returned for one in ordered]
    must = sum(1 << i for i, one in enumerate(ordered) if one.returned is not None)
    seen: set[tuple[int, State]] = set()
    stack = [(0, initial)]
    while stack:
        placed, state = stack.pop()
        if placed & must == must:
            return True
        if (placed, state) in seen:
            continue
        seen.add((placed, state))
        # What was called before the first return among the rest may come next.
        horizon = min(end for i, end in enumerate(ends) if not placed >> i & 1)
        for index, operation in enumerate(ordered):
            if operation.called > horizon:
                break
            if not placed >> index & 1:
                after = placed | 1 << index
                stack.extend((after, one) for one in step(state, operation))
    return False
