"""Lowering calls: the words of the prelude, methods of lists and arrays, inlined routines."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from . import fold, ir
from .emit import Label
from .expressions import Expressions, Frame, Mode
from .source import PRIMITIVES, Function
from .types import (
    BOOL,
    INT,
    LITERAL,
    SCALARS,
    VOID,
    ArrayType,
    FlagsType,
    IntType,
    ListType,
    RefType,
    StructType,
    TupleType,
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

_WRITES_NOTHING = Nothing()


@functools.cache
def assigned_names(function: ast.FunctionDef) -> dict[str, int]:
    """How often each name is bound in a routine's body."""
    counts: dict[str, int] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            counts[node.id] = counts.get(node.id, 0) + 1
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            counts[node.target.id] = counts.get(node.target.id, 0) + 1
    return counts


class Calls(Expressions):
    """Adds calls to the expressions."""

    def call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        target = self.lower(node.func)
        if isinstance(target, Word):
            primitive = self.primitive(target.name)
            if primitive is None:
                return self._word(node, target.name)
            target = primitive
        if isinstance(target, FunctionValue):
            return self.inline(target.function, node)
        if isinstance(target, ClassValue):
            return self._flag_set(node, target)
        raise self.error(node, f"{ast.unparse(node.func)} cannot be called")

    def _flag_set(self, node: ast.Call, target: ClassValue) -> Value:
        """``PG(0)``: the empty set of flags (or a set given as a number)."""
        (argument,) = self._arguments(node, 1, 1)
        value = self.scalar(argument)
        match target.type, value.expr:
            case FlagsType() as flags, ir.Const(bits) if 0 <= bits <= flags.all_bits:
                return Op(value.expr, flags)
        raise self.error(node, f"{ast.unparse(node)}: a constant set of flags is possible here")

    def primitive(self, name: str) -> FunctionValue | None:
        module = self.context.source.modules.get(PRIMITIVES)
        symbol = module.symbols.get(name) if module else None
        return FunctionValue(symbol) if isinstance(symbol, Function) else None

    # -------------------------------------------------------------------- words

    def _word(self, node: ast.Call, name: str) -> Value:
        handler = getattr(self, f"_word_{name.strip('_')}", None)
        if handler is None:
            raise self.error(node, f"{name} cannot be called here")
        result: Value = handler(node)
        return result

    def _arguments(self, node: ast.Call, least: int, most: int) -> list[ast.expr]:
        if node.keywords or not least <= len(node.args) <= most:
            name = ast.unparse(node.func)
            raise self.error(node, f"{name}() takes {least} to {most} plain arguments"
                             if least != most else f"{name}() takes {least} plain arguments")
        return node.args

    def _text(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        raise self.error(node, "a text in quotes is expected here")

    def _word_me(self, node: ast.Call) -> Value:
        self._arguments(node, 0, 0)
        if self.thread is None:
            raise self.error(node, "me() has no meaning outside a thread")
        return Op(fold.const(self.thread), RefType("Thread"))

    def _word_nthreads(self, node: ast.Call) -> Value:
        self._arguments(node, 0, 0)
        return Op(fold.const(self.context.nthreads), LITERAL)

    def _word_fixed(self, node: ast.Call) -> Value:
        (name,) = self._arguments(node, 1, 1)
        fix = self._text(name)
        self.context.fixes_used.add(fix)
        return Op(fold.const(int(fix in self.context.fixes), ir.BOOL), BOOL)

    def _word_cast(self, node: ast.Call) -> Value:
        target, value = self._arguments(node, 2, 2)
        type_, _ = self.context.resolve_type(self.frame.module, target)
        op = self.scalar(value)
        if not isinstance(type_, SCALARS):
            raise self.error(node, f"cannot cast to {describe(type_)}")
        if isinstance(op.type, RefType) and isinstance(type_, RefType | IntType):
            return Op(op.expr, type_)
        return self.coerce(op, type_, node)

    def _extremum(self, node: ast.Call, op: str) -> Value:
        one, two = (self.scalar(argument) for argument in self._arguments(node, 2, 2))
        return self.arithmetic(node, op, one, two)

    def _word_min(self, node: ast.Call) -> Value:
        return self._extremum(node, "min")

    def _word_max(self, node: ast.Call) -> Value:
        return self._extremum(node, "max")

    def _word_bool(self, node: ast.Call) -> Value:
        (value,) = self._arguments(node, 1, 1)
        return Op(self.condition(value), BOOL)

    def _word_int(self, node: ast.Call) -> Value:
        (value,) = self._arguments(node, 1, 1)
        op = self.scalar(value)
        return Op(op.expr, LITERAL if isinstance(op.expr, ir.Const) else INT)

    def _word_any(self, node: ast.Call) -> Value:
        return self._quantifier(node, "or", 0)

    def _word_all(self, node: ast.Call) -> Value:
        return self._quantifier(node, "and", 1)

    def _word_sum(self, node: ast.Call) -> Value:
        total: ir.Expr = fold.const(0)
        for condition, op in self._instances(node):
            value = fold.cond(condition, fold.convert(op.expr, ctype_of(op.type), ir.INT32),
                              fold.const(0))
            total = fold.binary("+", total, value, ir.INT32)
        return Op(total, INT)

    def _quantifier(self, node: ast.Call, joiner: str, neutral: int) -> Value:
        result: ir.Expr = fold.const(neutral, ir.BOOL)
        for condition, op in self._instances(node):
            value = fold.truth(op.expr)
            if joiner == "and":
                value = fold.binary("or", fold.negate(condition), value, ir.BOOL)
            else:
                value = fold.binary("and", condition, value, ir.BOOL)
            result = fold.binary(joiner, result, value, ir.BOOL)
        return Op(result, BOOL)

    def _instances(self, node: ast.Call) -> Iterator[tuple[ir.Expr, Op]]:
        """The generator's condition and value for each element it runs over."""
        match self._arguments(node, 1, 1):
            case [ast.GeneratorExp(element, generators)]:
                pass
            case _:
                raise self.error(node, "any, all and sum take one generator: "
                                       "all(... for x in pool)")
        if self.mode == "step":
            raise self.error(node, "a quantifier is no single step: write a loop, or put it "
                                   "into a @pure function")
        with self.in_mode("pure"):
            yield from self._bindings(node, generators, fold.const(1, ir.BOOL), element)

    def _bindings(
        self, node: ast.Call, generators: list[ast.comprehension], given: ir.Expr,
        element: ast.expr,
    ) -> Iterator[tuple[ir.Expr, Op]]:
        """Each choice of the generators' variables, outermost first."""
        if not generators:
            yield given, self.scalar(element)
            return
        first = generators[0]
        if not isinstance(first.target, ast.Name):
            raise self.error(node, "a generator binds one name")
        name = first.target.id
        saved = self.frame.env.get(name)
        for binding in self.elements(first.iter):
            self.frame.env[name] = binding
            condition = given
            for test in first.ifs:
                condition = fold.binary("and", condition, self.condition(test), ir.BOOL)
            if not fold.is_const(condition, 0):
                yield from self._bindings(node, generators[1:], condition, element)
        if saved is None:
            self.frame.env.pop(name, None)
        else:
            self.frame.env[name] = saved

    def elements(self, source: ast.expr) -> list[Op]:
        """What a loop with constant bounds runs over."""
        match source:
            case ast.Call(ast.Name("range"), arguments):
                bounds = [self.scalar(argument).expr for argument in arguments]
                if len(bounds) == 1:
                    bounds.insert(0, fold.const(0))
                low, high = bounds
                if not (isinstance(low, ir.Const) and isinstance(high, ir.Const)):
                    raise self.error(source, "the bounds must be constants here")
                return [Op(fold.const(i), LITERAL) for i in range(low.value, high.value)]
        value = self.lower(source)
        if isinstance(value, PoolValue):
            info = self.context.pools[value.name]
            return [Op(fold.const(i), RefType(info.record)) for i in range(info.count)]
        if isinstance(value, ConstTuple):
            return [Op(fold.const(i), LITERAL) for i in value.items]
        raise self.error(source, "a loop runs over range(...) or over a pool")

    # ------------------------------------------------------- words with effects

    def _word_choose(self, node: ast.Call) -> Value:
        count, label = self._arguments(node, 2, 2)
        number = self.scalar(count)
        high = number.expr.value - 1 if isinstance(number.expr, ir.Const) else 15
        domain = ir.Domain("int", 0, max(high, 0))
        target = ir.Local(self.emitter.local("$choice", domain))
        self.emit(ir.Choose(target, number.expr, self._text(label)))
        return Op(target, INT)

    def _word_choose_bool(self, node: ast.Call) -> Value:
        (label,) = self._arguments(node, 1, 1)
        target = ir.Local(self.emitter.local("$choice", self.context.domain(BOOL)))
        self.emit(ir.Choose(target, fold.const(2), self._text(label)))
        return Op(target, BOOL)

    def _word_kassert(self, node: ast.Call) -> Value:
        (condition,) = self._arguments(node, 1, 1)
        then, failed = Label(), Label()
        self.branch(condition, then, failed)
        if failed.edges:
            self.emitter.place(failed)
            self.emit(ir.Check(fold.const(0), "kassert", ast.unparse(condition)))
            self.emitter.pending = []
        self.emitter.place(then)
        return _WRITES_NOTHING

    def _word_panic(self, node: ast.Call) -> Value:
        (message,) = self._arguments(node, 1, 1)
        self.emit(ir.Check(fold.const(0), "panic", self._text(message)))
        self.emitter.pending = []
        return _WRITES_NOTHING

    def _word_check(self, node: ast.Call) -> Value:
        arguments = self._arguments(node, 2, 3)
        with self.in_mode("pure"):
            test = self.condition(arguments[1])
        message = self._text(arguments[2]) if len(arguments) > 2 else ast.unparse(arguments[1])
        name = self._text(arguments[0])
        if not fold.is_const(test, 1) and self.context.checked(name):
            with self.emitter.quiet():
                self.emit(ir.Check(test, name, message))
        return _WRITES_NOTHING

    def _wait(self, node: ast.Call, rest: bool) -> Value:
        condition, reason = self._arguments(node, 2, 2)
        with self.in_mode("pure"):
            guard = self.condition(condition)
        if not fold.is_const(guard, 1):
            self.emit(ir.Wait(guard, self._text(reason), rest))
        return _WRITES_NOTHING

    def _word_wait_until(self, node: ast.Call) -> Value:
        return self._wait(node, False)

    def _word_rest_until(self, node: ast.Call) -> Value:
        return self._wait(node, True)

    def _word_allocate(self, node: ast.Call) -> Value:
        (argument,) = self._arguments(node, 1, 1)
        pool = self.lower(argument)
        info = self.context.pools[pool.name] if isinstance(pool, PoolValue) else None
        if info is None or not info.live:
            raise self.error(node, "allocate() wants a pool declared with live=")
        live = self.context.var_ids[f"{info.name}.{info.live}"]
        result = self.temp(RefType(info.record), "$new")
        done = Label()
        with self.emitter.region():
            for i in range(info.count):
                taken, free = Label(), Label()
                self.emitter.branch(ir.Shared(live, fold.const(i)), self.where(), taken, free)
                self.emitter.place(free)
                self.emit(ir.Assign(ir.Shared(live, fold.const(i)), fold.const(1)))
                self.emit(ir.Assign(result, fold.const(i)))
                self.emitter.goto(done)
                self.emitter.place(taken)
            self.emit(ir.Assign(result, fold.const(info.count)))
            self.emitter.goto(done)
            self.emitter.place(done)
        return Op(result, RefType(info.record))

    def _word_release(self, node: ast.Call) -> Value:
        (argument,) = self._arguments(node, 1, 1)
        entry = self.stable(self.scalar(argument))
        if not isinstance(entry.type, RefType):
            raise self.error(node, "release() wants an allocated entry")
        info = self.context.pool(entry.type.record)
        if not info.live:
            raise self.error(node, f"{info.name} was not declared with live=")
        live = ir.Shared(self.context.var_ids[f"{info.name}.{info.live}"], entry.expr)
        with self.emitter.region():
            self.emit_tests(self._alive(info.name, entry.expr, False))
            self.emit(ir.Assign(live, fold.const(0)))
        return _WRITES_NOTHING

    # --------------------------------------------- words only primitives may use

    def _word_effect(self, node: ast.Call) -> Value:
        kind, place, mode = self._arguments(node, 3, 3)
        lock = self.lower(place)
        var: int | None = None
        index: ir.Expr = fold.const(0)
        match lock:
            case StructPlace(prefix, index_, "Mutex"):
                var, index = self.context.var_ids[f"{prefix}.owner"], index_
            case StructPlace(prefix, index_, "RWLock"):
                var, index = self.context.var_ids[f"{prefix}.writer"], index_
        element = index.value if isinstance(index, ir.Const) else None
        self.emitter.sync = ir.Sync(
            self._text(kind), var, element, self._text(mode)  # type: ignore[arg-type]
        )
        return _WRITES_NOTHING

    def _word_queue_id(self, node: ast.Call) -> Value:
        (argument,) = self._arguments(node, 1, 1)
        place = self.lower(argument)
        if not (isinstance(place, StructPlace) and place.struct == "WaitQueue"):
            raise self.error(node, "a WaitQueue is expected here")
        base = fold.const(self.context.queues[place.prefix])
        return Op(fold.binary("+", base, place.index, ir.INT32), INT)

    def _word_marker(self, node: ast.Call) -> Value:
        pool, which = self._arguments(node, 2, 2)
        value, number = self.lower(pool), self.scalar(which)
        if not (isinstance(value, PoolValue) and isinstance(number.expr, ir.Const)):
            raise self.error(node, "marker() wants a pool and a number")
        info = self.context.pools[value.name]
        if not 0 <= number.expr.value < info.markers or self.thread is None:
            raise self.error(node, f"pool {info.name} has {info.markers} markers a thread")
        index = info.marker(self.thread, number.expr.value)
        return Op(fold.const(index), RefType(info.record, marker=True))

    # ------------------------------------------------------------------ methods

    def _method(self, node: ast.Call, func: ast.Attribute) -> Value:
        place = self.lower(func.value)
        if isinstance(place, ListPlace):
            return self._list_method(node, func.attr, place)
        if isinstance(place, ArrayPlace) and func.attr == "fill":
            (value,) = self._arguments(node, 1, 1)
            return self._fill(node, place, self.scalar(value))
        raise self.error(node, f"{ast.unparse(func.value)} has no method {func.attr}")

    def _fill(self, node: ast.Call, array: ArrayPlace, value: Op) -> Value:
        if not isinstance(array.offset, ir.Const):
            raise self.error(node, "fill() wants a constant start: write a loop")
        for i in range(array.offset.value, array.type.length):
            element = ArrayPlace(array.var, array.local, array.base, fold.const(0), array.type)
            self.store(self._element(element, Op(fold.const(i), LITERAL), node), value, node)
        return _WRITES_NOTHING

    def _list_method(self, node: ast.Call, name: str, place: ListPlace) -> Value:
        counts = {"first": 0, "next": 1, "insert_head": 1, "insert_tail": 1,
                  "insert_before": 2, "insert_after": 2, "remove": 1}
        if name not in counts:
            raise self.error(node, f"a list has no method {name}")
        arguments = [
            self.stable(self.coerce(self.scalar(a), place.type.element, node))
            for a in self._arguments(node, counts[name], counts[name])
        ]
        ref, element = place.ref, place.type.element
        if name in ("first", "next"):
            expr: ir.Expr = (
                ir.Shared(ref.var, ref.base) if name == "first"
                else ir.ListNext(ref, arguments[0].expr)
            )
            if self.mode == "pure":
                return Op(expr, element)
            temp = self.temp(element)
            self.emit(ir.Assign(temp, expr))
            return Op(temp, element)
        if name == "remove":
            self.emit(ir.ListRemove(ref, arguments[0].expr))
        else:
            where = name.removeprefix("insert_")
            anchor = arguments[0].expr if len(arguments) == 2 else None
            self.emit(ir.ListInsert(ref, where, arguments[-1].expr, anchor))  # type: ignore[arg-type]
        return _WRITES_NOTHING

    # ----------------------------------------------------------------- inlining

    def inline(
        self, function: Function, node: ast.Call, targets: tuple[Label, Label] | None = None
    ) -> Value:
        """Inline a call.  With ``targets``, constant results go straight to one of them."""
        if function.kind in ("invariant", "witness", "setup"):
            raise self.error(node, f"{function.name} is a {function.kind} and cannot be called")
        if any(frame.function is function for frame in self.frames):
            raise self.error(node, f"{function.name} calls itself: the call graph has no cycles")
        if self.mode == "pure" and function.kind != "pure":
            raise self.error(node, f"{function.name} is no @pure function")
        if self.mode == "atomic" and function.kind in ("routine", "actor"):
            raise self.error(node, f"an @atomic routine cannot call {function.name}, which has "
                                   "steps of its own")
        values = self._bind_arguments(function, node)
        frame = self.enter(function, values)
        if function.kind == "pure":
            return self._inline_pure(function, frame)
        mode: Mode = (
            "atomic" if function.kind == "atomic" or self.mode == "atomic" else "step"
        )
        with self.in_mode(mode):
            if mode == "atomic":
                with self.emitter.region():
                    value = self.run(function, frame, targets)
                if self.emitter.sync is not None:
                    raise self.error(node, f"{function.name}: the effect of a primitive belongs "
                                           "to the step behind it, and there is none")
                return value
            return self.run(function, frame, targets)

    def enter(self, function: Function, values: dict[str, Value]) -> Frame:
        """A frame for an activation, parameters bound."""
        stack: tuple[str, ...] = (function.name,)
        lines: tuple[int, ...] = ()
        if self.frames:
            caller = self.frame
            cited = caller.module.cited(caller.statement) if caller.statement else ()
            lines = cited or caller.lines
            mark = f"{function.name}@{cited[0]}" if cited else function.name
            stack = (*caller.stack, mark)
        counts = assigned_names(function.node)
        frame = Frame(function.module, function, {}, stack, lines,
                      assigned=frozenset(name for name, count in counts.items() if count > 1))
        for name, value in values.items():
            if name in counts and isinstance(value, Op):
                slot = self._slot(f"{function.name}.{name}", value)
                self.emit(ir.Assign(ir.Local(slot.var), value.expr))
                frame.env[name] = slot
            else:
                frame.env[name] = value
        return frame

    def _slot(self, name: str, value: Op) -> Slot:
        return Slot(self.emitter.local(name, self.context.domain(value.type)), value.type)

    def _bind_arguments(self, function: Function, node: ast.Call) -> dict[str, Value]:
        arguments = function.node.args
        given: dict[str, ast.expr] = {}
        names = [argument.arg for argument in arguments.args]
        if len(node.args) > len(names):
            raise self.error(node, f"{function.name} takes {len(names)} arguments")
        given.update(zip(names, node.args, strict=False))
        for keyword in node.keywords:
            if keyword.arg not in names or keyword.arg in given:
                raise self.error(node, f"{function.name}: bad argument {keyword.arg}")
            given[keyword.arg] = keyword.value
        defaults = dict(zip(names[len(names) - len(arguments.defaults):], arguments.defaults,
                            strict=True))
        bound: dict[str, Value] = {}
        for argument in arguments.args:
            source = given.get(argument.arg, defaults.get(argument.arg))
            if source is None:
                raise self.error(node, f"{function.name}: argument {argument.arg} is missing")
            type_ = self.parameter_type(function, argument)
            bound[argument.arg] = self._argument(function, argument.arg, type_, source)
        return bound

    def parameter_type(self, function: Function, argument: ast.arg) -> Type:
        if argument.annotation is None:
            raise function.module.error(argument, f"{function.name}: parameter {argument.arg} "
                                                  "needs its type")
        match argument.annotation:
            case ast.Subscript(ast.Name("tuple"), ast.Tuple([_, ast.Constant(value)])) if (
                value is Ellipsis
            ):
                return TupleType(())
        return self.context.resolve_type(function.module, argument.annotation)[0]

    def _argument(self, function: Function, name: str, type_: Type, source: ast.expr) -> Value:
        value = self.lower(source)
        return self.fit(value, type_, source, f"{function.name}.{name}")

    def fit(self, value: Value, type_: Type, node: ast.expr, name: str) -> Value:
        """Check that a value can be passed as a parameter of this type."""
        match value, type_:
            case (Op(), _) if isinstance(type_, SCALARS):
                return self.stable(self.coerce(value, type_, node), name)
            case ArrayPlace(), ArrayType(element):
                if value.type.element == element or describe(value.type.element) == describe(
                    element
                ):
                    return value
            case ListPlace(), ListType():
                return value
            case StructPlace(_, _, struct), StructType(wanted) if struct == wanted:
                return value
            case ConstTuple(), TupleType():
                return value
        kind = describe(value.type) if isinstance(value, Op | ArrayPlace) else "something else"
        raise self.error(node, f"{name} wants {describe(type_)}, got {kind}")

    def _inline_pure(self, function: Function, frame: Frame) -> Value:
        body = [s for s in function.node.body
                if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        match body:
            case [ast.Return(ast.expr() as expression)]:
                pass
            case _:
                raise function.module.error(function.node, f"{function.name}: a @pure function is "
                                                           "one return of an expression")
        type_ = self.return_type(function)
        frame.statement = body[0]
        self.frames.append(frame)
        try:
            with self.in_mode("pure"):
                value = self.lower(expression)
                if isinstance(value, Op) and isinstance(type_, SCALARS):
                    value = self.coerce(value, type_, expression)
        finally:
            self.frames.pop()
        if isinstance(value, Op) and self.mode == "step" and fold.has_shared(value.expr):
            return self.stable(value)
        return value

    def return_type(self, function: Function) -> Type:
        if function.node.returns is None:
            raise function.module.error(function.node, f"{function.name} needs a result type "
                                                       "(-> None if it returns nothing)")
        return self.context.resolve_type(function.module, function.node.returns)[0]

    def run(
        self, function: Function, frame: Frame, targets: tuple[Label, Label] | None
    ) -> Value:
        raise NotImplementedError


__all__ = ["VOID", "BOOL", "Calls", "TupleValue", "assigned_names"]
