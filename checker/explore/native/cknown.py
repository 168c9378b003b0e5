"""What is known of conditions in the course of one step, so that none is tested twice."""

from __future__ import annotations

from typing import TypeAlias

from ...lang import ir

Variable: TypeAlias = tuple[bool, int]  # is it shared, and its number


class Known:
    """Conditions that were just evaluated, and whose variables have not changed since."""

    def __init__(self, facts: dict[ir.Expr, tuple[bool, frozenset[Variable]]] | None = None):
        self.facts = dict(facts or {})

    def truth(self, test: ir.Expr) -> bool | None:
        found = self.facts.get(test)
        return None if found is None else found[0]

    def learn(self, test: ir.Expr, truth: bool) -> None:
        """A condition was evaluated, and turned out (not) true."""
        match test:
            case ir.Const():
                return
            case ir.Unary("not", operand, _):
                self.learn(operand, not truth)
                return
            case ir.Binary("and" | "or" as op, left, right, _) if truth == (op == "and"):
                self.learn(left, truth)
                self.learn(right, truth)
        self.facts[test] = truth, variables(test)

    def forget(self, action: ir.Action) -> None:
        """Drop what an instruction may change."""
        match action:
            case ir.Assign(target) | ir.Choose(target):
                changed: Variable = (isinstance(target, ir.Shared), target.var)
            case ir.ListInsert(ref) | ir.ListRemove(ref):
                changed = (True, ref.var)
            case _:
                return
        self.facts = {test: fact for test, fact in self.facts.items() if changed not in fact[1]}


def variables(expr: ir.Expr) -> frozenset[Variable]:
    """The variables that an expression reads."""
    found: set[Variable] = set()
    for sub in ir.walk(expr):
        if isinstance(sub, ir.Shared | ir.Local):
            found.add((isinstance(sub, ir.Shared), sub.var))
        elif isinstance(sub, ir.ListNext):
            found.add((True, sub.list.var))
    return frozenset(found)
