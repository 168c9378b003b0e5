"""Python code for what is asked of states: invariants and witnesses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..lang import ir
from .errors import InternalError
from .exprgen import ExprGen, namespace
from .intervals import Ranges
from .layout import Slot


def _no_locals(expr: ir.Local, gen: ExprGen) -> str:
    raise InternalError("an invariant reads a local variable")


@dataclass(slots=True)
class Predicates:
    """The generated predicates of a program over the bytes of a state.

    ``broken`` and ``broken_at_end`` give a bit mask over the invariants that do not hold,
    ``unseen`` over those that need not hold now; ``witnesses`` has one function each.
    """

    broken: Callable[[bytes], int]
    unseen: Callable[[bytes], int]
    broken_at_end: Callable[[bytes], int]
    witnesses: list[Callable[[bytes], Any]]


def predicates(program: ir.Program, slots: Sequence[Slot]) -> Predicates:
    """Compile the invariants and witnesses."""
    ranges = Ranges(program)

    def gen(name: str) -> ExprGen:
        return ExprGen(program, list(slots), ranges, {}, _no_locals, repr(name))

    lines = ["def broken(v):", " r=0"]
    for number, invariant in enumerate(program.invariants):
        if invariant.terminal_only:
            continue
        write = gen(invariant.name)
        always = isinstance(invariant.when, ir.Const) and invariant.when.value
        when = "" if always else f"{write.test(invariant.when)} and "
        lines.append(f" if {when}not {write.test(invariant.test)}: r|={1 << number}")
    lines += [" return r", "def unseen(v):", " r=0"]
    for number, invariant in enumerate(program.invariants):
        if not invariant.terminal_only:
            test = gen(invariant.name).test(invariant.when)
            lines.append(f" if not {test}: r|={1 << number}")
    lines += [" return r", "def broken_at_end(v):", " r=0"]
    for number, invariant in enumerate(program.invariants):
        test = gen(invariant.name).test(invariant.test)
        lines.append(f" if not {test}: r|={1 << number}")
    lines.append(" return r")
    for number, witness in enumerate(program.witnesses):
        lines += [f"def w{number}(v):", f" return {gen(witness.name).test(witness.test)}"]
    scope = namespace()
    exec(compile("\n".join(lines) + "\n", "<invariants>", "exec"), scope)
    return Predicates(
        scope["broken"],
        scope["unseen"],
        scope["broken_at_end"],
        [scope[f"w{number}"] for number in range(len(program.witnesses))],
    )
