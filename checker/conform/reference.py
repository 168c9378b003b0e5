"""What a subject's implementation must offer, to be held against its model."""

from __future__ import annotations

from typing import Protocol

from ..lang import ir
from ..lang.scenario import Scenario
from ..trace.record import Trace
from ..trace.replay import Replay


class Unlike(Exception):
    """The implementation has nothing that corresponds to the scenario."""


class Reference(Protocol):
    """A module that can be told to do what the model did."""

    def replay(
        self,
        stored: Trace,
        scenario: Scenario,
        program: ir.Program,
        executed: Replay,
        fixes: tuple[str, ...],
        everything: bool,
    ) -> tuple[bool | None, list[str], dict[str, object]]:
        """Whether the implementation did the trace; the report as lines and as an object.

        None: it took every step, and whether the promise was broken cannot be seen.
        """
        ...
