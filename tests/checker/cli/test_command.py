"""The command as a user starts it."""

from __future__ import annotations

import subprocess
import sys


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "genfscheck", "--version"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("genfscheck")
