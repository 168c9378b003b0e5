"""Logs as files: JSON lines, sealed so that a cut or an edit shows.

The first line is the header, the last says how many events there were and carries the digest of
everything before it.  Between them stand the events, ``[thread, kind, at, values]``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..trace.data import read_text, write_text
from ..trace.errors import DataError

SCHEMA: Final = 1
KIND: Final = "genfscheck log"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    number: int
    thread: str
    kind: str
    at: int | str
    values: Mapping[str, object]

    def __str__(self) -> str:
        values = " ".join(f"{key}={value}" for key, value in self.values.items())
        return f"{self.thread} {self.at} {self.kind} {values}".rstrip()


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log with what is needed to validate it again.

    ``model`` is the digest of the model's sources; ``finished`` are the threads that came to
    their end, ``died`` why the others did not; ``world`` is the subject's own.
    """

    model: str
    scenario_text: str
    variant: str
    fixes: tuple[str, ...]
    seed: int
    events: Sequence[Entry]
    finished: tuple[str, ...] = ()
    died: str = ""
    world: Mapping[str, Any] = field(default_factory=dict)


def save(log: LogFile, path: Path) -> None:
    """Writes a log, whole or not at all."""
    header = {
        "kind": KIND,
        "schema": SCHEMA,
        "model": log.model,
        "variant": log.variant,
        "fixes": list(log.fixes),
        "seed": log.seed,
        "finished": list(log.finished),
        "died": log.died,
        "world": dict(log.world),
        "scenario_text": log.scenario_text,
    }
    lines = [json.dumps(header, sort_keys=True)]
    lines += [
        json.dumps([one.thread, one.kind, one.at, dict(one.values)], sort_keys=True)
        for one in log.events
    ]
    text = "\n".join(lines) + "\n"
    seal = {"digest": _digest(text), "events": len(log.events)}
    write_text(path, text + json.dumps(seal, sort_keys=True) + "\n")


def load(path: Path) -> LogFile:
    """Reads a log.  DataError, one line, where it is none, was cut off or was edited."""
    text = read_text(path)
    lines = text.splitlines()
    if not lines:
        raise DataError(path, "", "expected a log, found an empty file")
    header = _json(path, 1, lines[0])
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise DataError(path, "kind", f"expected {KIND!r}: this is no log")
    if header.get("schema") != SCHEMA:
        raise DataError(path, "schema", f"expected {SCHEMA}, found {header.get('schema')!r}")
    seal = _json(path, len(lines), lines[-1])
    sealed = isinstance(seal, dict) and "digest" in seal and text.endswith("}\n")
    if len(lines) < 2 or not sealed:
        raise DataError(path, f"line {len(lines)}", "expected the seal: the log was cut off")
    body = text[: text.rstrip("\n").rfind("\n") + 1]
    if seal["digest"] != _digest(body) or seal.get("events") != len(lines) - 2:
        raise DataError(path, "digest", "does not fit: the log was edited")
    events = [
        _entry(path, number, _json(path, number + 2, line))
        for number, line in enumerate(lines[1:-1])
    ]
    try:
        return LogFile(
            str(header["model"]),
            str(header["scenario_text"]),
            str(header["variant"]),
            tuple(map(str, header["fixes"])),
            int(header["seed"]),
            events,
            tuple(map(str, header["finished"])),
            str(header["died"]),
            dict(header["world"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(path, "line 1", f"not a log's header: {error}") from None


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(path, f"line {number}", "expected JSON: the log was cut off") from None


def _entry(path: Path, number: int, value: Any) -> Entry:
    match value:
        case [str() as thread, str() as kind, (int() | str()) as at, dict() as values]:
            return Entry(number, thread, kind, at, values)
    raise DataError(path, f"line {number + 2}", "expected [thread, kind, at, values]")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
