"""Lowering statements: routines become nodes of the thread's graph."""

from __future__ import annotations

import ast
import functools
from dataclasses import replace

from . import fold, ir
from .calls import Calls, assigned_names
from .emit import Label
from .expressions import Frame, ScalarPlace
from .source import Function
from .types import (
    INT,
    LITERAL,
    SCALARS,
    ArrayType,
    IntType,
    RefType,
    TupleType,
    VoidType,
    describe,
)
from .values import (
    ArrayPlace,
    ConstTuple,
    ListPlace,
    Nothing,
    Op,
    PoolValue,
    Slot,
    StructPlace,
    TupleValue,
    Value,
)

UNROLL = 16  # an atomic loop with constant bounds is unrolled up to this many rounds


class Statements(Calls):
    """The whole lowering: expressions, calls and statements."""

    def run(
        self, function: Function, frame: Frame, targets: tuple[Label, Label] | None
    ) -> Value:
        """Lower a routine's body at the current point; the value of the call."""
        frame.targets = targets
        type_ = self.return_type(function)
        body = function.node.body
        returns = _returns(function.node)
        frame.direct = len(returns) == 1 and body[-1] is returns[0]
        if not frame.direct and not isinstance(type_, VoidType):
            items = type_.items if isinstance(type_, TupleType) else (type_,)
            frame.result = tuple(self._result_slot(function, item) for item in items)
        self.frames.append(frame)
        try:
            for statement in body:
                self.statement(statement)
            if self.emitter.reachable and not isinstance(type_, VoidType) and not frame.direct:
                last = body[-1]
                if targets is None or not isinstance(last, ast.Return):
                    raise function.module.error(last, f"{function.name} may end without a return")
        finally:
            self.frames.pop()
        self.emitter.place(frame.exit)
        return self._result(frame, type_)

    def _result_slot(self, function: Function, type_: object) -> Slot:
        if not isinstance(type_, SCALARS):
            raise function.module.error(function.node, f"{function.name}: only scalars are "
                                                       "returned")
        var = self.emitter.local(f"{function.name}.return", self.context.domain(type_))
        return Slot(var, type_)

    def _result(self, frame: Frame, type_: object) -> Value:
        if isinstance(type_, VoidType):
            return Nothing()
        if frame.direct:
            return frame.returned[0] if frame.returned else self._never(type_)
        if frame.returned and all(
            isinstance(v, Op) and isinstance(v.expr, ir.Const) and v == frame.returned[0]
            for v in frame.returned
        ):
            return frame.returned[0]
        values = [Op(ir.Local(slot.var), slot.type) for slot in frame.result]
        return values[0] if not isinstance(type_, TupleType) else TupleValue(tuple(values))

    def _never(self, type_: object) -> Value:
        """The value of a call that does not return (its code is unreachable)."""
        if isinstance(type_, TupleType):
            return TupleValue(tuple(self._never(item) for item in type_.items))
        assert isinstance(type_, SCALARS)
        return Op(fold.const(self.context.domain(type_).low), type_)

    # --------------------------------------------------------------- statements

    def statement(self, node: ast.stmt) -> None:
        if not self.emitter.reachable:
            return
        frame = self.frame
        saved, frame.statement = frame.statement, node
        try:
            if frame.function is not None and frame.function.seed is not None:
                self._mark(node)
            self._statement(node)
        finally:
            frame.statement = saved

    def _mark(self, node: ast.stmt) -> None:
        """Leave a mark where a statement may fold to nothing, so that coverage sees it."""
        match node:
            case ast.If() | ast.While() | ast.AnnAssign() | ast.Return() | ast.Break():
                self.emitter.emit(ir.Nop(True), self.where())
            case ast.Continue() | ast.For() | ast.Expr() | ast.Pass():
                self.emitter.emit(ir.Nop(True), self.where())

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Pass() | ast.Expr(ast.Constant(str())):
                pass
            case ast.Expr(ast.Call() as call):
                self.call(call)
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                self._bind(node, name, annotation, value)
            case ast.AnnAssign():
                raise self.error(node, "bind it with a value: NAME: TYPE = VALUE")
            case ast.Assign([ast.Tuple(targets)], value):
                self._unpack(node, targets, value)
            case ast.Assign([target], value):
                self._assign(node, target, value)
            case ast.AugAssign(target, op, value):
                self._augment(node, target, op, value)
            case ast.If(test, body, orelse):
                self._if(test, body, orelse)
            case ast.While(test, body, []):
                self._while(test, body)
            case ast.For(ast.Name(name), source, body, []):
                self._for(node, name, source, body)
            case ast.Break() | ast.Continue():
                self._leave(node)
            case ast.Return(value):
                self._return(node, value)
            case _:
                raise self.error(node, f"{type(node).__name__} is not in the language")

    def _bind(self, node: ast.stmt, name: str, annotation: ast.expr, value: ast.expr) -> None:
        type_, _ = self.context.resolve_type(self.frame.module, annotation)
        frame = self.frame
        if isinstance(type_, ArrayType):
            self._bind_array(node, name, type_, value)
            return
        if not isinstance(type_, SCALARS):
            place = self.lower(value)
            if not isinstance(place, StructPlace | ListPlace) or name in frame.assigned:
                raise self.error(node, f"a local of type {describe(type_)} names a field, once")
            frame.env[name] = place
            return
        op = self.coerce(self.scalar(value), type_, node)
        typed = Op(op.expr, type_)
        if name not in frame.assigned and isinstance(op.expr, ir.Const):
            frame.env[name] = typed
            return
        self._set_local(name, typed)

    def _set_local(self, name: str, op: Op) -> None:
        frame = self.frame
        slot = frame.env.get(name)
        if not isinstance(slot, Slot):
            routine = frame.function.name if frame.function else ""
            slot = self._slot(f"{routine}.{name}", op)
            frame.env[name] = slot
        self.emit(ir.Assign(ir.Local(slot.var), op.expr))

    def _bind_array(
        self, node: ast.stmt, name: str, type_: ArrayType, value: ast.expr
    ) -> None:
        match value:
            case ast.Call(ast.Name("array"), [element]):
                pass
            case _:
                place = self.lower(value)
                if not isinstance(place, ArrayPlace):
                    raise self.error(node, "a local array is bound by array(value)")
                self.frame.env[name] = place
                return
        op = self.stable(self.coerce(self.scalar(element), type_.element, node))
        known = self.frame.env.get(name)
        if isinstance(known, ArrayPlace):
            var = known.var
        else:
            routine = self.frame.function.name if self.frame.function else ""
            domain = self.context.domain(type_.element)
            var = self.emitter.local(f"{routine}.{name}", domain, type_.length, True)
            self.frame.env[name] = ArrayPlace(var, True, fold.const(0), fold.const(0), type_)
        for i in range(type_.length):
            self.emit(ir.Assign(ir.Local(var, fold.const(i)), op.expr))

    def _unpack(self, node: ast.stmt, targets: list[ast.expr], value: ast.expr) -> None:
        result = self.lower(value)
        if not isinstance(result, TupleValue) or len(result.items) != len(targets):
            raise self.error(node, f"{len(targets)} results are expected here")
        for target, item in zip(targets, result.items, strict=True):
            assert isinstance(item, Op)
            if isinstance(target, ast.Name) and target.id not in self.frame.env:
                type_ = INT if item.type == LITERAL else item.type
                self._set_local(target.id, Op(item.expr, type_))
            else:
                self._store(node, target, item)

    def _assign(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._store(node, target, self.scalar(value))
            return
        place = self.place(target)
        if not isinstance(place, ScalarPlace):
            raise self.error(node, f"{ast.unparse(target)} cannot be assigned to")
        if self.is_ghost(place) and not _has_call(value):
            with self.in_mode("pure"):
                op = self.scalar(value)
            with self.emitter.quiet():
                self.store(place, op, node)
            return
        op = self.scalar(value)
        self.store(place, op, node)

    def _store(self, node: ast.stmt, target: ast.expr, op: Op) -> None:
        if isinstance(target, ast.Name):
            slot = self.frame.env.get(target.id)
            if not isinstance(slot, Slot):
                raise self.error(node, f"{target.id}: the first binding needs the type: "
                                       f"{target.id}: TYPE = ...")
            self.emit(ir.Assign(ir.Local(slot.var), self.coerce(op, slot.type, node).expr))
            return
        place = self.place(target)
        if not isinstance(place, ScalarPlace):
            raise self.error(node, f"{ast.unparse(target)} cannot be assigned to")
        self.store(place, op, node)

    def _augment(
        self, node: ast.stmt, target: ast.expr, op: ast.operator, value: ast.expr
    ) -> None:
        if isinstance(target, ast.Name):
            slot = self.frame.env.get(target.id)
            if not isinstance(slot, Slot):
                raise self.error(node, f"{target.id} is not a variable here")
            current = Op(ir.Local(slot.var), slot.type)
            result = self._binary(node, current, type(op), self.scalar(value))
            self.emit(ir.Assign(ir.Local(slot.var), self.coerce(result, slot.type, node).expr))
            return
        place = self.place(target)
        if not isinstance(place, ScalarPlace):
            raise self.error(node, f"{ast.unparse(target)} cannot be assigned to")
        if self.is_ghost(place):
            with self.emitter.quiet(), self.in_mode("atomic"):
                result = self._binary(node, self.read(place), type(op), self.scalar(value))
                self.store(place, result, node)
            return
        operand = self.stable(self.scalar(value)) if self.mode == "step" else self.scalar(value)
        loaded = self.read(place)
        result = self._binary(node, loaded, type(op), operand)
        if self.mode == "step" and place.no_lost_update and self.context.checked(
            place.no_lost_update
        ):
            unchanged = fold.binary("==", place.target, loaded.expr, ir.BOOL)
            message = f"an update of {ast.unparse(target)} by another thread is overwritten"
            test = (unchanged, place.no_lost_update, message)
            place = replace(place, tests=(*place.tests, test))
        self.store(place, result, node)

    # -------------------------------------------------------------- control flow

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        then, other, done = Label(), Label(), Label()
        self.branch(test, then, other)
        self.emitter.place(then)
        self.block(body)
        self.emitter.goto(done)
        self.emitter.place(other)
        self.block(orelse)
        self.emitter.goto(done)
        self.emitter.place(done)

    def _while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        again, inside, done = Label(), Label(), Label()
        self.emitter.place_loop(again, self.where())
        self.branch(test, inside, done)
        self.emitter.place(inside)
        self.frame.loops.append((done, again))
        self.block(body)
        self.frame.loops.pop()
        self.emitter.goto(again)
        self.emitter.place(done)

    def _for(self, node: ast.stmt, name: str, source: ast.expr, body: list[ast.stmt]) -> None:
        match source:
            case ast.Call(ast.Name("range"), arguments) if 1 <= len(arguments) <= 2:
                bounds = [self.scalar(argument) for argument in arguments]
            case _:
                value = self.lower(source)
                if isinstance(value, ConstTuple):
                    self._unrolled(name, self.elements(source), body)
                    return
                if not isinstance(value, PoolValue):
                    raise self.error(node, "a loop runs over range(a, b) or over a pool")
                info = self.context.pools[value.name]
                bounds = [Op(fold.const(info.count), RefType(info.record))]
        if len(bounds) == 1:
            bounds.insert(0, Op(fold.const(0), bounds[0].type))
        low, high = bounds
        constant = isinstance(low.expr, ir.Const) and isinstance(high.expr, ir.Const)
        if self.mode == "atomic" and constant:
            assert isinstance(low.expr, ir.Const) and isinstance(high.expr, ir.Const)
            if high.expr.value - low.expr.value <= UNROLL:
                self._unrolled(name, self.elements(source), body)
                return
        self._counted(node, name, low, high, body)

    def _unrolled(self, name: str, items: list[Op], body: list[ast.stmt]) -> None:
        done = Label()
        for item in items:
            onward = Label()
            self.frame.env[name] = item
            self.frame.loops.append((done, onward))
            self.block(body)
            self.frame.loops.pop()
            self.emitter.place(onward)
        self.emitter.place(done)

    def _counted(
        self, node: ast.stmt, name: str, low: Op, high: Op, body: list[ast.stmt]
    ) -> None:
        reference = isinstance(high.type, RefType)
        kind = high.type if reference else INT
        for bound in (low, high):
            if not reference and bound.type != LITERAL and not isinstance(bound.type, IntType):
                raise self.error(node, "range() wants numbers")
        top = self.stable(high)
        if isinstance(top.expr, ir.Local) and not reference:
            top = self._frozen(top, body)
        again, inside, onward, done = Label(), Label(), Label(), Label()
        self._set_local(name, Op(low.expr, kind))
        counter = self.frame.env[name]
        assert isinstance(counter, Slot)
        self.emitter.place_loop(again, self.where())
        test = fold.binary("<", ir.Local(counter.var), top.expr, ir.BOOL)
        self.emitter.branch(test, self.where(), inside, done)
        self.emitter.place(inside)
        self.frame.loops.append((done, onward))
        self.block(body)
        self.frame.loops.pop()
        self.emitter.place(onward)
        step = fold.binary("+", ir.Local(counter.var), fold.const(1), ir.INT32)
        self.emit_if_reachable(ir.Assign(ir.Local(counter.var), step))
        self.emitter.goto(again)
        self.emitter.place(done)

    def emit_if_reachable(self, action: ir.Action) -> None:
        if self.emitter.reachable:
            self.emit(action)

    def _frozen(self, bound: Op, body: list[ast.stmt]) -> Op:
        """The bound in a variable that the loop's body does not assign."""
        function = self.frame.function
        if function is None or not isinstance(bound.expr, ir.Local):
            return bound
        names = {n for n, v in self.frame.env.items()
                 if isinstance(v, Slot) and v.var == bound.expr.var}
        stored = {n.id for s in body for n in ast.walk(s)
                  if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if not names & stored:
            return bound
        temp = self.temp(bound.type)
        self.emit(ir.Assign(temp, bound.expr))
        return Op(temp, bound.type)

    def _leave(self, node: ast.stmt) -> None:
        if not self.frame.loops:
            raise self.error(node, "outside a loop")
        done, onward = self.frame.loops[-1]
        self.emitter.goto(done if isinstance(node, ast.Break) else onward)

    def _return(self, node: ast.Return, value: ast.expr | None) -> None:
        frame = self.frame
        assert frame.function is not None
        type_ = self.return_type(frame.function)
        if isinstance(type_, VoidType):
            if value is not None:
                raise self.error(node, f"{frame.function.name} returns nothing")
            self.emitter.goto(frame.exit)
            return
        if value is None:
            raise self.error(node, f"{frame.function.name} returns {describe(type_)}")
        items = list(type_.items) if isinstance(type_, TupleType) else [type_]
        sources = list(value.elts) if isinstance(value, ast.Tuple) else [value]
        if isinstance(type_, TupleType) and not isinstance(value, ast.Tuple):
            result = self.lower(value)
            if not isinstance(result, TupleValue):
                raise self.error(node, f"{len(items)} results are expected here")
            ops = [item for item in result.items if isinstance(item, Op)]
        else:
            ops = [self.scalar(source) for source in sources]
        if len(ops) != len(items):
            raise self.error(node, f"{len(items)} results are expected here")
        typed = [self.coerce(op, item, node)  # type: ignore[arg-type]
                 for op, item in zip(ops, items, strict=True)]
        typed = [Op(op.expr, item)  # type: ignore[arg-type]
                 for op, item in zip(typed, items, strict=True)]
        if frame.targets is not None and isinstance(typed[0].expr, ir.Const):
            self.emitter.goto(frame.targets[0 if typed[0].expr.value else 1])
            return
        if frame.direct:
            stable = [self.stable(op) for op in typed]
            frame.returned.append(
                TupleValue(tuple(stable)) if isinstance(type_, TupleType) else stable[0]
            )
            self.emitter.goto(frame.exit)
            return
        if not isinstance(type_, TupleType):
            frame.returned.append(typed[0])
        else:
            typed = [self.stable(op) for op in typed]
        for slot, op in zip(frame.result, typed, strict=True):
            self.emit(ir.Assign(ir.Local(slot.var), op.expr))
        self.emitter.goto(frame.exit)


@functools.cache
def _returns(function: ast.FunctionDef) -> list[ast.Return]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Return)]


def _has_call(node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Call)
        and not (isinstance(part.func, ast.Name) and part.func.id in ("me", "int", "bool", "cast"))
        for part in ast.walk(node)
    )


__all__ = ["Statements", "assigned_names"]
