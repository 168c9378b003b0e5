"""What a piece of code does, whatever the order in which it does it: the set of its paths.

The piece lies inside one unit, so nobody sees the order of its instructions: a path is the
conditions under which it is taken, what it stores, and how it ends, all in terms of the values
before.  Two pieces with equal sets of paths have equal outcomes at every state (where a stored
value does not fit its variable, that is the outcome of either).  Pieces that are too large, use
lists, or indices that are not constant, have no such set here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..lang import fold, ir
from .intervals import Env, Ranges
from .liveness import Liveness
from .thread_types import bit_truth, single_bits

_PATHS = 600
_STEPS = 20_000
_CHOICES = 16

Form: TypeAlias = tuple[object, ...]
Place: TypeAlias = tuple[int, int]


class TooComplex(Exception):
    """The unit's paths cannot be listed."""


@dataclass(slots=True)
class Path:
    """One way through a piece of code, in terms of the values before it.

    ``tests``: conditions and how they came out; ``fits``: values that are stored in variables
    whose domains may be too small; ``end``: how the path ends.
    """

    tests: dict[ir.Expr, bool] = field(default_factory=dict)
    shared: dict[Place, ir.Expr] = field(default_factory=dict)
    locals: dict[Place, ir.Expr] = field(default_factory=dict)
    fits: dict[tuple[bool, int], list[ir.Expr]] = field(default_factory=dict)
    end: tuple[object, ...] = ()

    def copy(self) -> Path:
        fits = {var: list(values) for var, values in self.fits.items()}
        return Path(dict(self.tests), dict(self.shared), dict(self.locals), fits)


class _Walk:
    def __init__(
        self,
        program: ir.Program,
        thread: ir.Thread,
        envs: list[Env],
        live: Liveness,
        stops: Collection[int],
    ) -> None:
        self.program, self.thread, self.envs, self.live = program, thread, envs, live
        self.stops = stops
        self.ranges = Ranges(program, thread)
        self.done: list[Path] = []
        self.todo: list[tuple[int, Path]] = []
        self.steps = 0
        self.before: Env = {}

    def run(self, start: int) -> list[Path]:
        self.before = self.envs[start]
        self.todo.append((start, Path()))
        first = True
        while self.todo:
            node, path = self.todo.pop()
            self._run(node, path, first)
            first = False
            if len(self.done) + len(self.todo) > _PATHS:
                raise TooComplex("it has too many paths")
        return [path for path in self.done if self._settle(path)]

    def _run(self, node: int, path: Path, first: bool) -> None:
        while True:
            self.steps += 1
            if self.steps > _STEPS:
                raise TooComplex("it is too long")
            if node in self.stops and not first:
                path.locals = {
                    (var, element): value
                    for (var, element), value in path.locals.items()
                    if self.live.is_live(node, var, element)
                }
                self._end(path, "stop", node)
                return
            first = False
            at, instr = node, self.thread.code[node]
            node = instr.next
            match instr.action:
                case ir.End():
                    path.locals = {}
                    self._end(path, "end")
                    return
                case ir.Nop():
                    pass
                case ir.Assign(target, value):
                    if not self._store(path, target, self.value(path, value)):
                        return
                case ir.Branch(test, other):
                    for truth, where in self._split(path, test):
                        self.todo.append((node if truth else other, where))
                    return
                case ir.Wait(test) | ir.Check(test):
                    for truth, where in self._split(path, test):
                        if truth:
                            self.todo.append((node, where))
                        elif isinstance(instr.action, ir.Wait):
                            self._end(where, "waits")
                        else:
                            self._fail(where, instr.action.name, instr.action.message)
                    return
                case ir.Choose(target, count, _):
                    self._choose(path, node, target, count, at)
                    return
                case _:
                    raise TooComplex("it changes a list")

    def _end(self, path: Path, *end: object) -> None:
        path.end = end
        self.done.append(path)

    def _fail(self, path: Path, *end: object) -> None:
        path.shared, path.locals = {}, {}
        self._end(path, "fails", *end)

    def _choose(self, path: Path, node: int, target: ir.Local, count: ir.Expr, at: int) -> None:
        ways = self.value(path, count)
        high = self.ranges.of(count, self.envs[at])[1]
        if high > _CHOICES:
            raise TooComplex("it has too many choices")
        for choice in range(max(high, 0) + 1):  # the last one: there is none
            taken = choice < high
            test = fold.binary("<", ir.Const(choice if taken else 0), ways, ir.INT32)
            for truth, where in self._split(path.copy(), test, known=True):
                if truth and taken:
                    if self._store(where, target, ir.Const(choice)):
                        self.todo.append((node, where))
                elif not truth and not taken:
                    self._end(where, "waits")

    def _split(
        self, path: Path, test: ir.Expr, known: bool = False
    ) -> Iterator[tuple[bool, Path]]:
        """The outcomes of a test that are possible, each with its own path."""
        value = test if known else bit_truth(self.value(path, test))
        flip = False
        while isinstance(value, ir.Unary) and value.op == "not":
            value, flip = value.operand, not flip
        if isinstance(value, ir.Const):
            yield bool(value.value) != flip, path
            return
        if value in path.tests:
            yield path.tests[value] != flip, path
            return
        for truth in (True, False):
            where = path.copy()
            where.tests[value] = truth
            yield truth != flip, where

    def _store(self, path: Path, target: ir.Local | ir.Shared, value: ir.Expr) -> bool:
        shared = isinstance(target, ir.Shared)
        index = ir.Const(0) if target.index is None else self.value(path, target.index)
        declared = (self.program.shared if shared else self.thread.locals)[target.var]
        if not isinstance(index, ir.Const) or not 0 <= index.value < declared.length:
            raise TooComplex("an index is not constant")
        domain = declared.domain
        low, high = self.ranges.of(value, self.before)
        if isinstance(value, ir.Const) and not domain.low <= value.value <= domain.high:
            self._fail(path, "range", shared, target.var)
            return False
        if low < domain.low or high > domain.high:
            path.fits.setdefault((shared, target.var), []).append(value)
        (path.shared if shared else path.locals)[target.var, index.value] = value
        return True

    def value(self, path: Path, expr: ir.Expr) -> ir.Expr:
        """An expression in terms of the values before the unit, as far as it can be told."""

        def sub(part: ir.Expr) -> ir.Expr:
            return self.value(path, part)

        result = expr
        match expr:
            case ir.Local(var, index) | ir.Shared(var, index):
                shared = isinstance(expr, ir.Shared)
                memory = path.shared if shared else path.locals
                at = ir.Const(0) if index is None else sub(index)
                declared = (self.program.shared if shared else self.thread.locals)[var]
                if not isinstance(at, ir.Const) or not 0 <= at.value < declared.length:
                    raise TooComplex("an index is not constant")
                result = memory.get((var, at.value), expr if index is None else type(expr)(var, at))
            case ir.Unary(op, operand, ctype):
                result = fold.unary(op, sub(operand), ctype)
            case ir.Binary(op, left, right, ctype):
                result = fold.binary(op, sub(left), sub(right), ctype)
            case ir.Cond(test, then, other):
                result = fold.cond(sub(test), sub(then), sub(other))
            case ir.ListNext():
                raise TooComplex("it reads a list")
        return _known(single_bits(result), path.tests)

    def _settle(self, path: Path) -> bool:
        """Drop conditions that follow from the others; is the path possible at all?"""
        for test, truth in list(path.tests.items()):
            others = {one: came for one, came in path.tests.items() if one != test}
            low, high = self.ranges.of(_replace(test, others), self.before)
            if low == high or low > 0 or high < 0:
                if bool(low or high) != truth:
                    return False
                path.tests = others
        return True


