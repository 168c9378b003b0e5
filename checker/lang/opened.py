"""Scenarios that leave arguments open, with one choice made: ordinary scenarios again."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from .compile import CallSpec, OneOf
from .scenario import Scenario, parse

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def open_arguments(scenario: Scenario) -> tuple[OneOf, ...]:
    """Everything that a scenario leaves open, in its order."""
    calls: list[CallSpec] = [] if scenario.setup is None else [scenario.setup]
    calls += [call for thread in scenario.threads for call in thread.calls]
    found: list[OneOf] = []
    for call in calls:
        for value in call.arguments.values():
            items = value if isinstance(value, list | tuple) else (value,)
            found += [item for item in items if isinstance(item, OneOf)]
    return tuple(found)


def closed(scenario: Scenario, chosen: Mapping[str, int]) -> Scenario:
    """The scenario with every open argument replaced: ``chosen`` has the value's position.

    What ``chosen`` does not name gets its first value.  Raises ScenarioError as :func:`parse`.
    """
    table = tomllib.loads(scenario.text)
    options = {one.name: one.values for one in open_arguments(scenario)}
    values = {name: given[chosen.get(name, 0)] for name, given in options.items()}
    table = {key: _replaced(value, key, values) for key, value in table.items()}
    return parse(dump(table), scenario.file)


def _replaced(value: Any, path: str, values: Mapping[str, int | bool | str]) -> Any:
    if path in values:
        return values[path]
    if isinstance(value, dict):
        return {key: _replaced(part, f"{path}.{key}", values) for key, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, f"{path}[{at}]", values) for at, part in enumerate(value)]
    return value


def dump(table: Mapping[str, Any]) -> str:
    """A scenario's table as TOML: scalars first, then tables, then lists of tables."""
    lines: list[str] = []
    later: list[str] = []
    for key, value in table.items():
        if isinstance(value, dict):
            later += ["", f"[{key}]", *(f"{_key(k)} = {_value(v)}" for k, v in value.items())]
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for one in value:
                later += ["", f"[[{key}]]", *(f"{_key(k)} = {_value(v)}" for k, v in one.items())]
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return "\n".join([*lines, *later]) + "\n"


def _key(key: str) -> str:
    return key if _BARE.match(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    raise ValueError(f"{value!r} cannot be in a scenario")
