"""Random walks of the fine program, to guess which code can be reached."""

from __future__ import annotations

import random

from ..lang import ir
from .engine import Engine
from .pygen import Checks

_WALKS = 60
_IDLE_WALKS = 8
_WALK_STEPS = 1500


def every_check(program: ir.Program) -> dict[int, Checks]:
    """Checks of every access and store that some phase has a say in."""
    phases = {var.phase for var in program.shared if var.phase is not None}
    ruling = {var for phase in phases for var in (phase.owner, phase.via) if var is not None}
    checks: dict[int, Checks] = {}
    for number, thread in enumerate(program.threads):
        sites: set[int] = set()
        owners: set[int] = set()
        for node, instr in enumerate(thread.code):
            for access in ir.accesses(instr.action):
                if program.shared[access.var].phase is not None:
                    sites.add(node)
                if access.write and access.var in ruling:
                    owners.add(node)
        checks[number] = Checks(frozenset(sites), frozenset(owners))
    return checks


def probe(engine: Engine) -> list[set[int]]:
    """A first guess at the code that can be reached: what random walks execute.

    The walks are the same every time.  Code that they miss is found by the search itself.
    """
    count = len(engine.threads)
    marks = [code.new_marks() for code in engine.threads]
    spots = [
        own.pc
        for own, thread in zip(engine.layout.threads, engine.program.threads, strict=True)
        if not thread.daemon
    ]
    starts = engine.initial()
    chance = random.Random(1)
    idle = 0
    for _ in range(_WALKS):
        before = sum(map(sum, marks))
        state = chance.choice(starts)
        turn = chance.randrange(count)
        for _ in range(_WALK_STEPS):
            if not any(pc.load(state) for pc in spots):
                break
            if chance.random() < 0.3:
                turn = chance.randrange(count)
            for thread in [*range(turn, count), *range(turn)]:
                outcomes = engine.outcomes(state, thread, marks[thread])
                after = [o.after for o in outcomes if o.after is not None]
                if after:
                    turn = thread
                    state = chance.choice(after)
                    break
            else:
                break
        idle = 0 if sum(map(sum, marks)) > before else idle + 1
        if idle == _IDLE_WALKS:
            break
    return [engine.tried(thread, mark) for thread, mark in enumerate(marks)]
