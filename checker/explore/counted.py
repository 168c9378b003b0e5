"""The ample sets of one search: with tables that count only what was executed before it.

Like the reduction's assumption that code which was never executed does not exist, this holds
for a search that executes nothing else; one that does is repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .ample import Tables, ample, tables
from .engine import Facts
from .pygen import Checks


class Counted:
    """Ample sets for given stops and checks, and the instructions that they count, by thread.

    ``groups``: threads that the search exchanges, which have the same stops."""

    def __init__(
        self,
        known: Facts,
        stops: Sequence[Sequence[int]],
        checks: Mapping[int, Checks],
        active: Sequence[Collection[int]],
        groups: Sequence[Sequence[int]] = (),
    ) -> None:
        self.known, self.stops, self.checks = known, [list(row) for row in stops], dict(checks)
        self.active = [sorted(nodes) for nodes in active]
        self._covered = [set(nodes) for nodes in active]
        self._groups = groups
        self._ample = ample(known, self.stops, self.checks, self._covered, groups)
        self.tables: Tables = tables(self._ample, known.program)

    def holds(self, active: Sequence[Collection[int]]) -> bool:
        """Are these the ample sets if all that is executed?"""
        if all(set(new) <= old for new, old in zip(active, self._covered, strict=True)):
            return True
        if ample(self.known, self.stops, self.checks, active, self._groups) != self._ample:
            return False
        self._covered = [set(nodes) for nodes in active]
        return True
