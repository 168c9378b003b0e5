"""What a contract is, and what several of them say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import z3

from ...checker.symbolic.contracts import Given
from ...checker.symbolic.values import as_bool
from .page import Seen, Slots
from .wrappers import names

Claims: TypeAlias = Iterator[tuple[str, z3.BoolRef]]


class Local(Protocol):
    """The variables of the routine that is being proved, by name."""

    def __call__(self, name: str) -> z3.ArithRef: ...

    def truth(self, name: str) -> z3.BoolRef: ...

    def slots(self, name: str) -> Slots: ...

    def each(self, name: str) -> list[z3.ArithRef]: ...


class Args:
    """A call's arguments and results by name."""

    def __init__(self, arguments: Sequence[str], given: Sequence[Given]) -> None:
        self._given = dict(zip(names(arguments), given, strict=True))

    def number(self, name: str) -> z3.ArithRef:
        value = self._given[name].value
        assert isinstance(value, z3.ArithRef)
        return value

    def truth(self, name: str) -> z3.BoolRef:
        return as_bool(self._given[name].value)

    def slots(self, name: str) -> Slots:
        given = self._given[name]
        assert given.array is not None and isinstance(given.value, z3.ArithRef)
        return Slots(given.array, given.value)


# From the state in front of the routine, the present one, the arguments and the routine's
# own variables by name: what may be an invariant of its loops.
Hints: TypeAlias = Callable[[Seen, Seen, Args, Local], Claims]


def _no_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    yield from ()


@dataclass(frozen=True, slots=True)
class Alike:
    """Of every page that a variable names at a line of the seed: under a condition it has a flag.

    It is proved where the page is the one that is followed, and so known of every other.
    """

    line: int
    variable: str
    condition: str
    flag: int


@dataclass(frozen=True, slots=True)
class Contract:
    """``ensures`` compares the state in front of the call with the one behind it.

    ``arguments``, ``results``: what it speaks of (:class:`.wrappers.Passing`).
    ``arrays``: those of the arguments that the routine stores to.  ``hints`` cost time, never
    soundness: of what they propose only what is inductive is used.  ``transfers``: the routine
    has the thread's buffer too.  ``assumed``, of the arguments, is not proved of callers
    (proofs/README.md has each by name).
    """

    arguments: tuple[str, ...]
    requires: Callable[[Seen, Args], Claims]
    ensures: Callable[[Seen, Seen, Args], Claims]
    arrays: tuple[str, ...] = ()
    hints: Hints = _no_hints
    alike: Alike | None = None
    transfers: bool = False
    assumed: Callable[[Args], z3.BoolRef] | None = None
    results: tuple[str, ...] = ()


# --------------------------------------------------------------------------- parts


def with_lock(now: Seen) -> Claims:
    yield "begins without the object lock", now.held
    yield "begins with a page out of order", now.resource


def locked_still(now: Seen) -> Claims:
    yield "ends without the object lock", now.held
    yield "ends with a page out of order", now.resource


def owns_nothing(now: Seen) -> Claims:
    yield "owns a page", z3.Not(now.mine)


def free(now: Seen, args: Args) -> Claims:
    """Neither the object lock nor any page."""
    yield "begins with the object lock", z3.Not(now.held)
    yield from owns_nothing(now)


def still_free(then: Seen, now: Seen, args: Args) -> Claims:
    yield "ends with the object lock", z3.Not(now.held)
    yield from owns_nothing(now)


def owns_array(now: Seen, pgs: Slots, count: z3.ArithRef) -> Claims:
    """The thread owns what is in the first ``count`` slots, and nothing else."""
    yield "the array is not what the thread owns", now.mine == now.anywhere(pgs)
    yield "a page stands outside of the array's part", z3.Implies(
        now.anywhere(pgs), z3.And(now.inside(pgs, 0, count), now.once(pgs)))
    yield "a page of the array is not busy, or to be freed", now.valid
