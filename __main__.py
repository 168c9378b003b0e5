"""The command ``genfscheck``: the checker's command line, given the genfs model.

This is the one place where the checker and the model meet.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .checker.cli import Subject, run


def main() -> None:
    """Run the command line on the model that ships with the package."""
    model = Path(__file__).resolve().parent / "model"
    sys.exit(run(Subject("genfs", model, f"{__package__}.model", variant="1.18")))


if __name__ == "__main__":
    main()
