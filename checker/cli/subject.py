"""What the command line is run on: a model, given from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A model package on disk: its sources, ``scenarios/*.toml`` and ``findings.toml``."""

    name: str
    root: Path
