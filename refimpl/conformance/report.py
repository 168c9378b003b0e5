"""A replay told as its user meets it: what ran, what hangs or panics, which bytes are wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from ...checker.trace.record import Trace
from .damage import Unit, token_name
from .follow import Pair, Replayed
from .world import UNIT

_SCHEMA = 1


def render(stored: Trace, result: Replayed, fixes: tuple[str, ...], everything: bool) -> list[str]:
    """Lines of text.  ``fixes`` are those of the real threads."""
    lines = [*_head(stored, result, fixes), ""]
    if everything:
        for pair in result.pairs:
            lines += _pair(pair, result)
        lines.append("")
    lines += _end(stored, result, fixes)
    return lines


def _head(stored: Trace, result: Replayed, fixes: tuple[str, ...]) -> Iterator[str]:
    yield f"{stored.scenario}: {stored.broken.property} is broken in {len(stored.steps)} steps"
    if fixes != stored.fixes:
        yield f"  trace of {stored.variant}, threads with {_fixes(fixes)}"
    steps = sum(len(pair.events) for pair in result.pairs)
    yield (
        f"  replayed on real threads: {len(result.pairs)} steps of the model as {steps} steps of "
        f"threads; state compared {result.compared} times"
    )


def _fixes(fixes: Sequence[str]) -> str:
    if len(fixes) > 3:
        return f"{len(fixes)} fixes"
    return ", ".join(fixes) or "no fix"


def _pair(pair: Pair, result: Replayed) -> Iterator[str]:
    name = result.program.threads[pair.moment.thread].name
    if not pair.events:
        return
    for event in pair.events:
        values = " ".join(f"{key}={value}" for key, value in event.values.items())
        yield f"  {pair.number:5d}  {name:<12} {event.at!s:>18}  {event.kind} {values}".rstrip()


def _end(stored: Trace, result: Replayed, fixes: tuple[str, ...]) -> Iterator[str]:
    if result.departed is not None:
        yield f"DEPARTS at step {result.at}: {result.departed.why}"
        step = stored.steps[result.at - 1]
        lines = ", ".join(map(str, step.lines)) or "outside the file"
        yield f"  the trace has {step.thread} at {lines}"
        for name, why in result.waiting.items():
            yield f"  {name} {why}"
        return
    if result.silent and fixes != stored.fixes:
        yield f"Every step is possible; {stored.broken.property} may hold or not:"
        yield "  it is about what the call itself knows, and no shared state shows it"
        return
    if not hangs_as_told(stored, result):
        yield "Every step is possible, but then nobody hangs: there is no deadlock"
        return
    yield f"As the trace says: {stored.broken.property}, {_reason(stored)}"
    if result.silent:
        yield "  (a promise about what the call itself knows: no shared state shows it)"
    if result.dead is not None and result.dead_at:
        yield f"  the kernel panics at step {result.dead_at}: {result.dead.why}"
    elif result.waiting:
        yield "  afterwards nobody can go on:"
        for name, why in result.waiting.items():
            yield f"    {name} hangs: {why}"
    elif result.dead is not None:
        yield f"  afterwards the machine stops: {result.dead.why}"
    for message in result.messages:
        yield f"  the kernel prints: {message}"
    flushed = stored.broken.property.startswith("claim-6")  # what a flush has reported
    yield from _units("  in the file at that moment", result.units, flushed)
    if result.flushed is not None:
        verdict = "success" if not result.flushed else os.strerror(result.flushed)
        yield f"  afterwards all threads end, and fsync returns {verdict}"
        yield from _units("  in the file then", result.after, not result.flushed)


def hangs_as_told(stored: Trace, result: Replayed) -> bool:
    """Does somebody hang where the trace ends in a deadlock?"""
    return stored.broken.property != "deadlock" or bool(result.waiting)


def _reason(stored: Trace) -> str:
    where = f" at line {', '.join(map(str, stored.broken.lines))}" if stored.broken.lines else ""
    who = f", by {stored.broken.thread}" if stored.broken.thread else ""
    message = " ".join(stored.broken.message.split("\n\n")[0].split())
    return f"{message}{where}{who}"


def _units(title: str, units: Sequence[Unit], flushed: bool) -> Iterator[str]:
    """The units that are wrong; those not yet saved only behind a flush."""
    wrong = [unit for unit in units if unit.lost or (flushed and unit.unsaved)]
    if not wrong:
        return
    yield f"{title}:"
    for unit in wrong:
        low = unit.number * UNIT
        yield (
            f"    bytes {low}-{low + UNIT - 1}: written {token_name(unit.written)}, "
            f"read {token_name(unit.read)}, on the device {token_name(unit.disk)}"
        )


def as_json(stored: Trace, result: Replayed, fixes: tuple[str, ...]) -> dict[str, Any]:
    """The same for a machine."""
    departed = None
    if result.departed is not None:
        departed = {
            "step": result.at,
            "why": result.departed.why,
            "differences": [
                {"variable": one.name, "element": one.element, "expected": one.expected,
                 "seen": one.seen}
                for one in result.departed.differences
            ],
        }  # fmt: skip
    return {
        "schema": _SCHEMA,
        "scenario": stored.scenario,
        "variant": stored.variant,
        "fixes": list(fixes),
        "property": stored.broken.property,
        "steps": len(stored.steps),
        "followed": len(result.pairs),
        "events": sum(len(pair.events) for pair in result.pairs),
        "compared": result.compared,
        "departed": departed,
        "silent": result.silent,
        "panic": str(result.dead.why) if result.dead is not None and result.dead_at else None,
        "hangs": dict(result.waiting),
        "at_the_end": [_unit(unit) for unit in result.units],
        "fsync": result.flushed,
        "afterwards": [_unit(unit) for unit in result.after],
    }


def _unit(unit: Unit) -> dict[str, object]:
    return {
        "offset": unit.number * UNIT,
        "length": UNIT,
        "written": token_name(unit.written),
        "read": token_name(unit.read),
        "device": token_name(unit.disk),
    }
