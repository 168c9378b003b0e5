"""The generated model part without the engine: its functions, called directly."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from dataclasses import dataclass

from genfscheck.checker.explore.engine import Engine, Facts, Outcome, facts, fine_stops
from genfscheck.checker.explore.interpret import State, StepResult
from genfscheck.checker.explore.native.build import load_text
from genfscheck.checker.explore.native.cgen import MAX_CHOICES, generate
from genfscheck.checker.explore.native.cthread import PATH_CAP
from genfscheck.checker.explore.native.tables import Fault, NativeModel
from genfscheck.checker.lang import ir

HARNESS = """
int gm_step(unsigned t, uint64_t *v, run *r) { return step(t, v, r); }
unsigned gm_pc(unsigned t, const uint64_t *v) { return pc_of(t, v); }
uint64_t gm_ask(int which, const uint64_t *v)
{
    switch (which) {
    case 0: return broken(v);
    case 1: return unseen(v);
    case 2: return broken_at_end(v);
    default: return witnessed(v);
    }
}
uint64_t gm_invariant_word(unsigned word) { return invariant_words[word / 64] >> word % 64 & 1; }
unsigned gm_sizeof_run(void) { return sizeof(run); }
unsigned gm_rests(unsigned stop) { return stop_rests[stop]; }
"""
WARNINGS = ("-Wall", "-Wextra", "-Werror")
R_STOP, R_BLOCKED, R_FAULT, R_BROKEN = range(4)


class Run(ctypes.Structure):
    """The structure ``run`` of the generated code."""

    _fields_ = [
        ("stops", ctypes.c_char_p), ("sites", ctypes.c_char_p), ("strays", ctypes.c_void_p),
        ("script", ctypes.c_uint32), ("made", ctypes.c_uint32),
        ("choice", ctypes.c_uint16 * MAX_CHOICES), ("count", ctypes.c_uint16 * MAX_CHOICES),
        ("npath", ctypes.c_uint32), ("path", ctypes.c_uint32 * PATH_CAP),
        ("overflow", ctypes.c_uint32), ("spent", ctypes.c_uint32), ("next", ctypes.c_uint32),
        ("fault", ctypes.c_uint32),
    ]  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One outcome: the bytes after it at a stop, the choices, the executed instructions."""

    kind: int
    after: bytes
    choices: tuple[int, ...]
    executed: tuple[int, ...]
    fault: Fault | None
    overflow: bool = False


class Model:
    """A program's compiled model part."""

    def __init__(self, program: ir.Program, *flags: str, known: Facts | None = None) -> None:
        self.known = known or facts(program)
        self.model: NativeModel = generate(self.known)
        text = self.model.text + HARNESS
        self.library = load_text(text, ("-std=gnu11", "-O1", "-fPIC", "-shared", *WARNINGS, *flags))
        self.library.gm_ask.restype = ctypes.c_uint64
        self.library.gm_ask.argtypes = [ctypes.c_int, ctypes.c_char_p]
        assert self.library.gm_sizeof_run() == ctypes.sizeof(Run)
        self.run = Run()
        self.strays = ctypes.create_string_buffer(max(1, len(self.model.sites)))
        self.run.strays = ctypes.addressof(self.strays)
        self.vector = (ctypes.c_uint64 * max(1, self.model.words))()
        self.set_stops(self.model.stops)
        self.sites = b"\1" * len(self.model.sites)
        self.run.sites = self.sites

    def set_stops(self, stops: Sequence[Sequence[int]]) -> None:
        self.stops = self.model.stop_flags(stops)
        self.run.stops = self.stops

    def ask(self, which: int, state: bytes) -> int:
        return int(self.library.gm_ask(which, state))

    def noted(self) -> set[tuple[int, int, int]]:
        """The strays since the last call, as (thread, node, code)."""
        found = {tuple(site) for site, bit in zip(self.model.sites, self.strays.raw, strict=False)
                 if bit}  # fmt: skip
        ctypes.memset(self.strays, 0, len(self.strays))
        return found  # type: ignore[return-value]

    def step(self, state: bytes, thread: int, script: Sequence[int] = ()) -> Result:
        """One run of a thread with the given choices."""
        run = self.run
        ctypes.memmove(self.vector, state, len(state))
        run.script = len(script)
        for number, choice in enumerate(script):
            run.choice[number] = choice
        kind = self.library.gm_step(thread, self.vector, ctypes.byref(run))
        path = run.path[: run.npath]
        fault = self.model.faults[run.fault] if kind in (R_FAULT, R_BROKEN) else None
        return Result(
            kind,
            bytes(self.vector)[: len(state)] if kind == R_STOP else b"",
            tuple(run.choice[: run.made]),
            tuple(self.model.executed(path)),
            fault,
            bool(run.overflow),
        )

    def outcomes(self, state: bytes, thread: int) -> list[Result]:
        """Every way a step can go, as the engine enumerates them (blocked ones too)."""
        found: list[Result] = []
        script: list[int] = []
        while True:
            found.append(self.step(state, thread, script))
            made = self.run.made
            choices = list(self.run.choice[:made])
            while choices and choices[-1] + 1 >= self.run.count[len(choices) - 1]:
                choices.pop()
            if not choices:
                return found
            choices[-1] += 1
            script = choices


