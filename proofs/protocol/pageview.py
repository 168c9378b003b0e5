"""What views of one page and the words of its vnode, under the object lock, have in common."""

from __future__ import annotations

import z3

from ...checker.lang import ir
from ...checker.symbolic.obligations import ME
from ...checker.symbolic.values import Value
from ...checker.symbolic.view import Execution
from .page import IL


class PageView:
    """Nothing is kept from one unit to the next; what is stored is judged at once.

    ``called``: the routine begins with the object lock.
    """

    pools = frozenset({"pages"})
    switches: frozenset[str] = frozenset()
    arrays = False

    def __init__(self, called: bool) -> None:
        self.called = called

    def set_bit(self, var: ir.SharedVar) -> bool:
        return False

    def other(self, execution: Execution, name: str) -> Value | None:
        return None

    def _held(self, execution: Execution) -> z3.BoolRef:
        return execution.shared(IL) == ME

    def unit(self, execution: Execution) -> None:
        pass

    def guarantee(self, execution: Execution) -> None:
        pass

    def read(self, execution: Execution, name: str, value: Value) -> None:
        pass

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        pass

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        pass

    def placed(self, atom: str) -> bool:
        return False
