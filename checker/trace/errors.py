"""What is reported about a data file that cannot be used: one line, with its place."""

from __future__ import annotations

from pathlib import Path


class DataError(Exception):
    """A trace or a table that cannot be used: the file, the key, and what was expected."""

    def __init__(self, file: str | Path, key: str, message: str) -> None:
        super().__init__(f"{file}: {key}: {message}" if key else f"{file}: {message}")
        self.file, self.key, self.message = str(file), key, message
