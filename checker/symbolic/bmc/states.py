"""Symbolic states, how they were arrived at, and what was found wrong with them."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field

from ...explore.result import Kind
from .guards import Guard
from .values import Value


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a search ends.  ``switches`` and ``steps`` bound schedules (steps are blocks)."""

    switches: int | None = None
    steps: int | None = None
    seconds: float | None = None
    states: int | None = None
    first: bool = False


class OutOfTime(Exception):
    """The time of :attr:`Bounds.seconds` is over, behind the search itself."""


@dataclass(slots=True, eq=False, repr=False)
class Entry:
    """A symbolic state but for its condition.

    ``done``: for each thread what was executed from here, as (depth, inputs); ``edges``:
    where that led; ``seen``: the inputs for which it is reached; ``arrivals``: how, for each of
    them at least one; ``stopped``: inputs for which a check fails or nothing can go on.
    """

    nodes: tuple[int, ...]
    shared: tuple[Value, ...]
    locals: tuple[tuple[Value, ...], ...]
    seen: Guard
    done: list[list[tuple[int, Guard]]]
    edges: list[tuple[Guard, Entry]] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    stopped: list[Guard] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Arrival:
    """One way to a state: the block that led there, and the arrival before it.

    ``masks``: for invariants that count as broken here, the inputs for which they do.
    """

    entry: Entry
    condition: Guard
    before: Arrival | None
    thread: int
    choices: tuple[int, ...]
    switches: int
    depth: int
    masks: tuple[tuple[int, Guard], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A violation for some inputs: at a state, or in one more block that begins there.

    ``which``: the number of the invariant; ``instr``: the instruction that fails a check.
    """

    kind: Kind
    property: str
    at: Arrival
    condition: Guard
    thread: int | None = None
    choices: tuple[int, ...] = ()
    instr: int | None = None
    which: int = -1
    at_end: bool = False

    @builtins.property
    def switches(self) -> int:
        """The context switches of the schedule."""
        more = self.thread is not None and self.kind == "check" and \
            self.at.before is not None and self.at.thread != self.thread
        return self.at.switches + more
