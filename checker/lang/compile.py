"""Compiling: a model and a scenario's constants become an :class:`.ir.Program`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from . import fold, ir
from .context import Context, text_of
from .errors import ModelError, SpecError
from .expressions import Frame
from .source import Class, Function, Module, Source
from .statements import Statements
from .types import (
    BOOL,
    INT,
    LITERAL,
    SCALARS,
    ArrayType,
    BoolType,
    EnumType,
    FlagsType,
    IntType,
    ListType,
    RefType,
    ScalarType,
    StructType,
    Type,
    VoidType,
    describe,
)
from .values import (
    ArrayPlace,
    ConstTuple,
    ListPlace,
    Nothing,
    Op,
    Slot,
    StructPlace,
    TupleValue,
    Value,
)  # fmt: skip

INPUT = "input "
"""The labels of choices that a scenario leaves open begin so."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Something that a scenario leaves open: its name in the scenario, and what it may be."""

    name: str
    values: tuple[int | bool | str, ...]

    def __str__(self) -> str:
        return "any of " + ", ".join(
            str(value).lower() if isinstance(value, bool) else str(value) for value in self.values
        )


Argument: TypeAlias = int | bool | str | OneOf | Sequence[int | OneOf] | Sequence[str]


@dataclass(frozen=True, slots=True)
class CallSpec:
    """A call that a scenario makes: the routine's name and constant arguments."""

    routine: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ThreadSpec:
    """A scenario's thread: its name and its program, run in order."""

    name: str
    calls: tuple[CallSpec, ...]
    daemon: bool = False


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """Everything that turns a model into a program.

    ``properties``: names of the invariants and checks that count (None: all; assertions,
    deadlock and misuse of the language's own objects always count).  ``fixes``: names of the
    switches that are on.
    """

    name: str
    threads: tuple[ThreadSpec, ...]
    setup: CallSpec | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)
    fixes: frozenset[str] = frozenset()
    variant: str = ""
    properties: tuple[str, ...] | None = None
    witnesses: tuple[str, ...] = ()


def find(source: Source, kind: str, name: str) -> Function:
    """The function of a kind by name.  Raises SpecError naming the known ones."""
    known = {function.name: function for function in source.functions(kind)}
    if name not in known:
        choices = ", ".join(sorted(known)) or "none"
        raise SpecError(f"unknown {kind} {name!r}: expected one of {choices}")
    return known[name]


def compile_program(source: Source, spec: ProgramSpec) -> ir.Program:
    """Compile.  Raises ModelError (the model's fault) or SpecError (the scenario's)."""
    chosen = None if spec.properties is None else frozenset(spec.properties)
    for name in chosen or ():
        if name not in property_names(source):
            known = ", ".join(property_names(source))
            raise SpecError(f"unknown property {name!r}: expected one of {known}")
    context = Context(source, spec.parameters, spec.fixes, len(spec.threads), chosen)
    unknown = set(spec.parameters) - set(context.parameters)
    if unknown:
        known = ", ".join(sorted(context.parameters))
        raise SpecError(f"unknown parameter {min(unknown)!r}: expected one of {known}")
    threads = [
        _compile_thread(context, index, thread) for index, thread in enumerate(spec.threads)
    ]
    setup_calls = (spec.setup,) if spec.setup else ()
    setup = _compile_calls(context, 0, "setup", setup_calls, "setup", atomic=True)
    invariants = [
        _compile_invariant(context, function)
        for function in source.functions("invariant")
        if spec.properties is None or invariant_name(function) in spec.properties
    ]
    witnesses = [
        ir.Witness(name, _predicate(context, find(source, "witness", name)))
        for name in spec.witnesses
    ]
    return ir.Program(
        spec.name,
        list(context.shared),
        threads,
        setup,
        invariants,
        witnesses,
        dict(sorted(context.parameters.items())),
        spec.variant,
        tuple(sorted(spec.fixes)),
        source.digest,
    )


