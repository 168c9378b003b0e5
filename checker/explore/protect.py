"""Which accesses of different threads are protected from each other, and by what."""

from __future__ import annotations

from dataclasses import dataclass, field

from .units import Lockset


@dataclass(frozen=True, slots=True)
class Signature:
    """What decides whether two accesses to a variable are protected from each other.

    ``free``: locks that nobody holds meanwhile.  ``phase``: 2 the record is the thread's, 1 it
    is the thread's or nobody's, 0 unknown.  ``own``: only asks whether a record is the
    thread's own, or only changes that between its own and nobody's.
    """

    thread: int
    low: int
    high: int
    write: bool
    held: Lockset
    free: frozenset[tuple[int, int]]
    phase: int
    own: bool


@dataclass(slots=True)
class Signed:
    """A signature's sites, and what was found about it."""

    sites: list[int] = field(default_factory=list)
    non: bool = False
    relies: bool = False


def conflict(one: Signature, two: Signature) -> bool:
    return (
        one.thread != two.thread
        and (one.write or two.write)
        and one.low <= two.high
        and two.low <= one.high
        and not (one.own and two.own and one.write != two.write)
    )


def _locked(one: Signature, two: Signature) -> bool:
    """Is there a lock that both hold, one of them exclusively?"""
    return any(
        (lock, index, other) in two.held
        for lock, index, mode in one.held
        for other in (("w", "r") if mode == "w" else ("w",))
    )


def _excluded(one: Signature, two: Signature) -> bool:
    """Does the first hold a mutex that must be free for the second?"""
    return any((lock, index) in two.free for lock, index, mode in one.held if mode == "w")


def exposed(one: Signature, two: Signature) -> tuple[bool, bool, bool]:
    """Of two conflicting accesses: is the first a non-mover, the second, and by phases?"""
    if _locked(one, two):
        return False, False, False
    if _excluded(one, two):
        return False, True, False
    if _excluded(two, one):
        return True, False, False
    if one.phase and two.phase and 2 in (one.phase, two.phase):
        return one.phase < 2, two.phase < 2, True
    return True, True, False


def protect(group: dict[Signature, Signed]) -> None:
    """Mark the signatures that conflict unprotected, and those that rely on phases."""
    pairs = list(group.items())
    for at, (one, first) in enumerate(pairs):
        for two, second in pairs[at + 1 :]:
            if conflict(one, two):
                non_one, non_two, relies = exposed(one, two)
                first.non = first.non or non_one
                second.non = second.non or non_two
                first.relies = first.relies or relies
                second.relies = second.relies or relies
