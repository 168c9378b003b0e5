"""Small models as text, for tests of the language."""

from __future__ import annotations

from collections.abc import Mapping

from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import (
    Argument,
    CallSpec,
    ProgramSpec,
    ThreadSpec,
    compile_program,
)
from genfscheck.checker.lang.source import Source, load, with_primitives

HEADER = """
from .checker.lang.prelude import (
    NOBODY, NULL, RW, Annotated, Any, Array, CInt, Enum, Final, Flags, List, Mutex, Pool, RWLock,
    Thread, TypeAlias, WaitQueue, actor, allocate, array, atomic, cast, check, choose, choose_bool,
    cv_wait, exclusive, fixed, ghost, has_sleepers, initial, int32, invariant, kassert, marker, me,
    mutex_enter, mutex_exit, mutex_owned, mutex_tryenter, no_lost_update, nthreads, panic,
    parameter, pure, record, release, rest_until, routine, rw_enter, rw_exit, rw_tryenter, setup,
    single, size, sleep_on, special, struct, threads, wait_until, wakeup, witness,
)
"""


def source(text: str) -> Source:
    """A model of one module, with the prelude's words imported."""
    return load(with_primitives({"genfscheck.toy": ("toy.py", HEADER + text)}))


def line_of(text: str, part: str) -> int:
    """The line, in the module that ``source`` makes, on which a part of the text stands."""
    lines = (HEADER + text).splitlines()
    return next(number for number, line in enumerate(lines, 1) if part in line)


def program(
    text: str,
    *actors: str | tuple[str, Mapping[str, Argument]],
    parameters: Mapping[str, int] | None = None,
    daemons: tuple[str, ...] = (),
    setup: CallSpec | None = None,
    fixes: tuple[str, ...] = (),
    witnesses: tuple[str, ...] = (),
) -> ir.Program:
    """Compile a toy model with one thread for each actor."""
    specs = []
    for number, actor in enumerate(actors):
        name, arguments = (actor, {}) if isinstance(actor, str) else actor
        calls = (CallSpec(name, arguments),)
        specs.append(ThreadSpec(f"{name}{number}", calls, name in daemons))
    spec = ProgramSpec(
        "toy", tuple(specs), setup, parameters or {}, frozenset(fixes), witnesses=witnesses
    )
    return compile_program(source(text), spec)