def compile_routine(
    source: Source,
    name: str,
    *,
    parameters: Mapping[str, int] | None = None,
    symbolic: Mapping[str, ir.CType] | None = None,
    fixes: Iterable[str] = (),
    properties: Iterable[str] = (),
) -> ir.Program:
    """Compile one routine by itself, for symbolic engines: a program of one thread.

    The routine's arguments are locals of their own names that nothing assigns.  ``symbolic``
    names constants of the model (parameters, or what is computed from them) that its code
    reads as :class:`.ir.Param` of the given type; sizes of arrays and ranges of slots fold
    as ever, from ``parameters``.  Raises ModelError or SpecError.
    """
    function = find(source, "routine", name)
    chosen = dict(symbolic or {})
    context = Context(
        source, parameters or {}, frozenset(fixes), 1, frozenset(properties), chosen
    )
    for constant in chosen:
        context.named(function.module, constant, function.node)
    lowering = Statements(context, 0, "step")
    lowering.run(function, lowering.enter(function, _open(context, lowering, function)), None)
    lowering.emitter.emit(ir.End(), ir.Where(text=f"{name} ends"))
    code, entry = lowering.emitter.finish()
    thread = ir.Thread(name, 0, lowering.emitter.locals, code, entry)
    setup = _compile_calls(context, 0, "setup", (), "setup", atomic=True)
    return ir.Program(
        name, list(context.shared), [thread], setup, [], [],
        dict(sorted(context.parameters.items())), "", tuple(sorted(context.fixes)), source.digest,
    )  # fmt: skip


def property_names(source: Source) -> list[str]:
    """The names of all invariants and checks of a model."""
    names = {invariant_name(function) for function in source.functions("invariant")}
    for module in source.modules.values():
        for symbol in module.symbols.values():
            if isinstance(symbol, Function | Class):
                for node in ast.walk(symbol.node):
                    match node:
                        case ast.Call(ast.Name("check"), [ast.Constant(str(name)), *_]):
                            names.add(name)
                        case ast.Call(ast.Name("no_lost_update"), [ast.Constant(str(name))]):
                            names.add(name)
    return sorted(names)


def invariant_name(function: Function) -> str:
    """The property's name: the decorator's first argument."""
    match function.options.get("arg0"):
        case ast.Constant(str(name)):
            return name
    raise function.module.error(function.node, "@invariant wants the property's name first")


def _compile_thread(context: Context, index: int, spec: ThreadSpec) -> ir.Thread:
    thread = _compile_calls(context, index, spec.name, spec.calls, "actor")
    return replace(thread, daemon=spec.daemon)


def _compile_calls(
    context: Context,
    index: int,
    name: str,
    calls: Iterable[CallSpec],
    kind: str,
    *,
    atomic: bool = False,
) -> ir.Thread:
    lowering = Statements(context, index, "atomic" if atomic else "step")
    end = ir.Where(text=f"{name} ends")
    for call in calls:
        function = find(context.source, kind, call.routine)
        arguments = _constants(context, lowering, function, call)
        frame = lowering.enter(function, arguments)
        if atomic:
            with lowering.emitter.region():
                lowering.run(function, frame, None)
        else:
            lowering.run(function, frame, None)
    lowering.emitter.emit(ir.End(), end)
    if lowering.emitter.entry < 0:
        lowering.emitter.emit(ir.End(), end)
    code, entry = lowering.emitter.finish()
    return ir.Thread(name, index, lowering.emitter.locals, code, entry)


def _constants(
    context: Context, lowering: Statements, function: Function, call: CallSpec
) -> dict[str, Value]:
    """A scenario's arguments as constants of the parameters' types."""
    lowering.frames.append(Frame(function.module, None, {}, (), ()))
    try:
        bound: dict[str, Value] = {}
        parameters = {argument.arg: argument for argument in function.node.args.args}
        for name in call.arguments:
            if name not in parameters:
                expected = ", ".join(parameters) or "none"
                raise SpecError(f"{function.name} has no argument {name!r}: expected {expected}")
        defaults = function.node.args.defaults
        names = list(parameters)
        fallback = dict(zip(names[len(names) - len(defaults):], defaults, strict=True))
        for name, argument in parameters.items():
            type_ = lowering.parameter_type(function, argument)
            if name in call.arguments:
                given = call.arguments[name]
                bound[name] = _given(context, lowering, function.name, name, type_, given)
            elif name in fallback:
                value = lowering.lower(fallback[name])
                bound[name] = lowering.fit(value, type_, fallback[name], name)
            else:
                raise SpecError(f"{function.name}: argument {name!r} is missing")
        return bound
    finally:
        lowering.frames.pop()


def _given(
    context: Context, lowering: Statements, routine: str, name: str, type_: Type, given: Argument
) -> Value:
    """A scenario's argument: a constant, or chosen when the program begins."""
    if isinstance(given, OneOf):
        options = [_constant(context, routine, name, type_, value) for value in given.values]
        return _chosen(lowering, given, [one for one in options if isinstance(one, Op)])
    if isinstance(given, list | tuple) and any(isinstance(item, OneOf) for item in given):
        items: list[Value] = []
        for item in given:
            if isinstance(item, OneOf):
                if not all(isinstance(one, int) for one in item.values):
                    raise SpecError(f"{routine}: {item.name}: expected numbers")
                numbers = [Op(fold.const(int(one)), LITERAL) for one in item.values]
                items.append(_chosen(lowering, item, numbers))
            else:
                items.append(Op(fold.const(int(item)), LITERAL))
        return TupleValue(tuple(items))
    return _constant(context, routine, name, type_, given)


