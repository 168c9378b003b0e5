"""The command ``genfscheck``: the checker's command line, given the genfs model.

This is the one place where the checker and the model meet.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from .checker.cli import Subject, run

SUBJECT: Final = Subject(
    name="genfs",
    root=Path(__file__).resolve().parent / "model",
    package=f"{__package__}.model",
    variant="1.18",
    proofs=f"{__package__}.proofs.library",
    conformance=f"{__package__}.refimpl.conformance.subject",
)


def main() -> None:
    """Run the command line on the model that ships with the package."""
    sys.exit(run(SUBJECT))


if __name__ == "__main__":
    main()
