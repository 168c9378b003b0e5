"""What is said of a log: that it conforms, or where it departs from the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..lang import ir
from ..trace.contents import notable
from ..trace.names import Names, line_ranges
from .log import Entry
from .steps import Label
from .validate import Outcome, Validator

BEFORE = 8  # events shown before the one at which a log departs


CONFORMS: Final = "conforms"
DEPARTS: Final = "departs"
INCONCLUSIVE: Final = "inconclusive"


def verdict(outcome: Outcome) -> str:
    """What the search says of the whole log.

    INCONCLUSIVE: it was given up; or the model cannot say what comes next, because a value left
    its range or a list its room.
    """
    if outcome.whole:
        return CONFORMS
    return INCONCLUSIVE if outcome.exhausted or outcome.stopped else DEPARTS


def conforms(outcome: Outcome) -> bool:
    """Is the log, with the way in which the program ended, a behaviour of the model?"""
    return outcome.whole


def broken_properties(validator: Validator, outcome: Outcome) -> Mapping[str, int]:
    """The properties that did not hold on the way, with the first event of each."""
    found: dict[str, int] = {}
    for one in outcome.broken:
        action = validator.stepper.program.threads[one.thread].code[one.node].action
        assert isinstance(action, ir.Check)
        found.setdefault(action.name, one.event)
    return found


def departure(
    validator: Validator, outcome: Outcome, events: Sequence[Entry]
) -> Iterator[str]:
    """The event that the model does not allow, what led to it, and what it allows instead."""
    names = Names(validator.stepper.program)
    at = outcome.consumed
    if at >= len(events):
        yield "the log is over, but the model does not end as the program did"
    else:
        event = events[at]
        yield f"event {event.number} is not possible: {event}"
        yield "  after"
        for one in events[max(0, at - BEFORE) : at]:
            yield f"    {one.number:6d}  {one}"
    if outcome.stopped:
        yield f"  the model ends there: {outcome.stopped}"
    if outcome.exhausted:
        yield "  (the search was given up: the log may conform all the same)"
    for state in outcome.states[:1]:
        yield "  the model allows"
        for thread, label in validator.allowed(state):
            yield f"    {_allowed(validator.stepper.program.threads[thread], label)}"
        yield "  in this state"
        for name, value in notable(names, validator.stepper.layout.decode(state)):
            yield f"    {name} = {value}"


def _allowed(thread: ir.Thread, label: Label) -> str:
    instr = thread.code[label.nodes[-1]]
    lines = sorted({line for node in label.nodes for line in thread.code[node].where.lines})
    where = f"line {line_ranges(tuple(lines))}" if lines else f"in {instr.where.routine}"
    return f"{thread.name}: {label.name} ({where})"
