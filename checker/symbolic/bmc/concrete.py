"""From a candidate to a schedule: one choice of inputs, and the blocks that it makes."""

from __future__ import annotations

from dataclasses import dataclass

from ...explore.interpret import ENDED
from ...explore.result import Kind
from ...lang import ir
from .begin import memory
from .guards import Guards
from .states import Arrival, Candidate


@dataclass(frozen=True, slots=True)
class Leg:
    """What one thread does without another between: the choices, and where that leads.

    ``memory`` is the shared memory afterwards; ``where`` the place where the thread then stands
    (None: it has ended).  A leg that ends in a failed check has no memory.
    """

    thread: int
    choices: tuple[int, ...]
    memory: tuple[tuple[int, ...], ...] | None
    where: ir.Where | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A violation without anything symbolic: inputs by name (the value's position), and legs.

    ``at_end``: an invariant that is broken in a terminal state; ``subject``: the thread concerned.
    """

    kind: Kind
    property: str
    inputs: dict[str, int]
    initial: tuple[tuple[int, ...], ...]
    legs: tuple[Leg, ...]
    at_end: bool = False
    subject: str = ""


def schedule(program: ir.Program, guards: Guards, candidate: Candidate) -> Schedule:
    """The schedule of a candidate for one of its choices of inputs: the least."""
    inputs = guards.assignment(candidate.condition)
    assert inputs is not None, "a candidate is possible"
    arrivals: list[Arrival] = []
    arrival: Arrival | None = candidate.at
    while arrival is not None:
        arrivals.append(arrival)
        arrival = arrival.before
    arrivals.reverse()
    legs: list[Leg] = []
    for one in arrivals[1:]:
        node = one.entry.nodes[one.thread]
        where = None if node == ENDED else program.threads[one.thread].code[node].where
        leg = Leg(one.thread, one.choices, memory(program, one.entry.shared, guards, inputs), where)
        _append(legs, leg)
    if candidate.kind == "check" and candidate.thread is not None:
        _append(legs, Leg(candidate.thread, candidate.choices, None, None))
    return Schedule(
        candidate.kind, candidate.property,
        {one.name: inputs[one.number] for one in guards.inputs},
        memory(program, arrivals[0].entry.shared, guards, inputs), tuple(legs),
        candidate.at_end,
        "" if candidate.thread is None else program.threads[candidate.thread].name,
    )


def _append(legs: list[Leg], leg: Leg) -> None:
    """Blocks of one thread behind each other are one leg."""
    if legs and legs[-1].thread == leg.thread:
        leg = Leg(leg.thread, legs[-1].choices + leg.choices, leg.memory, leg.where)
        legs.pop()
    legs.append(leg)
