"""What the verbs `conform` and `stress` know of the implementation that logs come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .log import LogFile


@dataclass(frozen=True, slots=True)
class Validated:
    """What came of one log; plain data, as it comes from another process.

    ``verdict`` is one of `report`'s, ``departure`` says in lines where and why, ``error`` names an
    event that no rule covers.  ``broken``: properties that did not hold on the way, each with the
    first event.  ``stopped``, ``died``: why the model, or the program, could not go on.
    ``kept``: where the log is, if it was kept.
    """

    where: str
    seed: int
    variant: str
    verdict: str
    events: int
    consumed: int
    steps: int
    seconds: float  # of processor time, for turning events into patterns and following them
    departure: tuple[str, ...] = ()
    broken: Mapping[str, int] = field(default_factory=dict)
    stopped: str = ""
    died: str = ""
    error: str = ""
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What `stress` is asked for.

    ``threads`` of users, ``seconds`` of running and following, what is compiled before not
    counted, the first ``seed``, how many processes share the geometries, and where logs are
    kept that depart, break a property or end early.
    """

    threads: int
    seconds: float
    seed: int
    variant: str
    geometries: tuple[str, ...]
    workers: int
    folder: Path


class Conformance(Protocol):
    """A module that an implementation gives to the command line."""

    def hidden(self) -> Mapping[str, str]:
        """The steps and events that are compared with nothing, and why."""

    def geometries(self) -> Mapping[str, str]:
        """What `stress` can run on: names, and a line about each."""

    def validate(self, log: LogFile, path: Path) -> Validated:
        """Follows a log in the model.  DataError for a log of another model."""

    def stress(self, load: Load) -> Iterator[Validated]:
        """Runs the implementation, one log after the other, each validated."""
