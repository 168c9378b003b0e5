"""A trace told: what every step did, in names, before any particular rendering.

A story is made from a trace that was just re-executed, so it cannot show what the
model does not do.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..lang import ir
from .contents import difference, notable
from .events import Event, events_of
from .explain import Blocked, blocked_threads, locks_held
from .findings import Finding, Findings, Promise
from .names import Names
from .record import Trace
from .replay import Replay


@dataclass(frozen=True, slots=True)
class Actor:
    """A thread and the routine it runs."""

    name: str
    runs: str
    daemon: bool


@dataclass(frozen=True, slots=True)
class Story:
    """Everything a rendering needs.  ``final`` is what differs at the end from ``initial``."""

    trace: Trace
    title: str
    question: str
    actors: tuple[Actor, ...]
    initial: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]
    final: tuple[tuple[str, str], ...]
    doc: str
    promise: Promise | None
    finding: Finding | None
    blocked: tuple[Blocked, ...]
    held: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def deadlock(self) -> bool:
        return self.trace.broken.property in ("deadlock", "lost-wakeup", "progress")


def tell(
    trace: Trace,
    replay: Replay,
    *,
    findings: Findings | None = None,
    runs: dict[str, str] | None = None,
    question: str = "",
) -> Story:
    """Tell a re-executed trace.  ``runs`` says for each thread what it was given to do."""
    program = replay.program
    names = Names(program)
    broken = trace.broken
    table = findings or Findings()
    final = replay.final
    doc = next((inv.doc for inv in program.invariants if inv.name == broken.property), "")
    return Story(
        trace=trace,
        title=program.name,
        question=question,
        actors=tuple(_actor(thread, runs or {}) for thread in program.threads),
        initial=tuple(notable(names, replay.initial)),
        events=tuple(events_of(names, replay)),
        final=tuple(difference(names, replay.initial, final)),
        doc=doc,
        promise=table.promise(broken.property),
        finding=table.find(broken.property, trace.lines, trace.scenario, trace.fixes),
        blocked=tuple(blocked_threads(names, final)),
        held=tuple(
            (thread.name, locks)
            for thread in program.threads
            if (locks := locks_held(names, final, thread.index))
        ),
    )


def _actor(thread: ir.Thread, runs: dict[str, str]) -> Actor:
    default = ""
    for instr in thread.code:
        if instr.where.stack:
            default = instr.where.stack[0].partition("@")[0]
            break
    return Actor(thread.name, runs.get(thread.name, default), thread.daemon)
