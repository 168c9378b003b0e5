"""C code for the conditions of waits that ample sets ask for (:class:`..footprint.Key`)."""

from __future__ import annotations

from ...lang import ir
from ..ample import numbered_keys
from ..engine import Facts
from ..errors import InternalError
from ..layout import Layout
from .cinstr import InstructionWriter
from .tables import Tables


def keys(known: Facts, layout: Layout) -> list[str]:
    """``missing(stop, v)``: bit k if the k-th key of a stop is false in a state.

    ``key_first[stop]`` is the number of its first key; ``NKEYS`` are there in all.  A key
    cannot read outside a variable, and reads only what has a slot.
    """
    program = known.program
    first: list[int] = []
    cases: list[str] = []
    total = 0
    for number, own in enumerate(numbered_keys(known)):
        for stop, (begin, found) in own.items():
            if begin != total or len(found) > 64:
                raise InternalError("keys are not numbered as they should be")
            if found:
                tests = [_test(program, layout, known, number, stop, key.test) for key in found]
                bits = "|".join(f"(uint64_t)!{test}<<{k}" for k, test in enumerate(tests))
                cases.append(f"\tcase {len(first)}: return {bits};")
            first.append(total)
            total += len(found)
    text = ",".join(map(str, [*first, total]))
    return [
        f"#define NKEYS {total}",
        f"static UNUSED const uint32_t key_first[NSTOPS+1]={{{text}}};",
        "static UNUSED uint64_t",
        "missing(unsigned stop, const uint64_t *v)",
        "{",
        "\tswitch (stop) {",
        *cases,
        "\t}",
        "\t(void)v;",
        "\treturn 0;",
        "}",
    ]


def _test(
    program: ir.Program, layout: Layout, known: Facts, thread: int, stop: int, test: ir.Expr
) -> str:
    """A key's condition, evaluated where the thread stands at the stop."""
    writer = InstructionWriter(program, layout, thread, known.envs[thread], Tables())
    writer.node = stop
    code = writer.gen().test(test)
    if writer.exits or writer.variables:
        raise InternalError("a key reads what it cannot read")
    return code
