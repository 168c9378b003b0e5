"""C code for a program: for each thread one function that runs it to its next stop.

The code does not depend on the granularity.  Every fine stop is a place where the function
can be entered and, where the search's flag says so, where it returns.  Each instruction is
written once; labels stand where several edges meet.  What is rarely executed, the ways in
which a step can fail, is out of line at the end of the function.

A local that is live at some fine stop is in the vector, every other one is a C variable.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...lang import ir
from ..causes import blocking
from ..engine import Facts, fine_stops
from ..errors import InternalError
from ..interpret import FUEL
from ..layout import Layout
from .ckeys import keys
from .cpredicates import predicates
from .craces import phase_functions
from .cthread import PATH_CAP, ThreadWriter
from .tables import NativeModel, Tables

MAX_CHOICES = 64
_PRELUDE = Path(__file__).with_name("prelude.h")
# What is odd in C written by hand, and usual in expressions written by a program.
_DIAGNOSTICS = """\
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits"
#pragma GCC diagnostic ignored "-Wbool-operation"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wtautological-compare"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wparentheses-equality"
#else
#pragma GCC diagnostic ignored "-Wbool-compare"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
#endif
"""


def generate(known: Facts) -> NativeModel:
    """The model part of a program's native engine, for all its fine stops.

    Raises InternalError where the program breaks a rule of the IR (a wait behind a store in
    one unit) or uses what C cannot express (arithmetic wider than 64 bits, too many threads).
    """
    program = known.program
    stops = fine_stops(program)
    layout = Layout(program, stops, known.live, align=8)
    base = [0]
    for row in stops:
        base.append(base[-1] + len(row))
    tables = Tables()
    functions: list[str] = []
    for number in range(len(program.threads)):
        writer = ThreadWriter(program, layout, number, known.envs[number], tables, base[number])
        functions += writer.write()
    asked = predicates(program, layout, tables)
    lines = [
        f"/* {_comment(program.name)}: the model part of its native engine. */",
        "#define _GNU_SOURCE",
        *_defines(program, layout, base, tables),
        _prelude(),
        _DIAGNOSTICS.rstrip(),
        *_arrays(program, layout, stops, base),
        *phase_functions(program, layout),
        *functions,
        *_step(len(program.threads)),
        *asked,
        *keys(known, layout),
        "#pragma GCC diagnostic pop",
    ]
    return NativeModel(
        program,
        "\n".join(lines) + "\n",
        layout,
        stops,
        base,
        list(tables.faults),
        list(tables.blocks),
        list(tables.sites),
        list(tables.places),
    )


def _prelude() -> str:
    return _PRELUDE.read_text(encoding="utf-8").rstrip()


def _comment(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_. " else "?" for c in text)


def _defines(
    program: ir.Program, layout: Layout, base: list[int], tables: Tables
) -> list[str]:
    for what, count in (("invariants", program.invariants), ("witnesses", program.witnesses)):
        if len(count) > 64:
            raise InternalError(f"more than 64 {what} in {program.name}")
    shared_words = (layout.threads[0].pc.offset if layout.threads else layout.size) // 8
    terminal = sum(1 << i for i, one in enumerate(program.invariants) if one.terminal_only)
    values = {
        "NTHREADS": len(program.threads),
        "NWORDS": layout.size // 8,
        "SHARED_WORDS": shared_words,
        "NSTOPS": base[-1],
        "NBLOCKS": len(tables.blocks),
        "NSITES": len(tables.sites),
        "NFAULTS": len(tables.faults),
        "NINVARIANTS": len(program.invariants),
        "NWITNESSES": len(program.witnesses),
        "MAX_CHOICES": MAX_CHOICES,
        "PATH_CAP": PATH_CAP,
        "FUEL": FUEL,
    }
    return [
        *(f"#define {name} {value}" for name, value in values.items()),
        f"#define TERMINAL_ONLY {terminal}ULL",
    ]


def _array(ctype: str, name: str, values: Iterable[int], size: str) -> str:
    text = ",".join(map(str, values)) or "0"
    return f"static UNUSED const {ctype} {name}[{size}]={{{text}}};"


def _arrays(
    program: ir.Program, layout: Layout, stops: list[list[int]], base: list[int]
) -> list[str]:
    """The constant tables of threads and stops."""
    words = [own.pc.offset // 8 for own in layout.threads] + [layout.size // 8]
    rests: list[int] = []
    for thread, row in zip(program.threads, stops, strict=True):
        for stop in row:
            action = blocking(thread, stop).action
            rests.append(int(isinstance(action, ir.Wait) and action.rest))
    masks = [(1 << 8 * own.pc.width) - 1 for own in layout.threads]
    daemons = [int(thread.daemon) for thread in program.threads]
    return [
        _array("uint16_t", "thread_word", words, "NTHREADS+1"),
        _array("uint32_t", "stop_base", base, "NTHREADS+1"),
        _array("uint8_t", "thread_daemon", daemons, "NTHREADS+!NTHREADS"),
        _array("uint8_t", "stop_rests", rests, "NSTOPS+!NSTOPS"),
        _array("uint16_t", "pc_mask", masks, "NTHREADS+!NTHREADS"),
        "static inline UNUSED unsigned",
        "pc_of(unsigned t, const uint64_t *v)",
        "{",
        "\treturn (unsigned)(v[thread_word[t]] & pc_mask[t]);",
        "}",
    ]


def _step(threads: int) -> list[str]:
    """The function that runs one thread to its next stop."""
    cases = [f"\tcase {number}: return thread{number}(v, r);" for number in range(threads)]
    return [
        "static UNUSED int",
        "step(unsigned t, uint64_t *v, run *r)",
        "{",
        "\tr->made = 0;",
        "\tr->npath = 0;",
        "\tr->overflow = 0;",
        "\tr->spent = 0;",
        "\tswitch (t) {",
        *cases,
        "\t}",
        "\t(void)v;",
        "\treturn R_BLOCKED;",
        "}",
    ]
