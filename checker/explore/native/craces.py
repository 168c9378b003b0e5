"""C code of the race checks that a reduced search makes (see :class:`~..pygen.Checks`)."""

from __future__ import annotations

from collections.abc import Iterator

from ...lang import ir
from ..asking import guarded_reads, only_own
from ..errors import InternalError
from ..layout import Layout
from .cexpr import CExpr, kind_of, load, place


def phases(program: ir.Program) -> list[ir.Phase]:
    """The program's different phases."""
    return list(dict.fromkeys(var.phase for var in program.shared if var.phase is not None))


def ruled_by(program: ir.Program, var: int) -> list[ir.Phase]:
    """The phases that a store to the variable may end."""
    return [phase for phase in phases(program) if var in (phase.owner, phase.via)]


def phase_functions(program: ir.Program, layout: Layout) -> list[str]:
    """How thread ``me`` stands to a record, one function for each phase.

    2: the record is the thread's, or there is no such record; 1: it is nobody's (phases without
    a guard only); 0: it may be another thread's.
    """
    lines: list[str] = []
    for number, phase in enumerate(phases(program)):
        lines += [
            "static UNUSED __attribute__((noinline)) int",
            f"phase{number}(const uint64_t *v, int64_t me, int64_t record)",
            "{",
            "\tint64_t owner;",
            f"\tif (record < 0 || record >= {program.shared[phase.owner].length})",
            "\t\treturn 2;",
            f"\towner = {_element(program, layout, phase.owner, 'record')};",
            "\tif (owner == me)",
            "\t\treturn 2;",
        ]
        if phase.guard is None:
            lines += [f"\treturn owner == {phase.nobody};", "}"]
            continue
        lines += [f"\tif (owner != {phase.nobody})", "\t\treturn 0;"]
        which = "0"
        if phase.via is not None:
            which = "guard"
            lines += [
                f"\tint64_t guard = {_element(program, layout, phase.via, 'record')};",
                f"\tif (guard < 0 || guard >= {program.shared[phase.guard].length})",
                "\t\treturn 0;",
            ]
        holder = _element(program, layout, phase.guard, which)
        lines += [f"\treturn {holder} == me ? 2 : 0;", "}"]
    return lines


def _element(program: ir.Program, layout: Layout, var: int, index: str) -> str:
    domain, slot = program.shared[var].domain, layout.shared[var]
    if kind_of((domain.low, domain.high)) != "i":
        raise InternalError("owners of such wide values are not supported")
    return load(slot, place(slot, index), (domain.low, domain.high))


def race_tests(program: ir.Program, me: int, gen: CExpr, action: ir.Action) -> Iterator[str]:
    """For each access of an instruction a statement that notes its level in ``strays``.

    The statements refer to ``STRAY(q)``, which the caller defines by replacement.
    """
    owners = {phase.owner for phase in phases(program)}
    found: list[tuple[int, ir.Expr, tuple[tuple[ir.Expr, bool], ...]]] = []
    for root in ir.action_reads(action):
        for one, guards in guarded_reads(root):
            if isinstance(one, ir.ListNext):
                found.append((one.list.var, one.list.base, guards))
            elif not (one.var in owners and only_own(action, one.var, me)):
                found.append((one.var, one.index, guards))
    found += [(a.var, a.index, ()) for a in ir.accesses(action) if a.write]
    numbers = {phase: number for number, phase in enumerate(phases(program))}
    for number, index, guards in found:
        var = program.shared[number]
        if var.phase is None:
            continue
        low, high = gen.span(index)
        kind = kind_of((low, high))
        record = gen.value(index) if kind == "i" else f"near_{kind}({gen.value(index)})"
        tests = [gen.test(test) if truth else f"!{gen.test(test)}" for test, truth in guards]
        if low < 0 or high >= var.length:
            tests.append(f"({record}>=0&&{record}<{var.length})")
        if var.width > 1:
            record = f"({record}/{var.width})"
        level = f"phase{numbers[var.phase]}(v,{me},{record})"
        when = f"if({'&&'.join(tests)})" if tests else ""
        yield f"{when}{{int q={level};if(q<2)STRAY(q);}}"
