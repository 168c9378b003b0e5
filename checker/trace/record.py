"""A trace as a file: what happened, step by step, enough to do it again.

The file holds no state, only decisions, and a digest of every state passed, so a trace
that was edited, or is read with another version of the model, is noticed and refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import Fields, read_json, write_text
from .errors import DataError

FORMAT = "genfscheck-trace"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One fine step: who ran, from which node of its graph, what was chosen, which lines.

    ``state`` is the digest of the state after the step.
    """

    thread: str
    node: int
    choices: tuple[int, ...]
    lines: tuple[int, ...]
    state: str


@dataclass(frozen=True, slots=True)
class Broken:
    """What the trace breaks: the property, what the check said, where, and by whom.

    ``thread`` is empty when no single thread is to blame (an invariant, a deadlock).
    """

    property: str
    message: str
    lines: tuple[int, ...]
    thread: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A counterexample."""

    model: str
    scenario: str
    scenario_text: str
    variant: str
    fixes: tuple[str, ...]
    parameters: dict[str, int]
    initial: int
    initial_state: str
    steps: tuple[Step, ...]
    broken: Broken

    @property
    def lines(self) -> tuple[int, ...]:
        """Every seed line the trace passes, and those of the violation, in order."""
        passed = {line for step in self.steps for line in step.lines}
        return tuple(sorted(passed | set(self.broken.lines)))

    @property
    def switches(self) -> int:
        """How often another thread goes on."""
        names = [step.thread for step in self.steps]
        return sum(a != b for a, b in zip(names, names[1:], strict=False))


def to_json(trace: Trace) -> dict[str, Any]:
    """The trace as a JSON object; the ``seal`` is a digest of all the rest."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "model": trace.model,
        "scenario": trace.scenario,
        "scenario_sha256": _sha256(trace.scenario_text),
        "scenario_text": trace.scenario_text,
        "variant": trace.variant,
        "fixes": list(trace.fixes),
        "parameters": dict(sorted(trace.parameters.items())),
        "initial": {"choice": trace.initial, "state": trace.initial_state},
        "steps": [
            {
                "thread": step.thread,
                "node": step.node,
                "choices": list(step.choices),
                "lines": list(step.lines),
                "state": step.state,
            }
            for step in trace.steps
        ],
        "violation": {
            "property": trace.broken.property,
            "message": trace.broken.message,
            "lines": list(trace.broken.lines),
            "thread": trace.broken.thread,
        },
    }
    value["seal"] = _sha256(json.dumps(value, sort_keys=True))
    return value


def save(trace: Trace, path: Path) -> None:
    """Write the trace, one step a line."""
    value = to_json(trace)
    steps = value.pop("steps")
    tail = {"violation": value.pop("violation"), "seal": value.pop("seal")}
    end = json.dumps(tail, indent=1).removeprefix("{\n")
    head = json.dumps(value, indent=1)
    body = ",\n  ".join(json.dumps(step) for step in steps)
    head = head.removesuffix("\n}")
    write_text(
        path,
        f'{head},\n "steps": [\n  {body}\n ],\n{end}\n',
    )


def load(path: Path) -> Trace:
    """Read a trace; anything that is not one is refused with one clear line."""
    return parse(read_json(path))


def parse(fields: Fields) -> Trace:
    """The trace that a JSON object holds."""
    if fields.string("format", "") != FORMAT:
        raise fields.error("format", f"expected {FORMAT!r}: this is not a trace")
    schema = fields.integer("schema")
    if schema != SCHEMA:
        raise fields.error("schema", f"expected {SCHEMA}, found {schema}: made by another version")
    parameters = fields.table("parameters")
    initial = fields.table("initial")
    violation = fields.table("violation")
    trace = Trace(
        model=fields.string("model"),
        scenario=fields.string("scenario"),
        scenario_text=fields.string("scenario_text"),
        variant=fields.string("variant"),
        fixes=fields.strings("fixes"),
        parameters={key: parameters.integer(key) for key in parameters.keys()},
        initial=initial.integer("choice"),
        initial_state=initial.string("state"),
        steps=tuple(_step(step) for step in fields.tables("steps")),
        broken=Broken(
            property=violation.string("property"),
            message=violation.string("message"),
            lines=violation.integers("lines"),
            thread=violation.string("thread"),
        ),
    )
    if fields.string("scenario_sha256") != _sha256(trace.scenario_text):
        raise fields.error("scenario_text", "does not match scenario_sha256: it was edited")
    seal = fields.string("seal")
    for table in (fields, initial, violation):
        table.done()
    if seal != to_json(trace)["seal"]:
        raise fields.error("seal", "does not match the contents: the trace was edited")
    return trace


def _step(fields: Fields) -> Step:
    step = Step(
        thread=fields.string("thread"),
        node=fields.integer("node"),
        choices=fields.integers("choices"),
        lines=fields.integers("lines"),
        state=fields.string("state"),
    )
    fields.done()
    return step


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = [
    "FORMAT", "SCHEMA", "Broken", "DataError", "Step", "Trace", "load", "parse", "save",
    "to_json",
]  # fmt: skip
