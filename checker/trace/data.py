"""Reading and writing data files: validated, never evaluated, never half written."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import DataError

_NAMES = {
    int: "an integer", str: "a string", bool: "true or false", list: "a list", dict: "a table",
}  # fmt: skip


def read_text(path: Path) -> str:
    """The text of a file, or one clear line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(path, "", "expected a text file in UTF-8, found binary data") from None
    except OSError as error:
        raise DataError(path, "", _reason(error)) from None


def read_json(path: Path) -> Fields:
    """A file that holds one JSON object."""
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(path, "", f"expected a JSON object: {error}") from None
    except RecursionError:
        raise DataError(path, "", "expected a JSON object: nested too deeply") from None
    if not isinstance(value, dict):
        raise DataError(path, "", "expected a JSON object")
    return Fields(path, "", value)


def read_toml(path: Path) -> Fields:
    """A file that holds one TOML document."""
    try:
        return Fields(path, "", tomllib.loads(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise DataError(path, "", f"expected TOML: {error}") from None
    except RecursionError:
        raise DataError(path, "", "expected TOML: nested too deeply") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DataError(path, "", f"cannot be written: {_reason(error)}") from None
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)
        raise DataError(path, "", f"cannot be written: {_reason(error)}") from None
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def check_writable(path: Path) -> None:
    """Refuse early a file that could not be written at the end of a long run."""
    if path.is_dir():
        raise DataError(path, "", "cannot be written: it is a directory")
    if not path.parent.is_dir():
        raise DataError(path, "", f"cannot be written: {path.parent} is not a directory")
    if not os.access(path.parent, os.W_OK):
        raise DataError(path, "", f"cannot be written: {path.parent} is not writable")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class Fields:
    """A table of a data file, whose keys are taken out one by one with their types."""

    def __init__(self, file: str | Path, key: str, table: Mapping[str, Any]) -> None:
        self.file, self.key, self._table = file, key, table
        self._taken: set[str] = set()

    def error(self, key: str, message: str) -> DataError:
        """An error about one key of this table."""
        return DataError(self.file, f"{self.key}.{key}" if self.key else key, message)

    def _take(self, key: str, kind: type, default: Any) -> Any:
        self._taken.add(key)
        if key not in self._table:
            if default is not None:
                return default
            raise self.error(key, f"missing, expected {_NAMES[kind]}")
        value = self._table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(key, f"expected {_NAMES[kind]}, found {_describe(value)}")
        return value

    def integer(self, key: str) -> int:
        result: int = self._take(key, int, None)
        return result

    def string(self, key: str, default: str | None = None) -> str:
        result: str = self._take(key, str, default)
        return result

    def one_of(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.string(key, default)
        if value not in allowed:
            raise self.error(key, f"expected one of {', '.join(allowed)}, found {value!r}")
        return value

    def integers(self, key: str, default: list[int] | None = None) -> tuple[int, ...]:
        values: list[Any] = self._take(key, list, default)
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool):
                raise self.error(key, f"expected integers, found {_describe(value)}")
        return tuple(values)

    def strings(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        values: list[Any] = self._take(key, list, default)
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f"expected strings, found {_describe(value)}")
        return tuple(values)

    def table(self, key: str, default: dict[str, Any] | None = None) -> Fields:
        return Fields(self.file, f"{self.key}.{key}" if self.key else key,
                      self._take(key, dict, default))

    def tables(self, key: str, default: list[Any] | None = None) -> list[Fields]:
        values: list[Any] = self._take(key, list, default)
        prefix = f"{self.key}.{key}" if self.key else key
        for value in values:
            if not isinstance(value, dict):
                raise self.error(key, f"expected tables, found {_describe(value)}")
        return [Fields(self.file, f"{prefix}[{i}]", value) for i, value in enumerate(values)]

    def keys(self) -> tuple[str, ...]:
        return tuple(self._table)

    def done(self) -> None:
        """Refuse keys that nothing asked for."""
        for key in self._table:
            if key not in self._taken:
                raise self.error(key, f"unknown key, expected {', '.join(sorted(self._taken))}")


def _describe(value: object) -> str:
    if value is None:
        return "null"
    for kind in (bool, int, str, list, dict):
        if isinstance(value, kind):
            return f"{value!r}" if kind in (bool, int, str) else _NAMES[kind]
    return f"{value!r}"