# ------------------------------------------------------------------- comparisons


def same_as_interpreter(model: Model, state: State, thread: int, steps: list[StepResult]) -> None:
    layout = model.model.layout
    found = [one for one in model.outcomes(layout.encode(state), thread) if one.kind != R_BLOCKED]
    assert [one.choices for one in found] == [step.choices for step in steps]
    for one, step in zip(found, steps, strict=True):
        assert one.executed == step.executed
        if step.state is not None:
            assert one.kind == R_STOP
            assert layout.decode(one.after) == step.state
            assert one.after == layout.encode(step.state)  # whatever is dead is zero
        else:
            assert one.kind == R_FAULT and one.fault is not None and step.violation is not None
            assert one.fault[:3] == (thread, step.violation.instr, step.violation.property)


def as_python(one: Result) -> tuple[object, ...]:
    if one.kind == R_STOP:
        return ("stop", one.choices)
    assert one.fault is not None
    node = -1 if one.fault.name == "divergence" else one.fault.node
    if one.kind == R_BROKEN:
        return ("broken", one.choices, node)
    return ("fault", one.choices, node, one.fault.name)


def as_native(one: Outcome) -> tuple[object, ...]:
    if one.after is not None:
        return ("stop", one.choices)
    if one.broken is not None:
        return ("broken", one.choices, one.broken.node)
    assert one.violation is not None
    name = one.violation.property
    return ("fault", one.choices, -1 if name == "divergence" else one.violation.instr, name)


def same_as_python(model: Model, engine: Engine, state: State, thread: int) -> list[State]:
    """Compare all outcomes; the states that follow."""
    layout = model.model.layout
    runs = model.outcomes(layout.encode(state), thread)
    found = [one for one in runs if one.kind != R_BLOCKED]
    outcomes = engine.outcomes(engine.layout.encode(state), thread)
    assert [as_python(one) for one in found] == [as_native(one) for one in outcomes]
    following: list[State] = []
    for one, outcome in zip(found, outcomes, strict=True):
        executed = engine.executed(thread, outcome.leaves)
        if outcome.violation is None:
            assert list(one.executed) == executed
        elif outcome.violation.property not in ("index", "divergence"):
            # a choice whose value cannot be stored is on the python engine's path twice
            assert set(one.executed) == set(executed)
        if outcome.after is not None:
            decoded = engine.layout.decode(outcome.after)
            assert layout.decode(one.after) == decoded
            assert one.after == layout.encode(decoded)
            following.append(decoded)
    return following


def walk(
    model: Model, engine: Engine, chance: random.Random, walks: int, steps: int
) -> tuple[int, set[tuple[int, int, int]]]:
    """Compare along random walks; how many steps, and the strays of the race checks."""
    threads = range(len(engine.program.threads))
    compared = 0
    strays: set[tuple[int, int, int]] = set()
    for code in engine.threads:
        code.strays.clear()
    for _ in range(walks):
        state = chance.choice(engine.known.initial)
        for _ in range(steps):
            following: list[State] = []
            for thread in threads:
                following += same_as_python(model, engine, state, thread)
                native = model.noted()
                python = {(thread, node, code) for code, node in engine.threads[thread].strays}
                engine.threads[thread].strays.clear()
                assert native == python
                strays |= native
            compared += 1
            if not following:
                break
            state = chance.choice(following)
    return compared, strays


def subsets(program: ir.Program, chance: random.Random) -> list[list[int]]:
    """Some of the fine stops, always those where a thread begins and those that wait."""
    chosen: list[list[int]] = []
    for thread, stops in zip(program.threads, fine_stops(program), strict=True):
        chosen.append([
            stop for stop in stops
            if stop == thread.entry or chance.random() < 0.5
        ])  # fmt: skip
    return chosen
