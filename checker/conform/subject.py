"""What the verbs `conform` and `stress` know of the implementation that logs come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .log import LogFile
from .validate import Outcome, Validator


@dataclass(frozen=True, slots=True)
class Validated:
    """A log and what came of it.  ``error``: an event that no rule covers, in words."""

    log: LogFile
    validator: Validator
    outcome: Outcome
    seconds: float  # of processor time, for turning events into patterns and following them
    error: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What `stress` is asked for: user threads, seconds of running, the first seed."""

    threads: int
    seconds: float
    seed: int
    variant: str
    geometries: tuple[str, ...]


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
