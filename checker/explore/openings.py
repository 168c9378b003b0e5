"""What a scenario leaves open in its setup, and which choices of it are consistent.

A choice of everything open is left out where the setup fails for it (for any of the setup's
other choices), where the setup has no way to its end, and where an invariant is broken at the
beginning.  It is the choice that is wrong there, not the program.  What no choice avoids is not
a matter of the choice, and is reported as it is where nothing is open: a setup that fails for
all of them is refused, and an invariant that is broken for all that are left is a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Generic, TypeAlias, TypeVar

from ..lang import ir
from ..lang.compile import INPUT

Chosen: TypeAlias = tuple[int, ...]
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Ending(Generic[State]):
    """One way the setup went: what it chose of what is open; the state, None where it failed."""

    chosen: Mapping[str, int]
    state: State | None


def chosen(
    code: Sequence[ir.Instr], executed: Sequence[int], choices: Sequence[int]
) -> dict[str, int]:
    """What an execution of these nodes chose of what its scenario leaves open, by label."""
    labels = [  # the last one may have failed before it chose
        action.label
        for action in (code[node].action for node in executed)
        if isinstance(action, ir.Choose)
    ]
    return {
        label: choice
        for label, choice in zip(labels, choices, strict=False)
        if label.startswith(INPUT)
    }


class Openings:
    """The choices that a setup leaves open, by label, in the order of its code."""

    def __init__(self, setup: ir.Thread) -> None:
        self._code = setup.code
        self.counts: dict[str, int] = {}
        for instr in setup.code:
            match instr.action:
                case ir.Choose(_, ir.Const(count), label) if label.startswith(INPUT):
                    self.counts[label] = count

    @property
    def choices(self) -> int:
        """How many choices of everything open there are (1 where nothing is)."""
        return prod(self.counts.values())

    def chosen(self, executed: Sequence[int], choices: Sequence[int]) -> dict[str, int]:
        """What an execution chose of what is open."""
        if not self.counts:
            return {}
        return chosen(self._code, executed, choices)

    def _all(self, chosen: Mapping[str, int]) -> Iterator[Chosen]:
        """The choices of everything that agree with some of them."""
        return product(
            *((chosen[label],) if label in chosen else range(count)
              for label, count in self.counts.items())
        )

    def accepted(self, endings: Sequence[Ending[State]]) -> set[Chosen]:
        """The choices for which the setup comes to its end, and never fails."""
        ended: set[Chosen] = set()
        failed: set[Chosen] = set()
        for ending in endings:
            (failed if ending.state is None else ended).update(self._all(ending.chosen))
        return ended - failed

    def consistent(
        self, endings: Sequence[Ending[State]], accepted: set[Chosen],
        breaks: Callable[[State], bool],
    ) -> set[Chosen]:
        """Those among the accepted choices for which no state is broken; all, if there are none."""
        broken: set[Chosen] = set()
        for ending in endings if self.counts else ():
            if ending.state is not None and breaks(ending.state):
                broken.update(self._all(ending.chosen))
        return accepted - broken or accepted

    def states(
        self, endings: Sequence[Ending[State]], kept: set[Chosen]
    ) -> list[State]:
        """The different states that some choice among those kept leads to, in their order."""
        found: dict[State, None] = {}
        for ending in endings:
            if ending.state is not None and any(one in kept for one in self._all(ending.chosen)):
                found.setdefault(ending.state)
        return list(found)
