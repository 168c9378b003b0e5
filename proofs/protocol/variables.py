"""The variables of a routine, by the names that the model gives them."""

from __future__ import annotations

from collections.abc import Iterator

import z3

from ...checker.symbolic.values import as_bool, as_int
from ...checker.symbolic.view import Execution
from .page import Slots


class Variables:
    """The variables of a routine by name; the first one of that name is meant."""

    def __init__(self, execution: Execution, assigned: frozenset[int] = frozenset()) -> None:
        self.execution, self.assigned = execution, assigned

    def _named(self, name: str) -> Iterator[int]:
        for number, var in enumerate(self.execution.thread.locals):
            if name == (var.name if "." in name else var.name.rpartition(".")[2]):
                yield number

    def _find(self, name: str) -> int:
        return next(self._named(name))

    def number(self, name: str) -> int:
        """The variable's own number: of an argument that is assigned, the copy's."""
        return max(self._named(name))

    def each(self, name: str) -> list[z3.ArithRef]:
        """Those variables of the name that the loop assigns."""
        return [as_int(self.execution, self.execution.state["L", number])
                for number in self._named(name) if number in self.assigned]

    def __call__(self, name: str) -> z3.ArithRef:
        return as_int(self.execution, self.execution.state["L", self._find(name)])

    def truth(self, name: str) -> z3.BoolRef:
        return as_bool(self.execution.state["L", self._find(name)])

    def slots(self, name: str) -> Slots:
        return Slots(self._find(name), z3.IntVal(0))
