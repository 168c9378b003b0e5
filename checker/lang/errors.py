"""What is reported to the author of a model or of a scenario: one line, with its place."""

from __future__ import annotations


class ModelError(Exception):
    """A model outside the language, with the file, the line, and what to write instead."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file, self.line, self.message = file, line, message


class SpecError(ValueError):
    """A call, name or number in a scenario that the model does not have; says what it expected."""


class ScenarioError(Exception):
    """A scenario that cannot be used: the file, the key, and what was expected."""

    def __init__(self, file: str, key: str, message: str) -> None:
        super().__init__(f"{file}: {key}: {message}" if key else f"{file}: {message}")
        self.file, self.key, self.message = file, key, message
