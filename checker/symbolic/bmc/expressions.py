"""Expressions of the IR as Python functions over symbolic paths.

A function takes the path (:class:`Path`) and gives a :data:`~.values.Value`.  Integers take a
short way through; what depends on inputs is computed value by value.  Where an expression can
only be evaluated for some inputs (an index outside, a lazy operand, a list), the path is split:
:class:`Split` says by what, and the instruction is begun again on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...explore import semantics
from ...explore.errors import InternalError
from ...lang import ir
from .guards import Guard
from .values import Cases, Value, Values


class Split(Exception):
    """The path must be divided by a guard before the instruction can go on."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = guard


class Fault(Exception):
    """The instruction cannot be completed: a violation (``index``, ``range``, ``list``)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Path:
    """One execution in progress: memory, the inputs that it stands for, and what it did.

    ``shared`` and ``local`` are flat (see :class:`Places`).  ``first``: the first unit of the
    block still runs.  ``nodes`` are the instructions executed in this block.  ``again``: the
    instruction was begun, and is begun again after a :class:`Split`.
    """

    __slots__ = (
        "again", "choices", "condition", "first", "fuel", "local", "node", "nodes", "shared",
    )

    def __init__(
        self, node: int, shared: list[Value], local: list[Value], condition: Guard,
        choices: tuple[int, ...], first: bool, fuel: int, nodes: set[int],
    ) -> None:
        self.node, self.shared, self.local, self.condition = node, shared, local, condition
        self.choices, self.first, self.fuel, self.nodes = choices, first, fuel, nodes
        self.again = False

    def copy(self, condition: Guard) -> Path:
        return Path(
            self.node, list(self.shared), list(self.local), condition, self.choices, self.first,
            self.fuel, set(self.nodes),
        )


Function: TypeAlias = Callable[[Path], Value]


@dataclass(frozen=True, slots=True)
class Places:
    """Where elements are in flat memory: the first position and the length of each variable."""

    first: tuple[int, ...]
    length: tuple[int, ...]

    @staticmethod
    def of(lengths: Sequence[int]) -> Places:
        first: list[int] = []
        total = 0
        for length in lengths:
            first.append(total)
            total += length
        return Places(tuple(first), tuple(lengths))

    @property
    def size(self) -> int:
        return self.first[-1] + self.length[-1] if self.first else 0


class Translator:
    """Translates the expressions of one thread (or of invariants, which have no locals)."""

    def __init__(self, values: Values, shared: Places, local: Places) -> None:
        self.values, self.guards = values, values.guards
        self.shared, self.local = shared, local
        self._done: dict[ir.Expr, Function] = {}

    def function(self, expr: ir.Expr) -> Function:
        found = self._done.get(expr)
        if found is None:
            found = self._done[expr] = self._function(expr)
        return found

    def decide(self, path: Path, guard: Guard) -> bool:
        """Whether the guard holds on the path; raises Split where it may and may not."""
        guards = self.guards
        yes = guards.both(path.condition, guard)
        if not guards.possible(yes):
            return False
        if yes is path.condition or not guards.possible(guards.without(path.condition, guard)):
            return True
        raise Split(guard)

    def concrete(self, path: Path, value: Value) -> int:
        """The one value on this path; raises Split where there are several."""
        if not isinstance(value, Cases):
            return value
        for one, guard in value.cases:
            if self.decide(path, guard):
                return one
        raise InternalError("a path on which a value is not defined")

    # ------------------------------------------------------------------- translation

    def _function(self, expr: ir.Expr) -> Function:
        match expr:
            case ir.Const(value):
                return lambda path: value
            case ir.Local(var, index):
                return self._read("local", self.local, var, index)
            case ir.Shared(var, index):
                return self._read("shared", self.shared, var, index)
            case ir.Unary(op, operand, ctype):
                return self._unary(op, self.function(operand), ctype)
            case ir.Binary("and" | "or" as op, left, right, _):
                return self._lazy(op, left, right)
            case ir.Binary(op, left, right, ctype):
                return self._binary(op, self.function(left), self.function(right), ctype)
            case ir.Cond(test, then, other):
                return self._cond(test, then, other)
            case ir.ListNext(ref, node):
                return self._next(ref, self.function(node))
            case ir.Param(name):
                raise InternalError(f"parameter {name} has no value")

    def _read(self, memory: str, places: Places, var: int, index: ir.Expr | None) -> Function:
        first, length = places.first[var], places.length[var]
        is_local = memory == "local"
        if index is None or (isinstance(index, ir.Const) and 0 <= index.value < length):
            at = first + (index.value if isinstance(index, ir.Const) else 0)
            if is_local:
                return lambda path: path.local[at]
            return lambda path: path.shared[at]
        position = self.function(index)

        def read(path: Path) -> Value:
            where = position(path)
            cells = path.local if is_local else path.shared
            if not isinstance(where, Cases):
                if not 0 <= where < length:
                    raise Fault("index")
                return cells[first + where]
            both = self.guards.both
            found: list[tuple[int, Guard]] = []
            for element, guard in where.cases:
                if 0 <= element < length:
                    here = self.values.cases(cells[first + element])
                    found += [(value, both(own, guard)) for value, own in here]
                elif self.decide(path, guard):
                    raise Fault("index")
            return self.values.of(found)

        return read

    def _unary(self, op: str, operand: Function, ctype: ir.CType) -> Function:
        def compute(value: int) -> int:
            return semantics.unary(op, value, ctype)

        if op == "not":
            def compute_not(path: Path) -> Value:
                value = operand(path)
                if isinstance(value, Cases):
                    return self.values.unary(lambda one: 0 if one else 1, value)
                return 0 if value else 1

            return compute_not

        def function(path: Path) -> Value:
            value = operand(path)
            return self.values.unary(compute, value) if isinstance(value, Cases) else compute(value)

        return function

    def _binary(self, op: str, left: Function, right: Function, ctype: ir.CType) -> Function:
        def compute(one: int, two: int) -> int:
            return semantics.binary(op, one, two, ctype)

        quick = _QUICK.get(op, compute)

        def function(path: Path) -> Value:
            one, two = left(path), right(path)
            if isinstance(one, Cases) or isinstance(two, Cases):
                return self.values.binary(compute, one, two)
            return quick(one, two)

        return function

    def _lazy(self, op: str, left: ir.Expr, right: ir.Expr) -> Function:
        one, two = self.function(left), self.function(right)
        safe = self.safe(right)
        decisive = op == "or"

        def function(path: Path) -> Value:
            value = one(path)
            if not isinstance(value, Cases):
                if bool(value) is decisive:
                    return int(decisive)
                second = two(path)
                if not isinstance(second, Cases):
                    return int(bool(second))
                return self.values.unary(lambda v: int(bool(v)), second)
            if not safe:
                if self.decide(path, self.values.truth(value)) is decisive:
                    return int(decisive)
                return self.values.unary(lambda v: int(bool(v)), two(path))
            if decisive:
                return self.values.binary(lambda a, b: int(bool(a) or bool(b)), value, two(path))
            return self.values.binary(lambda a, b: int(bool(a) and bool(b)), value, two(path))

        return function

    def _cond(self, test: ir.Expr, then: ir.Expr, other: ir.Expr) -> Function:
        asked, one, two = self.function(test), self.function(then), self.function(other)
        safe = self.safe(then) and self.safe(other)

        def function(path: Path) -> Value:
            value = asked(path)
            if not isinstance(value, Cases):
                return one(path) if value else two(path)
            truth = self.values.truth(value)
            if not safe:
                return one(path) if self.decide(path, truth) else two(path)
            return self.values.select(truth, one(path), two(path))

        return function

    def safe(self, expr: ir.Expr) -> bool:
        """Can its evaluation never fault nor split?"""
        for sub in ir.walk(expr):
            match sub:
                case ir.Local(var, index) if index is not None:
                    places, at = self.local, index
                case ir.Shared(var, index):
                    places, at = self.shared, index
                case ir.ListNext():
                    return False
                case _:
                    continue
            if not (isinstance(at, ir.Const) and 0 <= at.value < places.length[var]):
                return False
        return True

    # ------------------------------------------------------------------------- lists

    def items(self, path: Path, ref: ir.ListRef, base: Function) -> tuple[int, list[int]]:
        """The position of a list in memory, and its elements; splits until they are known."""
        at = self.concrete(path, base(path))
        if not 0 <= at <= self.shared.length[ref.var] - ref.capacity:
            raise Fault("index")
        at += self.shared.first[ref.var]
        cells = path.shared[at : at + ref.capacity]
        return at, [self.concrete(path, cell) for cell in cells]

    def _next(self, ref: ir.ListRef, node: Function) -> Function:
        base = self.function(ref.base)

        def function(path: Path) -> Value:
            _, items = self.items(path, ref, base)
            return self.values.unary(
                lambda one: semantics.list_next(items, one, ref.empty), node(path)
            )

        return function


_QUICK: dict[str, Callable[[int, int], int]] = {
    "==": lambda one, two: 1 if one == two else 0,
    "!=": lambda one, two: 1 if one != two else 0,
    "<": lambda one, two: 1 if one < two else 0,
    "<=": lambda one, two: 1 if one <= two else 0,
    ">": lambda one, two: 1 if one > two else 0,
    ">=": lambda one, two: 1 if one >= two else 0,
}
