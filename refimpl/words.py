"""Shared words, counters, and things to sleep on."""

from __future__ import annotations

from .hook import At
from .threads import Machine


class Chan:
    """Something to sleep on that has a name and nothing else."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Word:
    """An integer in shared memory.  ``|=`` and ``&= ~`` are a load and a store, as in C."""

    __slots__ = ("_machine", "of", "field", "value")

    def __init__(self, machine: Machine, of: object, field: str, value: int = 0) -> None:
        self._machine = machine
        self.of = of
        self.field = field
        self.value = value  # inside a service, for reports, and of a machine at rest

    def __str__(self) -> str:
        return f"{self.of}.{self.field}"

    def get(self, at: At) -> int:
        return self.value if self._machine.hook is None else self._load(at)

    def set(self, value: int, at: At) -> None:
        if self._machine.hook is None:
            self.value = value
        else:
            self._store(value, at)

    def add(self, amount: int, at: At) -> int:
        """Adds, and returns the sum."""
        total = self.get(at) + amount
        self.set(total, at)
        return total

    def on(self, mask: int, at: At) -> None:
        """Sets the bits of ``mask``."""
        if self._machine.hook is None:
            self.value |= mask
        else:
            self._store(self._load(at) | mask, at)

    def off(self, mask: int, at: At) -> None:
        """Clears the bits of ``mask``."""
        if self._machine.hook is None:
            self.value &= ~mask
        else:
            self._store(self._load(at) & ~mask, at)

    def _load(self, at: At) -> int:
        machine = self._machine
        machine.turn("load", at, self)
        with machine.guard:
            value = self.value
            machine.noted("load", at, of=self.of, field=self.field, value=value)
        return value

    def _store(self, value: int, at: At) -> None:
        machine = self._machine
        machine.turn("store", at, self)
        with machine.guard:
            self.value = value
            machine.noted("store", at, of=self.of, field=self.field, value=value)


class Counter:
    """An integer that services add to; the guard is held."""

    __slots__ = ("_field", "value")

    def __init__(self, field: str) -> None:
        self._field = field
        self.value = 0

    def add(self, amount: int) -> int:
        """Adds, and returns the sum."""
        self.value += amount
        return self.value

    def __str__(self) -> str:
        return f"{self._field} {self.value}"


def lowest(used: list[int]) -> int:
    """The lowest number that is not in use."""
    return next(number for number in range(len(used) + 1) if number not in used)
