"""Scenarios: TOML files that say which threads run what, in which geometry, on which file.

A scenario is data.  It is validated against this module's rules here, and against the
model (routines, arguments, parameters) when it is compiled; it is never evaluated.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ir
from .compile import (
    Argument,
    CallSpec,
    OneOf,
    ProgramSpec,
    SpecError,
    ThreadSpec,
    compile_program,
)
from .errors import ScenarioError
from .source import Source

SCHEMA = 1
TIERS = ("default", "full", "large")
MAX_THREADS = 8
MAX_OPEN = 4096
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validated scenario.

    ``possible_lines`` are seed lines that must be executed in it, ``possible_states`` names of
    witnesses that must be reached: where they are not, the scenario tests less than it says.
    """

    name: str
    file: str
    question: str
    exercises: tuple[str, ...]
    tier: str
    parameters: Mapping[str, int]
    setup: CallSpec | None
    threads: tuple[ThreadSpec, ...]
    properties: tuple[str, ...] | None = None
    possible_lines: tuple[int, ...] = ()
    possible_states: tuple[str, ...] = ()
    digest: str = ""
    text: str = field(default="", repr=False)


class _Reader:
    """Takes keys out of a table, checking types, and reports what is left over."""

    def __init__(self, file: str, table: Mapping[str, Any], path: str = "") -> None:
        self.file, self.table, self.path = file, dict(table), path

    def key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, message: str) -> ScenarioError:
        return ScenarioError(self.file, self.key(name), message)

    def take(self, name: str, kind: type, expected: str, default: Any = ...) -> Any:
        if name not in self.table:
            if default is ...:
                raise self.error(name, f"missing: expected {expected}")
            return default
        value = self.table.pop(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(name, f"expected {expected}, found {_shown(value)}")
        return value

    def take_list(self, name: str, kind: type, expected: str) -> tuple[Any, ...]:
        values = self.take(name, list, f"a list of {expected}", [])
        for position, value in enumerate(values):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise self.error(f"{name}[{position}]", f"expected {expected}, found "
                                                        f"{_shown(value)}")
        return tuple(values)

    def finish(self, known: str) -> None:
        if self.table:
            raise self.error(min(self.table), f"unknown key: expected {known}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def parse(text: str, file: str) -> Scenario:
    """Validate a scenario's text.  Raises ScenarioError naming the file and the key."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(file, "", f"not TOML: {error}") from None
    reader = _Reader(file, table)
    schema = reader.take("schema", int, f"the number {SCHEMA}")
    if schema != SCHEMA:
        raise reader.error("schema", f"expected {SCHEMA}, found {schema}")
    name = reader.take("name", str, "a name")
    if not _NAME.match(name):
        raise reader.error("name", "expected lower-case letters, digits and hyphens")
    tier = reader.take("tier", str, " or ".join(TIERS), "default")
    if tier not in TIERS:
        raise reader.error("tier", f"expected {' or '.join(TIERS)}, found {tier!r}")
    parameters = reader.take("parameters", dict, "a table of numbers", {})
    for key, value in parameters.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ScenarioError(file, f"parameters.{key}", f"expected a number, found "
                                                           f"{_shown(value)}")
    properties: tuple[str, ...] | None = None
    if "properties" in table:
        properties = reader.take_list("properties", str, "names of properties")
    possible = _Reader(file, reader.take("possible", dict, "a table", {}), "possible")
    lines = possible.take_list("lines", int, "line numbers")
    states = possible.take_list("states", str, "names of witnesses")
    possible.finish("lines, states")
    scenario = Scenario(
        name,
        file,
        reader.take("question", str, "a sentence in quotes", ""),
        reader.take_list("exercises", str, "words in quotes"),
        tier,
        parameters,
        _setup(reader),
        _threads(reader),
        properties,
        lines,
        states,
        hashlib.sha256(text.encode()).hexdigest()[:16],
        text,
    )
    reader.finish("schema, name, question, exercises, tier, parameters, setup, thread, daemons, "
                  "properties, possible")
    return scenario


def _setup(reader: _Reader) -> CallSpec | None:
    table = reader.take("setup", dict, "a table", None)
    return None if table is None else _call(reader.file, "setup", table)


def _call(file: str, path: str, table: Mapping[str, Any]) -> CallSpec:
    inner = _Reader(file, table, path)
    routine = inner.take("call", str, "a routine's name")
    arguments: dict[str, Argument] = {}
    for key, value in inner.table.items():
        if isinstance(value, bool | int | str):
            arguments[key] = value
        elif isinstance(value, dict):
            arguments[key] = _open(file, f"{path}.{key}", value)
        elif isinstance(value, list) and all(isinstance(item, int | str) for item in value):
            arguments[key] = tuple(value)
        elif isinstance(value, list) and all(isinstance(item, int | dict) for item in value):
            arguments[key] = tuple(
                _open(file, f"{path}.{key}[{at}]", item) if isinstance(item, dict) else item
                for at, item in enumerate(value)
            )
        else:
            raise inner.error(key, f"expected a number, true/false, a text or a list, found "
                                   f"{_shown(value)}")
    return CallSpec(routine, arguments)


def _open(file: str, path: str, table: Mapping[str, Any]) -> OneOf:
    """What is left open: ``{ any = [...] }``, or ``{ from = .., to = .. }`` for numbers."""
    inner = _Reader(file, table, path)
    if "any" in table:
        values = inner.take("any", list, "a list of values")
        if not values or not all(isinstance(value, bool | int | str) for value in values):
            raise inner.error("any", "expected at least one number, true/false or text")
        if len({(type(value), value) for value in values}) != len(values):
            raise inner.error("any", "expected different values")
    else:
        low = inner.take("from", int, "a number, or `any`: a list of values")
        high = inner.take("to", int, "a number")
        if not low <= high < low + MAX_OPEN:
            raise inner.error("to", f"expected a number from {low} to {low + MAX_OPEN - 1}")
        values = list(range(low, high + 1))
    inner.finish("any; or from, to")
    return OneOf(path, tuple(values))


def _threads(reader: _Reader) -> tuple[ThreadSpec, ...]:
    tables = reader.take("thread", list, "at least one [[thread]]", [])
    threads: list[ThreadSpec] = []
    for number, table in enumerate(tables):
        path = f"thread[{number}]"
        if not isinstance(table, dict):
            raise ScenarioError(reader.file, path, "expected a [[thread]] table")
        inner = _Reader(reader.file, table, path)
        name = inner.take("name", str, "a name")
        program = inner.take("program", list, "a list of { call = ..., ... }")
        daemon = inner.take("daemon", bool, "true or false", False)
        inner.finish("name, program, daemon")
        if not program:
            raise inner.error("program", "expected at least one { call = ... }")
        calls = []
        for position, item in enumerate(program):
            where = f"{path}.program[{position}]"
            if not isinstance(item, dict):
                raise ScenarioError(reader.file, where, "expected { call = ..., ... }")
            calls.append(_call(reader.file, where, item))
        threads.append(ThreadSpec(name, tuple(calls), daemon))
    if not any(not thread.daemon for thread in threads):
        raise ScenarioError(reader.file, "thread", "expected at least one [[thread]] that is not "
                                                   "a daemon")
    for daemon_name in reader.take_list("daemons", str, "names of daemon actors"):
        threads.append(ThreadSpec(daemon_name, (CallSpec(daemon_name),), True))
    if len(threads) > MAX_THREADS:
        raise ScenarioError(reader.file, "thread", f"expected at most {MAX_THREADS} threads, "
                                                   f"daemons included; found {len(threads)}")
    names = [thread.name for thread in threads]
    for name in names:
        if names.count(name) > 1:
            raise ScenarioError(reader.file, "thread", f"two threads are named {name!r}")
    return tuple(threads)


def read(path: Path) -> Scenario:
    """Read and validate a scenario file.  Raises ScenarioError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ScenarioError(str(path), "", "not a text file (expected TOML in UTF-8)") from None
    except OSError as error:
        raise ScenarioError(str(path), "", error.strerror or str(error)) from None
    return parse(text, str(path))


def compile_scenario(
    source: Source, scenario: Scenario, *, fixes: frozenset[str] = frozenset(), variant: str = ""
) -> ir.Program:
    """Compile a scenario.  Raises ScenarioError where it does not fit the model."""
    spec = ProgramSpec(
        scenario.name,
        scenario.threads,
        scenario.setup,
        scenario.parameters,
        fixes,
        variant,
        scenario.properties,
        scenario.possible_states,
    )
    try:
        return compile_program(source, spec)
    except SpecError as error:
        raise ScenarioError(scenario.file, "", str(error)) from None
