"""C code of the race checks that a reduced search makes (see :class:`~..pygen.Checks`)."""

from __future__ import annotations

from ...lang import ir
from ..asking import only_own
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
            lines += [f"\treturn owner == {phase.nobody};", "}", *_noting(number)]
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
        lines += [f"\treturn {holder} == me ? 2 : 0;", "}", *_noting(number)]
    return lines


def _noting(number: int) -> list[str]:
    return [
        "static UNUSED __attribute__((noinline)) void",
        f"race{number}(const uint64_t *v, int64_t me, int64_t record, uint8_t *stray)",
        "{",
        f"\tint level = phase{number}(v, me, record);",
        "\tif (level < 2)",
        "\t\tstray[level] = 1;",
        "}",
    ]


def _element(program: ir.Program, layout: Layout, var: int, index: str) -> str:
    domain, slot = program.shared[var].domain, layout.shared[var]
    if kind_of((domain.low, domain.high)) != "i":
        raise InternalError("owners of such wide values are not supported")
    return load(slot, place(slot, index), (domain.low, domain.high))


class RaceTests:
    """The race checks of one instruction's accesses, made where the accesses really are.

    ``stray`` is the code of the address of the two marks to set: may the record be another
    thread's, is it nobody's.
    """

    def __init__(self, program: ir.Program, me: int, action: ir.Action, stray: str) -> None:
        self.program, self.me, self.action, self.stray = program, me, action, stray
        self.owners = {phase.owner for phase in phases(program)}
        self.numbers = {phase: number for number, phase in enumerate(phases(program))}

    def code(self, gen: CExpr) -> str:
        """Statements that check every access once; "" if there is nothing to check."""
        made: set[str] = set()
        text = "".join(self._reads(root, gen, made) for root in ir.action_reads(self.action))
        for access in ir.accesses(self.action):
            if access.write:
                text += self._check(access.var, access.index, gen, made)
        return text

    def _reads(self, expr: ir.Expr, gen: CExpr, made: set[str]) -> str:
        """Checks of an expression's reads; ``made`` are those that were made for certain."""
        match expr:
            case ir.Binary("and" | "or" as op, left, right, _):
                text = self._reads(left, gen, made)
                second = self._reads(right, gen, set(made))
                return text + self._if(gen.test(left), op == "and", second)
            case ir.Cond(test, then, other):
                text = self._reads(test, gen, made)
                for truth, branch in ((True, then), (False, other)):
                    inner = self._reads(branch, gen, set(made))
                    text += self._if(gen.test(test), truth, inner)
                return text
        text = "".join(self._reads(child, gen, made) for child in ir.children(expr))
        if isinstance(expr, ir.ListNext):
            return text + self._check(expr.list.var, expr.list.base, gen, made)
        if isinstance(expr, ir.Shared):
            own = expr.var in self.owners and only_own(self.action, expr.var, self.me)
            return text if own else text + self._check(expr.var, expr.index, gen, made)
        return text

    def _if(self, test: str, truth: bool, inner: str) -> str:
        if not inner:
            return ""
        return f"if({'' if truth else '!'}{test}){{{inner}}}"

    def _check(self, number: int, index: ir.Expr, gen: CExpr, made: set[str]) -> str:
        var = self.program.shared[number]
        if var.phase is None:
            return ""
        low, high = gen.span(index)
        kind = kind_of((low, high))
        record = gen.value(index) if kind == "i" else f"near_{kind}({gen.value(index)})"
        test = ""
        if low < 0 or high >= var.length:
            test = f"if({record}>=0&&{record}<{var.length})"
        if var.width > 1:
            record = f"{record}/{var.width}"
        call = f"{test}race{self.numbers[var.phase]}(v,{self.me},{record},{self.stray});"
        if call in made:
            return ""
        made.add(call)
        return call
