"""Printing the IR so that a person can read it: one line a node."""

from __future__ import annotations

from collections.abc import Iterator

from . import ir


class Printer:
    """Prints the expressions and instructions of one program's thread."""

    def __init__(self, program: ir.Program, thread: ir.Thread | None = None) -> None:
        self.program, self.thread = program, thread

    def variable(self, var: int, index: ir.Expr) -> str:
        shared = self.program.shared[var]
        if shared.length == 1:
            return shared.name
        return f"{shared.name}[{self.expr(index)}]"

    def local(self, var: int) -> str:
        if self.thread is None:
            return f"%{var}"
        name = self.thread.locals[var].name.rpartition(".")[2]
        return f"{name}.{var}" if not name.startswith("$") else f"${var}"

    def expr(self, expr: ir.Expr) -> str:
        match expr:
            case ir.Const(value):
                return str(value)
            case ir.Param(name):
                return name
            case ir.Local(var, None):
                return self.local(var)
            case ir.Local(var, index) if index is not None:
                return f"{self.local(var)}[{self.expr(index)}]"
            case ir.Shared(var, index):
                return self.variable(var, index)
            case ir.Unary("cast", operand, ctype):
                return f"({ctype.name}){self.expr(operand)}"
            case ir.Unary(op, operand):
                return f"{op} {self.expr(operand)}" if op == "not" else f"{op}{self.expr(operand)}"
            case ir.Binary("min" | "max" as op, left, right):
                return f"{op}({self.expr(left)}, {self.expr(right)})"
            case ir.Binary(op, left, right):
                return f"({self.expr(left)} {op} {self.expr(right)})"
            case ir.Cond(test, then, other):
                return f"({self.expr(test)} ? {self.expr(then)} : {self.expr(other)})"
            case ir.ListNext(ref, node):
                return f"next({self.variable(ref.var, ref.base)}, {self.expr(node)})"
        raise AssertionError(expr)

    def action(self, action: ir.Action) -> str:
        match action:
            case ir.Assign(target, value):
                return f"{self.expr(target)} := {self.expr(value)}"
            case ir.Branch(test, other):
                return f"unless {self.expr(test)} goto {other}"
            case ir.Choose(target, count, label):
                return f"{self.expr(target)} := any of {self.expr(count)} ({label})"
            case ir.Wait(guard, reason, rest):
                word = "rest" if rest else "wait"
                return f"{word} until {self.expr(guard)} ({reason})"
            case ir.Check(test, name, message):
                return f"check {name}: {self.expr(test)} ({message})"
            case ir.ListInsert(ref, where, node, anchor):
                behind = f" {self.expr(anchor)}" if anchor is not None else ""
                place = self.variable(ref.var, ref.base)
                return f"insert {self.expr(node)} {where}{behind} in {place}"
            case ir.ListRemove(ref, node):
                return f"remove {self.expr(node)} from {self.variable(ref.var, ref.base)}"
            case ir.Nop():
                return "nothing"
            case ir.End():
                return "end"
        raise AssertionError(action)


def thread_lines(program: ir.Program, thread: ir.Thread, routine: str = "") -> Iterator[str]:
    """The thread's graph; with ``routine``, only nodes inside that routine.

    ``*`` marks fine stops, ``-> n`` a successor that is not the next line.
    """
    printer = Printer(program, thread)
    yield f"thread {thread.index} {thread.name}: entry {thread.entry}"
    for node, instr in enumerate(thread.code):
        if routine and not any(part.split("@")[0] == routine for part in instr.where.stack):
            continue
        mark = "*" if instr.fine_stop else " "
        onward = "" if instr.next in (node + 1, -1) else f" -> {instr.next}"
        sync = f"  <{instr.sync.kind} {instr.sync.mode}>" if instr.sync else ""
        lines = ",".join(map(str, instr.where.lines[:3]))
        cited = f"  [{instr.where.routine} {lines}]"
        yield f"{node:5}{mark} {printer.action(instr.action)}{onward}{sync}{cited}"


def program_lines(program: ir.Program, routine: str = "") -> Iterator[str]:
    """The whole program: shared variables, threads, properties."""
    yield f"program {program.name}, variant {program.variant or '-'}"
    for var in program.shared:
        kind = "ghost " if var.ghost else ""
        size = f"[{var.length}]" if var.length > 1 else ""
        yield f"  {kind}{var.name}{size}: {var.domain.kind} {var.domain.low}..{var.domain.high}"
    for thread in program.threads:
        yield from thread_lines(program, thread, routine)
    printer = Printer(program)
    for invariant in program.invariants:
        yield f"invariant {invariant.name}: {printer.expr(invariant.test)}"
