"""Lowering expressions: from the source's syntax to IR expressions and steps.

Three modes.  ``step``: every read of shared state becomes a step that loads a temporary.
``atomic``: reads stay inside the expression, since the whole routine is one step.
``pure``: as atomic, and nothing may be emitted at all (properties, guards).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from . import fold, ir
from .context import Context
from .emit import Emitter, Label
from .errors import ModelError
from .source import Class, Definition, Function, Import, Module
from .types import (
    BOOL,
    INT,
    LITERAL,
    NULL,
    SCALARS,
    ArrayType,
    BoolType,
    EnumType,
    FlagsType,
    IntType,
    ListType,
    LiteralType,
    NullType,
    RefType,
    ScalarType,
    StructType,
    Type,
    ctype_of,
    describe,
)
from .values import (
    ArrayPlace,
    ClassValue,
    ConstTuple,
    FunctionValue,
    ListPlace,
    Nothing,
    Op,
    PoolValue,
    Slot,
    StructPlace,
    TupleValue,
    Value,
    Word,
)

Mode: TypeAlias = Literal["step", "atomic", "pure"]
Test: TypeAlias = tuple[ir.Expr, str, str]

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "==", ast.IsNot: "!=",
}  # fmt: skip
WIDE = ir.CType("literal", 64, True)  # constants are computed in it until they meet a type
BUILTINS = frozenset({"min", "max", "bool", "int", "any", "all", "sum", "range"})


@dataclass(frozen=True, slots=True)
class ScalarPlace:
    """Somewhere a scalar is stored, with the tests that make the access legal.

    Where the record may be a marker, reads give ``marker_value`` for one (the expression says
    whether it is an entry), and ``tests`` hold for stores only.
    """

    target: ir.Local | ir.Shared
    type: ScalarType
    tests: tuple[Test, ...] = ()
    marker_value: tuple[ir.Expr, int] | None = None
    no_lost_update: str = ""


@dataclass(slots=True)
class Frame:
    """One activation of a routine that is being inlined."""

    module: Module
    function: Function | None
    env: dict[str, Slot | Value]
    stack: tuple[str, ...]
    lines: tuple[int, ...]
    exit: Label = field(default_factory=Label)
    result: tuple[Slot, ...] = ()
    returned: list[Value] = field(default_factory=list)
    targets: tuple[Label, Label] | None = None
    loops: list[tuple[Label, Label]] = field(default_factory=list)
    assigned: frozenset[str] = frozenset()
    direct: bool = False
    statement: ast.stmt | None = None
    places: dict[ast.stmt, ir.Where] = field(default_factory=dict)


class Expressions:
    """Lowers the expressions of one thread (or of a property, or of a constant)."""

    def __init__(self, context: Context, thread: int | None, mode: Mode) -> None:
        self.context = context
        self.thread = thread
        self.mode: Mode = mode
        self.folding = False  # inside a constant that must have a value: a size, a range
        self.frames: list[Frame] = []
        self.emitter = Emitter(lambda var: context.shared[var].ghost)

    # ----------------------------------------------------------------- utilities

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def error(self, node: ast.AST, message: str) -> ModelError:
        return self.frame.module.error(node, message)

    @contextmanager
    def in_mode(self, mode: Mode) -> Iterator[None]:
        saved, self.mode = self.mode, mode
        try:
            yield
        finally:
            self.mode = saved

    def where(self) -> ir.Where:
        if not self.frames:
            return ir.Where()
        frame = self.frame
        statement = frame.statement
        if statement is None:
            return ir.Where(frame.lines, frame.module.file, 0, "", frame.stack)
        lines = frame.module.cited(statement) or frame.lines
        where = frame.places.get(statement)
        if where is None:
            text = self.context.headers.get(statement)
            if text is None:
                text = self.context.headers[statement] = header(statement)
            where = ir.Where(lines, frame.module.file, statement.lineno, text, frame.stack)
            frame.places[statement] = where
        return where

    def temp(self, type_: ScalarType, name: str = "$") -> ir.Local:
        return ir.Local(self.emitter.local(name, self.context.domain(type_)))

    def emit(self, action: ir.Action) -> None:
        if self.mode == "pure":
            node = self.frame.statement or ast.Pass(lineno=0, col_offset=0)
            raise self.error(node, "only expressions without effects are possible here: "
                                   "call @pure functions")
        self.emitter.emit(action, self.where())

    def emit_tests(self, tests: tuple[Test, ...]) -> None:
        for test, name, message in tests:
            if not fold.is_const(test, 1):
                self.emit(ir.Check(test, name, message))

    # -------------------------------------------------------------- conversions

    def scalar(self, node: ast.expr) -> Op:
        """Lower an expression that must be a scalar."""
        value = self.lower(node)
        if not isinstance(value, Op):
            raise self.error(node, f"{ast.unparse(node)} is not a value")
        return value

    def coerce(self, op: Op, type_: ScalarType, node: ast.AST) -> Op:
        """Convert on assignment, argument passing and return."""
        source = op.type
        match type_:
            case RefType(record):
                if isinstance(source, NullType):
                    return Op(fold.const(self.context.pool(record).none), type_)
                if isinstance(source, RefType) and source.record == record:
                    return Op(op.expr, type_)
            case IntType(_, ctype):
                if isinstance(source, IntType | LiteralType | BoolType):
                    return Op(fold.convert(op.expr, ctype_of(source), ctype), type_)
            case LiteralType():
                if isinstance(source, IntType | LiteralType | BoolType):
                    return op
            case BoolType():
                if isinstance(source, BoolType | IntType | LiteralType | FlagsType):
                    return Op(fold.truth(op.expr), BOOL)
            case EnumType(name):
                if isinstance(source, EnumType) and source.name == name:
                    return op
            case FlagsType(name):
                if isinstance(source, FlagsType) and source.name == name:
                    return op
                if isinstance(source, LiteralType) and fold.is_const(op.expr, 0):
                    return Op(op.expr, type_)
            case NullType():
                return op
        raise self.error(node, f"{describe(source)} given where {describe(type_)} is expected")

    def condition(self, node: ast.expr) -> ir.Expr:
        """Lower to 0 or 1."""
        op = self.scalar(node)
        if isinstance(op.type, RefType | NullType | EnumType):
            raise self.error(node, f"{describe(op.type)} is no condition: compare it")
        return fold.truth(op.expr)

    def stable(self, op: Op, name: str = "$") -> Op:
        """A value that later steps cannot change: constants and locals of this expression."""
        if self.mode == "pure" or isinstance(op.expr, ir.Const | ir.Param):
            return op
        if isinstance(op.expr, ir.Local) and op.expr.index is None:
            return op
        temp = self.temp(op.type, name)
        self.emit(ir.Assign(temp, op.expr))
        return Op(temp, op.type)

    # ------------------------------------------------------------------- places

    def read(self, place: ScalarPlace) -> Op:
        """Load a scalar: a step of its own in step mode, unless it is a local."""
        expr: ir.Expr = place.target
        if place.marker_value is not None:
            is_entry, value = place.marker_value
            expr = fold.cond(is_entry, expr, fold.const(value))
            place = ScalarPlace(place.target, place.type)
        if self.mode == "pure":
            return Op(expr, place.type)
        if self.mode == "atomic" or not fold.has_shared(expr):
            self.emit_tests(place.tests)
            return Op(expr, place.type)
        with self.emitter.region():
            self.emit_tests(place.tests)
            temp = self.temp(place.type)
            self.emit(ir.Assign(temp, expr))
        return Op(temp, place.type)

    def store(self, place: ScalarPlace, op: Op, node: ast.AST) -> None:
        value = self.coerce(op, place.type, node)
        with self.emitter.region():
            self.emit_tests(place.tests)
            self.emit(ir.Assign(place.target, value.expr))

    def is_ghost(self, place: ScalarPlace) -> bool:
        return isinstance(place.target, ir.Shared) and self.context.shared[place.target.var].ghost

    def place(self, node: ast.expr) -> ScalarPlace | Value:
        """What an attribute or subscript denotes, without reading it."""
        match node:
            case ast.Attribute(base, name):
                return self._attribute_place(node, base, name)
            case ast.Subscript(base, index):
                return self._subscript_place(node, base, index)
            case ast.Name():
                return self.lower(node)
        raise self.error(node, f"{ast.unparse(node)} cannot be assigned to")

    def _attribute_place(
        self, node: ast.Attribute, base: ast.expr, name: str
    ) -> ScalarPlace | Value:
        value = self.lower(base)
        match value:
            case ClassValue(EnumType(_, members) | FlagsType(_, members) as type_):
                for member, number in members:
                    if member == name:
                        return Op(fold.const(number), type_)
                raise self.error(node, f"{describe(type_)} has no member {name}")
            case Op(_, RefType()):
                return self._field(node, self.stable(value), name)
            case StructPlace(prefix, index, struct):
                fields = self.context.struct_fields(struct)
                if name in fields:
                    item = fields[name]
                    if isinstance(item.type, SCALARS):
                        var = self.context.var_ids[f"{prefix}.{name}"]
                        return ScalarPlace(ir.Shared(var, index), item.type)
                raise self.error(node, f"{struct} has no field {name}")
        raise self.error(node, f"{ast.unparse(base)} has no fields")

    def _field(self, node: ast.AST, ref: Op, name: str) -> ScalarPlace | Value:
        assert isinstance(ref.type, RefType)
        pool = self.context.pool(ref.type.record)
        fields = (
            self.context.fields["Thread"]
            if pool.name == "threads"
            else self.context.record_fields(pool.record)
        )
        if name not in fields:
            raise self.error(node, f"{pool.record} has no field {name}")
        item = fields[name]
        path = f"{pool.name}.{name}"
        # A reference to the only entry there is can be nothing else, if it may be followed.
        entry = fold.const(0) if pool.count == 1 else ref.expr
        match item.type:
            case str(struct):
                return StructPlace(path, entry, struct)
            case ArrayType(_, length) as array:
                base = fold.binary("*", entry, fold.const(length), ir.INT32)
                return ArrayPlace(self.context.var_ids[path], False, base, fold.const(0), array)
            case ListType(element, capacity) as listing:
                base = fold.binary("*", entry, fold.const(capacity), ir.INT32)
                empty = self.context.pool(element.record).none
                return ListPlace(
                    ir.ListRef(self.context.var_ids[path], base, capacity, empty), listing
                )
            case scalar:
                target = ir.Shared(self.context.var_ids[path], entry)
                marked = dict(pool.marker_fields).get(name) if ref.type.marker else None
                is_entry = self._in_range(ref.expr, pool.count)
                tests = self._alive(pool.name, ref.expr, item.ghost)
                marker = None if marked is None else (is_entry, marked)
                return ScalarPlace(target, scalar, tests, marker, item.no_lost_update)

    def _in_range(self, index: ir.Expr, count: int) -> ir.Expr:
        return fold.binary("<", index, fold.const(count), ir.BOOL)

    def _alive(self, pool_name: str, index: ir.Expr, ghost: bool) -> tuple[Test, ...]:
        pool = self.context.pools[pool_name]
        in_range = self._in_range(index, pool.count)
        tests: tuple[Test, ...] = (
            (in_range, "null-dereference", f"dereference of a {pool.record} that is none"),
        )
        if pool.live and not ghost:
            live = ir.Shared(self.context.var_ids[f"{pool.name}.{pool.live}"], index)
            tests += ((live, "use-after-free", f"access to a {pool.record} that was freed"),)
        return tests

    def _subscript_place(
        self, node: ast.Subscript, base: ast.expr, index: ast.expr
    ) -> ScalarPlace | Value:
        value = self.lower(base)
        match value:
            case PoolValue(name):
                entry = self.scalar(index)
                if not isinstance(entry.type, IntType | LiteralType | RefType):
                    raise self.error(node, "a pool is indexed by a number or a thread")
                return Op(entry.expr, RefType(self.context.pools[name].record))
            case ConstTuple(items):
                return self._tuple_element(node, [Op(fold.const(i), LITERAL) for i in items], index)
            case TupleValue(values) if all(isinstance(one, Op) for one in values):
                found = [one for one in values if isinstance(one, Op)]
                return self._tuple_element(node, found, index)
            case ArrayPlace():
                if isinstance(index, ast.Slice):
                    return self._slice(value, index)
                return self._element(value, self.scalar(index), node)
        raise self.error(node, f"{ast.unparse(base)} cannot be subscripted")

    def _tuple_element(self, node: ast.AST, items: Sequence[Op], index: ast.expr) -> Op:
        position = self.scalar(index)
        if isinstance(position.expr, ir.Const):
            if not 0 <= position.expr.value < len(items):
                raise self.error(node, f"index {position.expr.value} of {len(items)} values")
            return items[position.expr.value]
        expr: ir.Expr = items[-1].expr if items else fold.const(0)
        for i in range(len(items) - 2, -1, -1):
            here = fold.binary("==", position.expr, fold.const(i), ir.BOOL)
            expr = fold.cond(here, items[i].expr, expr)
        return Op(expr, INT)

    def _slice(self, array: ArrayPlace, index: ast.Slice) -> ArrayPlace:
        if index.lower is None or index.upper is not None or index.step is not None:
            raise self.error(index, "only a[i:] is possible: the part from i on")
        start = self.stable(self.scalar(index.lower))
        offset = fold.binary("+", array.offset, start.expr, ir.INT32)
        offset = self.stable(Op(offset, INT)).expr
        return ArrayPlace(array.var, array.local, array.base, offset, array.type)

    def _element(self, array: ArrayPlace, index: Op, node: ast.AST) -> ScalarPlace:
        if not isinstance(index.type, IntType | LiteralType | EnumType | RefType | BoolType):
            raise self.error(node, "an array is indexed by a number")
        offset = self.stable(Op(fold.binary("+", array.offset, index.expr, ir.INT32), INT)).expr
        length = array.type.length
        inside = fold.binary(
            "and",
            fold.binary(">=", offset, fold.const(0), ir.BOOL),
            fold.binary("<", offset, fold.const(length), ir.BOOL),
            ir.BOOL,
        )
        if fold.is_const(inside, 0) and self.mode == "pure":
            raise self.error(node, f"index outside the array's {length} elements")
        tests: tuple[Test, ...] = (
            (inside, "bounds", f"index outside an array of {length} elements"),
        )
        target: ir.Local | ir.Shared
        if array.local:
            target = ir.Local(array.var, offset)
        else:
            target = ir.Shared(array.var, fold.binary("+", array.base, offset, ir.INT32))
        return ScalarPlace(target, array.type.element, tests)

    # -------------------------------------------------------------- expressions

    def lower(self, node: ast.expr) -> Value:
        """Lower any expression."""
        match node:
            case ast.Constant(bool(value)):
                return Op(fold.const(int(value), ir.BOOL), BOOL)
            case ast.Constant(int(value)):
                return Op(fold.const(value), LITERAL)
            case ast.Constant(None):
                raise self.error(node, "write NULL (or NOBODY), not None")
            case ast.Name(name):
                return self._name(node, name)
            case ast.Attribute() | ast.Subscript():
                place = self.place(node)
                return self.read(place) if isinstance(place, ScalarPlace) else place
            case ast.BinOp(left, op, right):
                return self._binary(node, self.scalar(left), type(op), self.scalar(right))
            case ast.UnaryOp(op, operand):
                return self._unary(node, op, operand)
            case ast.BoolOp():
                return self._boolean(node)
            case ast.Compare(left, [op], [right]):
                return self._compare(node, left, op, right)
            case ast.Compare():
                raise self.error(node, "chained comparisons are not possible: use and")
            case ast.IfExp(test, then, other):
                return self._conditional(node, test, then, other)
            case ast.Call():
                return self.call(node)
            case ast.Tuple(items) | ast.List(items):
                values = [self.lower(item) for item in items]
                constants = [v.expr.value for v in values
                             if isinstance(v, Op) and isinstance(v.expr, ir.Const)]
                if len(constants) == len(values):
                    return ConstTuple(tuple(constants))
                return TupleValue(tuple(values))
        raise self.error(node, f"{type(node).__name__} ({ast.unparse(node)}) is not in the "
                               "language")

    def _name(self, node: ast.Name, name: str) -> Value:
        bound = self.frame.env.get(name)
        if isinstance(bound, Slot):
            return Op(ir.Local(bound.var), bound.type)
        if bound is not None:
            return bound
        symbol = self.context.source.resolve(self.frame.module, name)
        match symbol:
            case Function():
                return FunctionValue(symbol)
            case Class(_, "enum" | "flags"):
                type_, _ = self.context.resolve_type(symbol.module, node)
                assert isinstance(type_, EnumType | FlagsType)
                return ClassValue(type_)
            case Definition():
                return self._definition(symbol)
            case Import(_, "NULL" | "NOBODY"):
                return Op(fold.const(-1), NULL)
            case Import(_, "RW"):
                return ClassValue(EnumType("RW", (("READER", 0), ("WRITER", 1))))
            case Import(_, "threads"):
                return PoolValue("threads")
            case Import(_, word):
                return Word(word)
        if name in BUILTINS:
            return Word(name)
        raise self.error(node, f"{name} is not defined here (a local must be bound first, "
                               "with its type)")

    def _definition(self, definition: Definition) -> Value:
        context = self.context
        if definition.name in context.symbolic and not self.folding:
            return Op(ir.Param(definition.name, context.symbolic[definition.name]), LITERAL)
        key = (definition.module.name, definition.name, self.folding)
        cache = context._constants
        if key in cache:
            return cache[key]  # type: ignore[return-value]
        value: Value
        match definition.value:
            case ast.Call(ast.Name("parameter")):
                value = Op(fold.const(context.parameter(definition)), LITERAL)
            case ast.Call(ast.Name("Pool")):
                value = PoolValue(definition.name)
            case ast.Call(ast.Name("single"), [ast.Name(record)]):
                value = Op(fold.const(0), RefType(record))
            case ast.Call(ast.Attribute(ast.Name(pool), "special"), [ast.Constant(str(name))]):
                info = context.pools[pool]
                position = info.specials.index(name)
                value = Op(fold.const(info.special(position)), RefType(info.record, special=True))
            case expression:
                frame = Frame(definition.module, None, {}, (), ())
                frame.statement = definition.node
                self.frames.append(frame)
                try:
                    with self.in_mode("pure"):
                        value = self.lower(expression)
                finally:
                    self.frames.pop()
        cache[key] = value
        return value

    def _binary(self, node: ast.AST, left: Op, kind: type[ast.operator], right: Op) -> Op:
        if kind not in _BINARY:
            raise self.error(node, f"operator {kind.__name__} is not in the language (// divides)")
        op = _BINARY[kind]
        flags = next((o.type for o in (left, right) if isinstance(o.type, FlagsType)), None)
        if flags is not None:
            if op not in "&|^" or (left.type != right.type and LITERAL not in
                                   (left.type, right.type)):
                raise self.error(node, f"{describe(left.type)} {op} {describe(right.type)}: flag "
                                       "sets of one type are combined with & | ^")
            return Op(fold.binary(op, left.expr, right.expr, ir.INT32), flags)
        for operand in (left, right):
            if not isinstance(operand.type, IntType | LiteralType | BoolType):
                raise self.error(node, f"no arithmetic on {describe(operand.type)}")
        return self.arithmetic(node, op, left, right)

    def arithmetic(self, node: ast.AST, op: str, left: Op, right: Op) -> Op:
        """C arithmetic on two integers."""
        if op in ("//", "%") and fold.is_const(right.expr, 0):
            raise self.error(node, "division by zero")
        if left.type == LITERAL and right.type == LITERAL:
            return Op(fold.binary(op, left.expr, right.expr, WIDE), LITERAL)
        if op in ("<<", ">>"):
            typed = left if left.type != LITERAL else right
            ctype = fold.promote(ctype_of(typed.type))
            value = fold.convert(left.expr, ctype_of(left.type), ctype)
            shifted = fold.binary(op, value, right.expr, ctype)
            return Op(shifted, self._int_type(ctype, left, right))
        ctype = self._common(left, right)
        one = fold.convert(left.expr, ctype_of(left.type), ctype)
        two = fold.convert(right.expr, ctype_of(right.type), ctype)
        return Op(fold.binary(op, one, two, ctype), self._int_type(ctype, left, right))

    def _common(self, left: Op, right: Op) -> ir.CType:
        if left.type == LITERAL:
            return WIDE if right.type == LITERAL else fold.promote(ctype_of(right.type))
        if right.type == LITERAL:
            return fold.promote(ctype_of(left.type))
        return fold.common(ctype_of(left.type), ctype_of(right.type))

    def _int_type(self, ctype: ir.CType, left: Op, right: Op) -> IntType:
        ranges = [o.type for o in (left, right) if isinstance(o.type, IntType)]
        low = min((r.low for r in ranges), default=INT.low)
        high = max((r.high for r in ranges), default=INT.high)
        return IntType(ctype.name, ctype, low, high)

    def _unary(self, node: ast.AST, op: ast.unaryop, operand: ast.expr) -> Op:
        if isinstance(op, ast.Not):
            return Op(fold.negate(self.condition(operand)), BOOL)
        value = self.scalar(operand)
        if isinstance(op, ast.Invert) and isinstance(value.type, FlagsType):
            mask = fold.const(value.type.all_bits)
            return Op(fold.binary("^", value.expr, mask, ir.INT32), value.type)
        if not isinstance(value.type, IntType | LiteralType | BoolType):
            raise self.error(node, f"no arithmetic on {describe(value.type)}")
        if isinstance(op, ast.UAdd):
            return value
        symbol = "~" if isinstance(op, ast.Invert) else "-"
        if value.type == LITERAL:
            return Op(fold.unary(symbol, value.expr, WIDE), LITERAL)
        ctype = fold.promote(ctype_of(value.type))
        type_ = self._int_type(ctype, value, value)
        low, high = min(type_.low, ~type_.high), max(type_.high, -type_.low)
        if not ctype.signed:
            low, high = 0, ctype.maximum
        type_ = IntType(ctype.name, ctype, low, high)
        return Op(fold.unary(symbol, value.expr, ctype), type_)

    def _compare(
        self, node: ast.AST, left: ast.expr, op: ast.cmpop, right: ast.expr
    ) -> Op:
        if isinstance(op, ast.In | ast.NotIn):
            inside = self._contains(node, left, right)
            return Op(fold.negate(inside) if isinstance(op, ast.NotIn) else inside, BOOL)
        one, two = self.scalar(left), self.scalar(right)
        symbol = _COMPARE[type(op)]
        if isinstance(one.type, NullType) and not isinstance(two.type, NullType):
            one = self.coerce(one, two.type, node)
        elif not isinstance(one.type, NullType):
            two = self.coerce(two, one.type, node) if isinstance(two.type, NullType) else two
        integers = IntType | LiteralType | BoolType
        if isinstance(one.type, integers) and isinstance(two.type, integers):
            ctype = self._common(one, two)
            a = fold.convert(one.expr, ctype_of(one.type), ctype)
            b = fold.convert(two.expr, ctype_of(two.type), ctype)
            return Op(fold.binary(symbol, a, b, ir.BOOL), BOOL)
        same = (
            (isinstance(one.type, RefType) and isinstance(two.type, RefType)
             and one.type.record == two.type.record)
            or (isinstance(one.type, EnumType) and one.type == two.type)
            or (isinstance(one.type, FlagsType) and two.type in (one.type, LITERAL))
            or (isinstance(one.type, NullType) and isinstance(two.type, NullType))
        )
        if not same or symbol not in ("==", "!="):
            raise self.error(node, f"cannot compare {describe(one.type)} {symbol} "
                                   f"{describe(two.type)}")
        return Op(fold.binary(symbol, one.expr, two.expr, ir.BOOL), BOOL)

    def _contains(self, node: ast.AST, left: ast.expr, right: ast.expr) -> ir.Expr:
        member, place = self.scalar(left), self.lower(right)
        if not isinstance(place, ListPlace):
            raise self.error(node, "in asks about a list")
        ref = place.ref
        member = self.coerce(member, place.type.element, node)
        result: ir.Expr = fold.const(0, ir.BOOL)
        for i in range(ref.capacity):
            element = ir.Shared(ref.var, fold.binary("+", ref.base, fold.const(i), ir.INT32))
            equal = fold.binary("==", element, member.expr, ir.BOOL)
            result = fold.binary("or", result, equal, ir.BOOL)
        return result

    def needs_flow(self, node: ast.expr) -> bool:
        """May evaluating this read shared state or have an effect, so that order matters?"""
        if self.mode == "pure":
            return False
        known = self.context.flows.get(node)
        if known is None:
            known = self.context.flows[node] = any(
                isinstance(part, ast.Attribute | ast.Subscript | ast.Call)
                for part in ast.walk(node)
            )
        return known

    def _boolean(self, node: ast.BoolOp) -> Op:
        if any(self.needs_flow(value) for value in node.values[1:]):
            return self._by_flow(node)
        op = "and" if isinstance(node.op, ast.And) else "or"
        result = self.condition(node.values[0])
        for value in node.values[1:]:
            if fold.is_const(result, int(op == "or")):
                return Op(result, BOOL)
            result = fold.binary(op, result, self.condition(value), ir.BOOL)
        return Op(result, BOOL)

    def _by_flow(self, node: ast.expr) -> Op:
        """Evaluate a condition by branching; its value in a temporary."""
        then, other, done = Label(), Label(), Label()
        self.branch(node, then, other)
        if not then.edges:
            self.emitter.place(other)
            return Op(fold.const(0, ir.BOOL), BOOL)
        if not other.edges:
            self.emitter.place(then)
            return Op(fold.const(1, ir.BOOL), BOOL)
        temp = self.temp(BOOL)
        for label, value in ((then, 1), (other, 0)):
            self.emitter.place(label)
            self.emit(ir.Assign(temp, fold.const(value, ir.BOOL)))
            self.emitter.goto(done)
        self.emitter.place(done)
        return Op(temp, BOOL)

    def branch(self, node: ast.expr, then: Label, other: Label) -> None:
        """Evaluate a condition, short-circuiting, and go to one of two labels."""
        match node:
            case ast.UnaryOp(ast.Not(), operand):
                self.branch(operand, other, then)
                return
            case ast.BoolOp(op, values) if self.needs_flow(node):
                for value in values[:-1]:
                    onward = Label()
                    if isinstance(op, ast.And):
                        self.branch(value, onward, other)
                    else:
                        self.branch(value, then, onward)
                    self.emitter.place(onward)
                self.branch(values[-1], then, other)
                return
            case ast.Call(ast.Name()) if self.mode != "pure":
                function = self.lower(node.func)
                if isinstance(function, Word):
                    function = self.primitive(function.name) or function
                if isinstance(function, FunctionValue) and function.function.kind != "pure":
                    value_ = self.inline(function.function, node, (then, other))
                    if isinstance(value_, Op):
                        self.emitter.branch(fold.truth(value_.expr), self.where(), then, other)
                    return
        test = self.condition(node)
        self.emitter.branch(test, self.where(), then, other)

    def _conditional(
        self, node: ast.AST, test: ast.expr, then: ast.expr, other: ast.expr
    ) -> Value:
        if self.needs_flow(then) or self.needs_flow(other):
            return self._conditional_by_flow(node, test, then, other)
        decided = self.condition(test)
        if isinstance(decided, ir.Const):
            return self.lower(then if decided.value else other)
        one, two = self.scalar(then), self.scalar(other)
        type_ = self._unify(node, one, two)
        a, b = self.coerce(one, type_, node), self.coerce(two, type_, node)
        return Op(fold.cond(decided, a.expr, b.expr), type_)

    def _unify(self, node: ast.AST, one: Op, two: Op) -> ScalarType:
        if one.type == NULL:
            return two.type
        numbers = IntType | LiteralType | BoolType
        if isinstance(one.type, numbers) and isinstance(two.type, numbers):
            if one.type == two.type:
                return one.type if one.type != LITERAL else INT
            return self._int_type(self._common(one, two), one, two)
        if isinstance(one.type, RefType) and isinstance(two.type, RefType):
            return RefType(one.type.record, one.type.special or two.type.special,
                           one.type.marker or two.type.marker)
        return one.type

    def _conditional_by_flow(
        self, node: ast.AST, test: ast.expr, then: ast.expr, other: ast.expr
    ) -> Value:
        first, second, done = Label(), Label(), Label()
        self.branch(test, first, second)
        if not first.edges or not second.edges:
            taken = bool(first.edges)
            self.emitter.place(first if taken else second)
            return self.lower(then if taken else other)
        self.emitter.place(first)
        one = self.scalar(then)
        temp, middle = self.temp(INT), Label()
        self.emitter.goto(middle)
        self.emitter.place(second)
        two = self.scalar(other)
        type_ = self._unify(node, one, two)
        known = self.emitter.locals[temp.var]
        self.emitter.locals[temp.var] = replace(known, domain=self._domain(type_, one, two))
        self.emit(ir.Assign(temp, self.coerce(two, type_, node).expr))
        self.emitter.goto(done)
        self.emitter.place(middle)
        self.emit(ir.Assign(temp, self.coerce(one, type_, node).expr))
        self.emitter.goto(done)
        self.emitter.place(done)
        return Op(temp, type_)

    def _domain(self, type_: ScalarType, *values: Op) -> ir.Domain:
        """What a temporary holds that gets one of some values."""
        domain = self.context.domain(type_)
        if isinstance(type_, IntType):
            constants = [type_.ctype.wrap(value.expr.value) for value in values
                         if isinstance(value.expr, ir.Const)]
            domain = replace(domain, low=min([domain.low, *constants]),
                             high=max([domain.high, *constants]))
        return domain

    # -------------------------------------------- what the statements' layer adds

    def call(self, node: ast.Call) -> Value:
        raise NotImplementedError

    def inline(
        self, function: Function, node: ast.Call, targets: tuple[Label, Label] | None = None
    ) -> Value:
        raise NotImplementedError

    def primitive(self, name: str) -> FunctionValue | None:
        raise NotImplementedError


def header(statement: ast.stmt) -> str:
    """A statement's first line as source text."""
    match statement:
        case ast.If(test):
            return f"if {ast.unparse(test)}"
        case ast.While(test):
            return f"while {ast.unparse(test)}"
        case ast.For(target, iterator):
            return f"for {ast.unparse(target)} in {ast.unparse(iterator)}"
        case ast.AnnAssign(target, _, ast.expr() as value):
            return f"{ast.unparse(target)} = {ast.unparse(value)}"
    return ast.unparse(statement)


def evaluate_constant(context: Context, module: Module, node: ast.expr) -> int:
    """The value of a constant expression at module level.  Raises ModelError otherwise."""
    from .calls import Calls

    lowering = Calls(context, None, "pure")
    lowering.folding = True
    frame = Frame(module, None, {}, (), ())
    frame.statement = ast.copy_location(ast.Pass(), node)
    lowering.frames.append(frame)
    value = lowering.lower(node)
    if isinstance(value, Op) and isinstance(value.expr, ir.Const):
        return value.expr.value
    raise module.error(node, f"{ast.unparse(node)} is not a constant")


__all__ = ["Callable", "Expressions", "Frame", "Mode", "Nothing", "ScalarPlace", "StructType",
           "Type", "evaluate_constant", "header"]
