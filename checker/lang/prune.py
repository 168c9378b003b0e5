"""Specialising a program for its initial state, and dropping what nobody can observe.

A shared variable that no thread writes keeps its initial value for ever: its reads become
constants, branches on it disappear (a fault budget of zero removes the fault), and what
they alone wrote freezes in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from . import fold, ir
from .simplify import compact, map_action, map_expr, simplify

Rewrite = Callable[[ir.Expr], ir.Expr]


def written(program: ir.Program) -> set[int]:
    """The shared variables that some thread may write."""
    return {
        access.var
        for thread in program.threads
        for instr in thread.code
        for access in ir.accesses(instr.action)
        if access.write
    }


def freeze(program: ir.Program, initial: Sequence[Sequence[int | None]]) -> ir.Program:
    """Fold reads of variables that keep their initial values.

    ``initial[var][element]`` is the value after setup, None where initial states differ.
    The setup itself is left as it is.
    """
    constant: set[int] | None = None
    while True:
        settled = set(range(len(program.shared))) - written(program)
        if settled == constant:
            break
        constant = settled
        rewrite = _folder(program, initial, constant)
        threads = [
            replace(
                thread,
                code=[
                    replace(instr, action=map_action(instr.action, rewrite))
                    for instr in thread.code
                ],
            )
            for thread in program.threads
        ]
        program = simplify(replace(program, threads=threads))
    return replace(
        program,
        invariants=[
            replace(item, test=map_expr(item.test, rewrite), when=map_expr(item.when, rewrite))
            for item in program.invariants
        ],
        witnesses=[
            replace(item, test=map_expr(item.test, rewrite)) for item in program.witnesses
        ],
    )


def _folder(
    program: ir.Program, initial: Sequence[Sequence[int | None]], constant: set[int]
) -> Rewrite:
    def fold_read(expr: ir.Expr) -> ir.Expr:
        if not isinstance(expr, ir.Shared) or expr.var not in constant:
            return expr
        values = initial[expr.var]
        ctype = program.shared[expr.var].domain.ctype
        match expr.index:
            case ir.Const(element) if 0 <= element < len(values):
                value = values[element]
                return expr if value is None else fold.const(value, ctype)
        if len(set(values)) == 1 and values[0] is not None:
            return fold.const(values[0], ctype)
        return expr

    return fold_read


def observed(program: ir.Program) -> set[int]:
    """The shared variables that a thread, an invariant or a witness reads."""
    found: set[int] = set()
    for thread in program.threads:
        for instr in thread.code:
            found.update(a.var for a in ir.accesses(instr.action) if not a.write)
    roots = [part for item in program.invariants for part in (item.test, item.when)]
    roots += [item.test for item in program.witnesses]
    for root in roots:
        for expr in ir.walk(root):
            if isinstance(expr, ir.Shared):
                found.add(expr.var)
            elif isinstance(expr, ir.ListNext):
                found.add(expr.list.var)
    for var in program.shared:
        if var.phase is not None:
            found.update(
                part for part in (var.phase.owner, var.phase.guard, var.phase.via)
                if part is not None
            )
    return found


def drop_ghosts(program: ir.Program) -> ir.Program:
    """Remove writes to ghost variables that nobody reads in this program."""
    used = observed(program)
    dead = {
        number for number in written(program) - used if program.shared[number].ghost
    }
    if not dead:
        return program

    def clean(instr: ir.Instr) -> ir.Instr:
        match instr.action:
            case ir.Assign(ir.Shared(var), _) if var in dead:
                return replace(instr, action=ir.Nop())
        return instr

    threads = [
        compact(replace(thread, code=[clean(instr) for instr in thread.code]))
        for thread in program.threads
    ]
    return drop_ghosts(replace(program, threads=threads))