def _chosen(lowering: Statements, what: OneOf, options: list[Op]) -> Op:
    """One of several constants, as a local that a choice decides."""
    where = ir.Where(text=f"{what.name} is chosen")
    emitter = lowering.emitter
    last = len(options) - 1
    number = emitter.local(f"{what.name}.choice", ir.Domain("int", 0, max(last, 0)))
    with emitter.quiet():
        choice = ir.Choose(ir.Local(number), fold.const(len(options)), INPUT + what.name)
        emitter.emit(choice, where)
    value = options[-1].expr
    for position in range(last - 1, -1, -1):
        here = fold.binary("==", ir.Local(number), fold.const(position), ir.BOOL)
        value = fold.cond(here, options[position].expr, value)
    type_ = options[0].type
    if type_ is LITERAL:
        values = [option.expr.value for option in options if isinstance(option.expr, ir.Const)]
        domain, type_ = ir.Domain("int", min(values), max(values)), INT
    else:
        domain = lowering.context.domain(type_)
    local = ir.Local(emitter.local(what.name, domain))
    emitter.emit(ir.Assign(local, value), where)
    return Op(local, type_)


def _constant(
    context: Context, routine: str, name: str, type_: Type, given: Argument
) -> Value:
    def wrong(expected: str) -> SpecError:
        return SpecError(f"{routine}: {name} = {given!r}: expected {expected}")

    match type_, given:
        case BoolType(), bool():
            return Op(fold.const(int(given), ir.BOOL), BOOL)
        case IntType(_, ctype, low, high), int() if not isinstance(given, bool):
            if not low <= given <= high:
                raise wrong(f"a number from {low} to {high}")
            return Op(fold.const(given, ctype), type_)
        case EnumType(_, members), str():
            for member, value in members:
                if member == given:
                    return Op(fold.const(value), type_)
            raise wrong("one of " + ", ".join(member for member, _ in members))
        case FlagsType(_, members), list() | tuple() | str():
            bits = 0
            known = dict(members)
            for flag in [given] if isinstance(given, str) else given:
                if flag not in known:
                    raise wrong("flags among " + ", ".join(known))
                bits |= known[str(flag)]
            return Op(fold.const(bits), type_)
        case RefType(record), int() if not isinstance(given, bool):
            count = context.pool(record).count
            if not -1 <= given < count:
                raise wrong(f"the number of a {record}, 0 to {count - 1}, or -1 for none")
            return Op(fold.const(given if given >= 0 else count), type_)
        case t, list() | tuple() if not isinstance(t, SCALARS):
            if all(isinstance(item, int) for item in given):
                return ConstTuple(tuple(int(item) for item in given))
    expected = {BoolType: "true or false", IntType: "a number", EnumType: "a name in quotes",
                FlagsType: "a list of flag names"}.get(type(type_), "a list of numbers")
    raise wrong(expected)


# ------------------------------------------------------------------------- properties


