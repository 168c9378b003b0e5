"""Values that depend on inputs: each value with the condition under which it is that.

Operations are done value by value with the interpreter's own semantics
(:mod:`...explore.semantics`), so there is no second definition of what an operator computes.  A
value that is the same for all inputs is a plain integer, and costs what an integer costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from .guards import Guard, Guards


class Cases:
    """Different values, each under its guard; no two guards hold together.

    Where no guard holds the value is not defined: the path that has it is not taken there.
    """

    __slots__ = ("cases",)

    def __init__(self, cases: tuple[tuple[int, Guard], ...]) -> None:
        self.cases = cases

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{value}: {guard!r}" for value, guard in self.cases) + "}"


Value: TypeAlias = int | Cases


class Values:
    """Makes values; equal ones are the same object."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self._made: dict[tuple[tuple[int, int], ...], Cases] = {}
        self._restricted: dict[tuple[int, int], Value] = {}
        self._truths: dict[int, Guard] = {}

    def of(self, cases: Iterable[tuple[int, Guard]]) -> Value:
        """The value of some cases; guards of equal values are united, impossible ones dropped."""
        guards = self.guards
        united: dict[int, Guard] = {}
        for value, guard in cases:
            if guard is not guards.false:
                old = united.get(value)
                united[value] = guard if old is None else guards.either(old, guard)
        if len(united) == 1:
            return next(iter(united))
        ordered = tuple(sorted(united.items()))
        if not ordered:
            return 0  # nowhere defined
        key = tuple((value, guard.number) for value, guard in ordered)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = Cases(ordered)
        return found

    def cases(self, value: Value) -> tuple[tuple[int, Guard], ...]:
        return value.cases if isinstance(value, Cases) else ((value, self.guards.true),)

    def unary(self, operation: Callable[[int], int], value: Value) -> Value:
        if isinstance(value, Cases):
            return self.of((operation(one), guard) for one, guard in value.cases)
        return operation(value)

    def binary(self, operation: Callable[[int, int], int], one: Value, two: Value) -> Value:
        both = self.guards.both
        return self.of(
            (operation(a, b), both(g, h))
            for a, g in self.cases(one)
            for b, h in self.cases(two)
        )

    def truth(self, value: Value) -> Guard:
        """Where the value is not zero."""
        if isinstance(value, Cases):
            found = self._truths.get(id(value))
            if found is None:
                found = self.guards.any(guard for one, guard in value.cases if one)
                self._truths[id(value)] = found
            return found
        return self.guards.true if value else self.guards.false

    def falsity(self, value: Value) -> Guard:
        """Where the value is zero."""
        if isinstance(value, Cases):
            return self.guards.any(guard for one, guard in value.cases if not one)
        return self.guards.false if value else self.guards.true

    def select(self, guard: Guard, one: Value, two: Value) -> Value:
        """One value where the guard holds, the other elsewhere."""
        if one is two or guard is self.guards.true:
            return one
        both, opposite = self.guards.both, self.guards.negation(guard)
        if opposite is self.guards.true:
            return two
        return self.of(
            [
                *((value, both(guard, own)) for value, own in self.cases(one)),
                *((value, both(opposite, own)) for value, own in self.cases(two)),
            ]
        )

    def under(self, value: Value, condition: Guard) -> Value:
        """The value, simplified for where the condition holds."""
        if not isinstance(value, Cases):
            return value
        key = (id(value), condition.number)
        found = self._restricted.get(key)
        if found is None:
            restrict = self.guards.restrict
            found = self.of((one, restrict(guard, condition)) for one, guard in value.cases)
            self._restricted[key] = found
        return found
