"""The generated model part without the engine: its functions, called directly."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from genfscheck.checker.explore.engine import Facts, facts
from genfscheck.checker.explore.native.build import load_text
from genfscheck.checker.explore.native.cgen import MAX_CHOICES, PATH_CAP, generate
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
        ("overflow", ctypes.c_uint32), ("spent", ctypes.c_uint32), ("fault", ctypes.c_uint32),
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
