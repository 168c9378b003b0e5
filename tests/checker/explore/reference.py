"""A small search with and without ample sets, to hold them against each other.

It knows nothing of :mod:`checker.explore.search`, and reports what must not depend on whether
states are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from genfscheck.checker.explore.ample import Ample
from genfscheck.checker.explore.engine import Engine, Facts
from genfscheck.checker.explore.interpret import State, eval_expr
from genfscheck.checker.explore.pygen import Checks
from genfscheck.checker.lang import ir


@dataclass
class Seen:
    """What a search saw.

    ``failed``: (thread, instruction, property); ``broken`` and ``witnessed``: names; ``stuck``:
    threads that from some state on can never finish; ``tried``: instructions by thread;
    ``strays``: breaches of phases; ``waited``: waits inside blocks that were false.
    """

    failed: set[tuple[int, int, str]] = field(default_factory=set)
    terminal: set[State] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    witnessed: set[str] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)
    tried: list[set[int]] = field(default_factory=list)
    strays: list[set[tuple[int, int]]] = field(default_factory=list)
    waited: set[tuple[int, int]] = field(default_factory=set)


@dataclass
class Size:
    states: int = 0
    transitions: int = 0
    alone: int = 0
    kept: set[State] = field(default_factory=set, compare=False)


def search(
    known: Facts,
    stops: Sequence[Sequence[int]],
    reduced: Ample | None = None,
    checks: Mapping[int, Checks] | None = None,
    represent: Callable[[State], State] | None = None,
    groups: Sequence[Sequence[int]] = (),
) -> tuple[Seen, Size]:
    """Search everything.

    ``represent`` maps a state to the one that stands for it.  The threads of a group count as
    finished when all of them are.
    """
    program, engine = known.program, Engine(known, stops, checks)
    scout = Engine(known, stops)  # chooses; what it tries is not seen
    own = engine.layout.threads
    seen, size = Seen(), Size()
    marks = [code.new_marks() for code in engine.threads]
    edges: dict[bytes, list[bytes]] = {}
    good: dict[bytes, set[int]] = {}
    everyone = set(range(len(program.threads)))
    todo: list[bytes] = []

    def visit(state: bytes) -> bytes:
        if represent is not None:
            state = engine.layout.encode(represent(engine.layout.decode(state)))
        if state not in edges:
            edges[state] = []
            todo.append(state)
            ended = {t for t in everyone if own[t].pc.load(state) == 0}
            good[state] = ended - {t for group in groups if not ended >= set(group) for t in group}
            mask = engine.predicates.broken(state)
            seen.broken |= _names(program, mask)
            for which, test in enumerate(engine.predicates.witnesses):
                if test(state):
                    seen.witnessed.add(program.witnesses[which].name)
        return state

    for state in engine.initial():
        visit(state)
    while todo:
        state = todo.pop()
        pcs = [layout.pc.load(state) for layout in own]
        tried = [thread for thread, pc in enumerate(pcs) if pc]
        if reduced is not None:
            guess = [scout.outcomes(state, t) if pc else [] for t, pc in enumerate(pcs)]
            alone = _alone(reduced, engine.layout.decode(state), pcs, guess)
            if alone is not None:
                tried = [alone]
                size.alone += sum(map(bool, guess)) > 1
        ways = {thread: engine.outcomes(state, thread, marks[thread]) for thread in tried}
        if not any(ways.values()):
            _terminal(program, engine, state, seen, good[state], everyone)
        for thread, outcomes in ways.items():
            for outcome in outcomes:
                if outcome.broken is not None:
                    seen.waited.add((thread, outcome.broken.node))
                    continue
                size.transitions += 1
                if outcome.violation is not None:
                    found = outcome.violation
                    seen.failed.add((thread, found.instr, found.property))
                    good[state] |= everyone
                elif outcome.after is not None:
                    edges[state].append(visit(outcome.after))
    size.states = len(edges)
    size.kept = {engine.layout.decode(state) for state in edges}
    seen.stuck = _stuck(program, edges, good)
    seen.tried = [engine.tried(thread, mark) for thread, mark in enumerate(marks)]
    seen.strays = [set(code.strays) for code in engine.threads]
    return seen, size


def _names(program: ir.Program, mask: int) -> set[str]:
    return {one.name for which, one in enumerate(program.invariants) if mask >> which & 1}


def _terminal(
    program: ir.Program, engine: Engine, state: bytes, seen: Seen, good: set[int],
    everyone: set[int],
) -> None:  # fmt: skip
    seen.terminal.add(engine.layout.decode(state))
    good |= everyone
    seen.broken |= _names(program, engine.predicates.broken_at_end(state))


def _alone(
    reduced: Ample, state: State, pcs: Sequence[int], ways: Sequence[Sequence[object]]
) -> int | None:
    at = [pc - 1 if pc else None for pc in pcs]
    able = [bool(row) and all(one.after is not None for one in row) for row in ways]  # type: ignore[attr-defined]
    missing = []
    for thread, stop in enumerate(at):
        mask = 0
        for number, key in enumerate(() if stop is None else reduced.keys[thread][stop]):
            if not eval_expr(key, state, thread):
                assert stop is not None and not ways[thread], "a key is missing, and yet it moves"
                mask |= 1 << (reduced.first[thread][stop] + number)
        missing.append(mask)
    return reduced.alone(at, able, missing)


def _stuck(
    program: ir.Program, edges: Mapping[bytes, list[bytes]], good: dict[bytes, set[int]]
) -> set[int]:
    """Threads that are no daemons and from some state on reach nothing good."""
    before: dict[bytes, list[bytes]] = {}
    for source, targets in edges.items():
        for target in targets:
            before.setdefault(target, []).append(source)
    todo = [state for state, marks in good.items() if marks]
    while todo:
        state = todo.pop()
        for source in before.get(state, ()):
            if not good[state] <= good[source]:
                good[source] |= good[state]
                todo.append(source)
    watched = {thread.index for thread in program.threads if not thread.daemon}
    return {thread for marks in good.values() for thread in watched - marks}
