"""Names of state variables and values, and expressions, as traces and listings print them."""

from __future__ import annotations

import re

from ..lang import ir

_ENTRY = re.compile(r"(\w+)#(\d+)")
_MARKER = re.compile(r"(marker\d*) of T(\d+)")


class Names:
    """How a program's variables and values are called."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self._records = {
            var.name.partition(".")[0]: var.length // max(var.width, 1) for var in program.shared
        }

    def record(self, pool: str, index: int) -> str:
        """One record of a pool: ``page1``; a pool of one has no number; threads have names."""
        if pool == "threads" and index < len(self.program.threads):
            return self.thread(index)
        plural = pool.endswith("s") and not pool.endswith(("ss", "us"))
        name = pool[:-1] if plural else pool
        return name if self._records.get(pool) == 1 else f"{name}{index}"

    def element(self, var: int, element: int) -> str:
        """One element of a shared variable, such as ``box1.flags`` or ``shelf.books[2]``."""
        shared = self.program.shared[var]
        pool, dot, name = shared.name.partition(".")
        record, inner = divmod(element, max(shared.width, 1))
        if not dot:
            return f"{pool}[{element}]" if shared.length > 1 else pool
        subscript = f"[{inner}]" if shared.width > 1 else ""
        return f"{self.record(pool, record)}.{name}{subscript}"

    def value(self, var: int, value: int) -> str:
        """A value of a shared variable."""
        return self.show(self.program.shared[var].domain, value)

    def show(self, domain: ir.Domain, value: int) -> str:
        """A value of a domain; threads by their names."""
        if domain.kind == "thread" and 0 <= value < len(self.program.threads):
            return self.thread(value)
        if domain.labels and domain.labels[0] == (0, "awake") and value:
            return self.queue(domain.show(value))
        return self._reference(domain.show(value)) if domain.kind == "ref" else domain.show(value)

    def _reference(self, label: str) -> str:
        """A reference's label, ``pages#0`` or ``marker1 of T2``, in the words of this class."""
        entry = _ENTRY.fullmatch(label)
        if entry is not None:
            return self.record(entry[1], int(entry[2]))
        marker = _MARKER.fullmatch(label)
        if marker is not None:
            return f"{marker[1]} of {self.thread(int(marker[2]))}"
        return label

    def queue(self, label: str) -> str:
        """A wait queue's label, ``pages2.wanted``, in the words of this class."""
        pool, _, queue = label.partition(".")
        name = pool.rstrip("0123456789")
        index = pool[len(name) :]
        return f"{self.record(name, int(index or 0))}.{queue}"

    def local(self, thread: ir.Thread, var: int) -> str:
        """A local variable's name; the compiler's own are told apart by their numbers."""
        name = thread.locals[var].name
        return f"{name}{var}" if name.startswith("$") else name

    def thread(self, index: int) -> str:
        return self.program.threads[index].name

    def expr(self, expr: ir.Expr, thread: ir.Thread, level: int = 0) -> str:
        """An expression, with the names of the thread's locals; ``level`` binds operators."""
        match expr:
            case ir.Const(value):
                return str(value)
            case ir.Param(name):
                return name
            case ir.Local(var, index):
                name = self.local(thread, var)
                return name if index is None else f"{name}[{self.expr(index, thread)}]"
            case ir.Shared(var, ir.Const(element)):
                return self.element(var, element)
            case ir.Shared(var, index):
                return self._dynamic(var, index, thread)
            case ir.Unary("cast", operand, ctype):
                return f"({ctype.name}){self.expr(operand, thread, 12)}"
            case ir.Unary(op, operand):
                space = " " if op == "not" else ""
                text = f"{op}{space}{self._operand(operand, expr, thread)}"
                return text
            case ir.Binary(op, left, right) if op in ("min", "max"):
                return f"{op}({self.expr(left, thread)}, {self.expr(right, thread)})"
            case ir.Binary(op, left, right):
                binding = _BINDING.get(op, 0)
                a = self._labelled(left, right, thread, binding)
                b = self._labelled(right, left, thread, binding + 1)
                text = f"{a} {op} {b}"
                return f"({text})" if binding < level else text
            case ir.Cond(test, then, other):
                parts = (self.expr(part, thread, 1) for part in (then, test, other))
                text = "{} if {} else {}".format(*parts)
                return f"({text})" if level else text
            case ir.ListNext(listref, node):
                return f"next({self.list(listref, thread)}, {self.expr(node, thread)})"

    def _operand(self, operand: ir.Expr, outer: ir.Unary, thread: ir.Thread) -> str:
        return self.expr(operand, thread, 3 if outer.op == "not" else 12)

    def _labelled(self, expr: ir.Expr, beside: ir.Expr, thread: ir.Thread, level: int) -> str:
        """A constant next to a variable is printed as a value of that variable."""
        if isinstance(expr, ir.Const):
            domain = self.domain(beside, thread)
            if domain is not None and domain.kind in ("enum", "ref", "thread", "flags"):
                return self.show(domain, expr.value)
        return self.expr(expr, thread, level)

    def domain(self, expr: ir.Expr, thread: ir.Thread) -> ir.Domain | None:
        """The domain of a variable's read; None for anything computed."""
        match expr:
            case ir.Shared(var):
                return self.program.shared[var].domain
            case ir.Local(var):
                return thread.locals[var].domain
            case ir.ListNext(listref):
                return self.program.shared[listref.var].domain
            case _:
                return None

    def _dynamic(self, var: int, index: ir.Expr, thread: ir.Thread) -> str:
        return f"{self.program.shared[var].name}[{self.expr(index, thread)}]"

    def list(self, listref: ir.ListRef, thread: ir.Thread) -> str:
        """An ordered list."""
        if isinstance(listref.base, ir.Const):
            return self.element(listref.var, listref.base.value).partition("[")[0]
        return self._dynamic(listref.var, listref.base, thread)


_BINDING = {
    "or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
    "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "//": 10, "%": 10,
}  # fmt: skip


def line_ranges(lines: tuple[int, ...]) -> str:
    """Line numbers with their runs drawn together: ``74, 77-79``."""
    parts: list[str] = []
    ordered = sorted(set(lines))
    start = 0
    while start < len(ordered):
        end = start
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        first, last = ordered[start], ordered[end]
        parts.append(str(first) if first == last else f"{first}-{last}")
        start = end + 1
    return ", ".join(parts)
