"""A story in the formats of other programs: JSON, ITF, Mermaid, Graphviz."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from ..explore.interpret import State
from ..lang import ir
from .events import Event, Folded, Run, fold
from .names import Names, line_ranges
from .record import to_json
from .replay import Replay
from .story import Story


def as_json(story: Story) -> str:
    """Everything the story knows, one object; ``docs/json.md`` describes it."""
    document: dict[str, Any] = {
        "schema": 1,
        "trace": {k: v for k, v in to_json(story.trace).items() if k != "steps"},
        "question": story.question,
        "threads": [dataclasses.asdict(actor) for actor in story.actors],
        "initial": dict(story.initial),
        "steps": [dataclasses.asdict(event) for event in story.events],
        "final": dict(story.final),
        "held": {name: list(locks) for name, locks in story.held},
        "blocked": [dataclasses.asdict(blocked) for blocked in story.blocked],
        "promise": story.promise.promise if story.promise else story.doc,
        "seen": story.promise.seen if story.promise else "",
        "finding": story.finding.id if story.finding else None,
    }
    return json.dumps(document, indent=1)


def as_itf(story: Story, replay: Replay) -> str:
    """The Informal Trace Format, which other model checkers' viewers read."""
    names = Names(replay.program)
    variables = [var.name for var in replay.program.shared]
    states = [replay.initial, *(moment.after for moment in replay.moments)]
    document = {
        "#meta": {
            "format": "ITF",
            "source": story.trace.scenario,
            "status": "violation",
            "property": story.trace.broken.property,
        },
        "vars": [*variables, "thread", "lines"],
        "states": [
            _itf_state(names, state, number, story) for number, state in enumerate(states)
        ],
    }
    return json.dumps(document, indent=1)


def _itf_state(names: Names, state: State, number: int, story: Story) -> dict[str, Any]:
    event = story.events[number - 1] if number else None
    values: dict[str, Any] = {"#meta": {"index": number}}
    for var, row in zip(names.program.shared, state.shared, strict=True):
        shown = [_itf_value(var.domain, value) for value in row]
        values[var.name] = shown if var.length > 1 else shown[0]
    values["thread"] = event.thread if event else ""
    values["lines"] = list(event.lines) if event else []
    return values


def _itf_value(domain: ir.Domain, value: int) -> Any:
    match domain.kind:
        case "bool":
            return bool(value)
        case "int":
            return {"#bigint": str(value)} if abs(value) >= 1 << 53 else value
        case _:
            return domain.show(value)


def as_mermaid(story: Story, *, everything: bool = False) -> Iterator[str]:
    """A sequence diagram: one life line for each thread."""
    yield "sequenceDiagram"
    for index, actor in enumerate(story.actors):
        yield f"    participant T{index} as {_plain(actor.name)}"
    index_of = {actor.name: index for index, actor in enumerate(story.actors)}
    for run in fold(story.events, everything=everything):
        for entry in run.events:
            at = index_of[run.thread]
            yield f"    Note over T{at}: {_plain(_summary(entry), '<br/>')}"
    broken = story.trace.broken
    last = len(story.actors) - 1
    span = "T0" if last <= 0 else f"T0,T{last}"
    yield f"    Note over {span}: BROKEN {_plain(broken.property)}: {_plain(broken.message)}"


def as_dot(story: Story, *, everything: bool = False) -> Iterator[str]:
    """A graph: a column for each thread, the steps in their order from top to bottom."""
    yield "digraph trace {"
    yield "  rankdir=TB; node [shape=box, fontname=monospace, fontsize=10];"
    runs: list[tuple[Run, Event | Folded]] = [
        (run, entry)
        for run in fold(story.events, everything=everything)
        for entry in run.events
    ]
    for actor in story.actors:
        yield f'  subgraph "cluster_{_quote(actor.name)}" {{'
        yield f'    label="{_quote(actor.name)}";'
        for number, (run, entry) in enumerate(runs):
            if run.thread == actor.name:
                text = _quote(_summary(entry)).replace("\n", "\\l") + "\\l"
                yield f'    s{number} [label="{text}"];'
        yield "  }"
    for number in range(1, len(runs)):
        yield f"  s{number - 1} -> s{number};"
    yield f'  broken [label="{_quote(story.trace.broken.property)}", color=red];'
    if runs:
        yield f"  s{len(runs) - 1} -> broken;"
    yield "}"


def _summary(entry: Event | Folded) -> str:
    if isinstance(entry, Folded):
        return f"... {line_ranges(entry.lines)}"
    parts = [f"{line_ranges(entry.lines)} {entry.routine}: {entry.text}".strip()]
    parts += [f"choice: {label} = {value}" for label, value in entry.choices]
    parts += [f"{c.name}: {c.old} -> {c.new}" for c in entry.changes if not (c.local or c.sync)]
    return "\n".join(parts)


def _plain(text: str, newline: str = " ") -> str:
    """Text that Mermaid does not take for its own syntax."""
    entities = {"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;"}
    return "".join(entities.get(c, c) for c in text).replace("\n", newline)


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