def _predicate(context: Context, function: Function) -> ir.Expr:
    lowering = Statements(context, None, "pure")
    frame = lowering.enter(function, {})
    body = [s for s in function.node.body
            if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    match body:
        case [ast.Return(ast.expr() as expression)]:
            frame.statement = body[0]
            lowering.frames.append(frame)
            return lowering.condition(expression)
    raise function.module.error(function.node, f"{function.name}: one return of an expression is "
                                               "expected")


def _compile_invariant(context: Context, function: Function) -> ir.Invariant:
    options = function.options
    when: ir.Expr = ir.Const(1, ir.BOOL)
    if "when" in options:
        guard = options["when"]
        symbol = (
            context.source.resolve(function.module, guard.id)
            if isinstance(guard, ast.Name) else None
        )
        if not (isinstance(symbol, Function) and symbol.kind == "pure"):
            raise function.module.error(function.node, "when= names a @pure function")
        when = _predicate(context, symbol)
    terminal = options.get("terminal")
    return ir.Invariant(
        invariant_name(function),
        _predicate(context, function),
        when,
        _quiet(context, function),
        isinstance(terminal, ast.Constant) and bool(terminal.value),
        ir.Where((), function.module.file, function.node.lineno, function.name),
        function.doc,
    )


def _quiet(context: Context, function: Function) -> tuple[tuple[int, int], ...]:
    option = function.options.get("quiet")
    if option is None:
        return ()
    if not isinstance(option, ast.Tuple):
        raise function.module.error(function.node, "quiet= is a tuple of names in quotes")
    found: list[tuple[int, int]] = []
    for item in option.elts:
        name = text_of(item)
        var = context.var_ids.get(f"{name}.owner")
        if var is None:
            raise function.module.error(function.node, f"quiet: {name} is not a mutex")
        found.extend((var, element) for element in range(context.shared[var].length))
    return tuple(found)


# --------------------------------------------------------------------- definition check


def check_definitions(
    source: Source, parameters: Mapping[str, int] | None = None, fixes: Iterable[str] = ()
) -> list[ModelError]:
    """Compile every routine by itself, arguments unknown; what is outside the language."""
    context = Context(source, parameters or {}, frozenset(fixes), 3)
    errors = []
    for kind in ("routine", "atomic", "actor", "setup", "pure", "invariant", "witness"):
        for function in source.functions(kind):
            try:
                _check_definition(context, function)
            except _Unused:
                continue
            except ModelError as error:
                errors.append(error)
    return errors


def _check_definition(context: Context, function: Function) -> None:
    if function.seed is not None:
        _check_citations(function)
    if function.kind == "invariant":
        _compile_invariant(context, function)
        return
    if function.kind == "witness":
        _predicate(context, function)
        return
    mode = {"atomic": "atomic", "setup": "atomic", "pure": "pure"}.get(function.kind, "step")
    lowering = Statements(context, 0, mode)  # type: ignore[arg-type]
    values = _open(context, lowering, function)
    if function.kind == "pure":
        lowering._inline_pure(function, lowering.enter(function, values))
        return
    result = lowering.run(function, lowering.enter(function, values), None)
    assert isinstance(result, Nothing) or result is not None


def _open(context: Context, lowering: Statements, function: Function) -> dict[str, Value]:
    """Arguments of which nothing is known."""
    lowering.frames.append(Frame(function.module, None, {}, (), ()))
    values = {
        argument.arg: _unknown(context, lowering, function, argument)
        for argument in function.node.args.args
    }
    lowering.frames.pop()
    return values


def _unknown(
    context: Context, lowering: Statements, function: Function, argument: ast.arg
) -> Value:
    type_ = lowering.parameter_type(function, argument)
    match type_:
        case ArrayType(element):
            var = lowering.emitter.local(argument.arg, context.domain(element), type_.length, True)
            return ArrayPlace(var, True, fold.const(0), fold.const(0), type_)
        case ListType(_, capacity):
            return _some_list(context, function, argument, type_, capacity)
        case StructType(name):
            return _some_struct(context, function, argument, name)
        case _ if isinstance(type_, SCALARS):
            kind: ScalarType = type_
            return Op(ir.Local(lowering.emitter.local(argument.arg, context.domain(kind))), kind)
    return ConstTuple((0,) * 64)


def _some_list(
    context: Context, function: Function, argument: ast.arg, type_: ListType, capacity: int
) -> Value:
    for var, shared in enumerate(context.shared):
        if shared.is_list and shared.width == capacity:
            empty = context.pool(type_.element.record).none
            return ListPlace(ir.ListRef(var, fold.const(0), capacity, empty), type_)
    raise function.module.error(argument, "no pool has such a list")


def _some_struct(
    context: Context, function: Function, argument: ast.arg, name: str
) -> StructPlace:
    for pool in context.pools.values():
        if pool.name == "threads":
            continue
        for item in context.record_fields(pool.record).values():
            if item.type == name:
                return StructPlace(f"{pool.name}.{item.name}", fold.const(0), name)
    # Nobody has one: the primitives of a model that does not use them.
    raise _Unused()


class _Unused(Exception):
    pass


def _check_citations(function: Function) -> None:
    assert function.seed is not None
    first, last = function.seed
    for node in ast.walk(function.node):
        if not isinstance(node, ast.stmt) or node is function.node:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        cited = function.module.cited(node)
        if not cited:
            raise function.module.error(node, f"{function.name}: this statement cites no line of "
                                              f"{first}-{last} (# LINE)")
        outside = [line for line in cited if not first <= line <= last]
        if outside:
            raise function.module.error(node, f"{function.name} encodes lines {first}-{last}; "
                                              f"line {outside[0]} is outside")


__all__ = [
    "INPUT", "LITERAL", "CallSpec", "Context", "Module", "OneOf", "ProgramSpec", "Slot",
    "SpecError", "ThreadSpec", "VoidType", "check_definitions", "compile_program", "describe",
    "find",
]  # fmt: skip