def _known(expr: ir.Expr, tests: dict[ir.Expr, bool]) -> ir.Expr:
    """What a condition came out as, if it has been tested."""
    return ir.Const(int(tests[expr])) if expr in tests and _is_bit(expr) else expr


def _is_bit(expr: ir.Expr) -> bool:
    """Is the expression's value 0 or 1?"""
    if isinstance(expr, ir.Unary):
        return expr.op == "not"
    if isinstance(expr, ir.Binary):
        if expr.op == "&":
            return isinstance(expr.right, ir.Const) and expr.right.value == 1
        return expr.op in ("and", "or", "==", "!=", "<", "<=", ">", ">=")
    return False


def _replace(expr: ir.Expr, tests: dict[ir.Expr, bool]) -> ir.Expr:
    match expr:
        case ir.Unary(op, operand, ctype):
            expr = fold.unary(op, _replace(operand, tests), ctype)
        case ir.Binary(op, left, right, ctype):
            expr = fold.binary(op, _replace(left, tests), _replace(right, tests), ctype)
        case ir.Cond(test, then, other):
            expr = fold.cond(*(_replace(part, tests) for part in (test, then, other)))
    return _known(single_bits(expr), tests)


def unit_paths(
    program: ir.Program,
    thread: ir.Thread,
    envs: list[Env],
    live: Liveness,
    stops: Collection[int],
    start: int,
) -> list[Path]:
    """The paths from a node up to the next ones of some others.  Raises TooComplex."""
    return _Walk(program, thread, envs, live, stops).run(start)


def normal(expr: ir.Expr) -> Form:
    """A form that is the same for expressions that differ only in the order of operands.

    Only where every index is a constant: then no operand can fail, and order means nothing.
    """
    match expr:
        case ir.Const(value):
            return ("const", value)
        case ir.Local(var, index):
            return ("local", var, None if index is None else normal(index))
        case ir.Shared(var, index):
            return ("shared", var, normal(index))
        case ir.Unary(op, operand, ctype):
            return ("unary", op, ctype.name, normal(operand))
        case ir.Binary(op, left, right, ctype):
            sides = [normal(left), normal(right)]
            if op in ("==", "!=", "min", "max", "*"):
                sides.sort(key=repr)
            elif op in ("and", "or", "+", "&", "|", "^"):
                sides = sorted((*_flat(left, expr), *_flat(right, expr)), key=repr)
            return ("binary", op, ctype.name, *sides)
        case ir.Cond(test, then, other):
            return ("cond", normal(test), normal(then), normal(other))
    raise TooComplex("an expression reads a list")


def _flat(expr: ir.Expr, above: ir.Binary) -> list[Form]:
    if isinstance(expr, ir.Binary) and (expr.op, expr.ctype) == (above.op, above.ctype):
        return [*_flat(expr.left, above), *_flat(expr.right, above)]
    return [normal(expr)]
