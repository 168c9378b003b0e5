"""What is known about a model once a scenario's constants are fixed: types, pools, variables."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from . import ir
from .errors import SpecError
from .source import Class, Definition, Import, Module, Source
from .types import (
    BOOL,
    INT,
    SCALARS,
    VOID,
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
    TupleType,
    Type,
    VoidType,
)
from .values import Field, PoolInfo

_SET = IntType("ThreadSet", ir.CType("unsigned", 32, False), 0, 0)

# The structs and the record of the prelude, field by field.
_THREAD = RefType("Thread")
_STRUCTS: dict[str, tuple[tuple[str, ScalarType], ...]] = {
    "Mutex": (("owner", _THREAD),),
    "RWLock": (
        ("writer", _THREAD),
        ("readers", _SET),
        ("waiting_writers", _SET),
        ("waiting_readers", _SET),
    ),
    "WaitQueue": (),
}


def text_of(node: ast.expr | None) -> str:
    """The text of a constant in quotes; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@dataclass(slots=True)
class Options:
    """What ``Annotated`` says beside the type."""

    ghost: bool = False
    initial: int | None = None
    no_lost_update: str = ""


@dataclass(slots=True)
class ExclusiveRule:
    """A declaration ``exclusive(record, owner=, guard=)`` waiting to be resolved."""

    record: str
    owner: str
    guard: str
    module: Module
    node: ast.Call


@dataclass(slots=True)
class Context:
    """The model's declarations under one choice of parameters, fixes and thread count."""

    source: Source
    given: Mapping[str, int]
    fixes: frozenset[str]
    nthreads: int
    properties: frozenset[str] | None = None
    # Constants of the model that code reads as ir.Param, by name; sizes and ranges still fold.
    symbolic: Mapping[str, ir.CType] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    pools: dict[str, PoolInfo] = field(default_factory=dict)
    pool_of: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, Field]] = field(default_factory=dict)
    shared: list[ir.SharedVar] = field(default_factory=list)
    var_ids: dict[str, int] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    rules: list[ExclusiveRule] = field(default_factory=list)
    fixes_used: set[str] = field(default_factory=set)
    nchannels: int = 0
    # Answers that depend on the source alone, kept because routines are lowered many times.
    headers: dict[ast.stmt, str] = field(default_factory=dict)
    flows: dict[ast.expr, bool] = field(default_factory=dict)
    types: dict[ast.expr, tuple[Type, Options]] = field(default_factory=dict)
    _constants: dict[tuple[str, str, bool], object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._declare_pools()
        self._declare_variables()
        self._declare_phases()

    # ------------------------------------------------------------------ constants

    def implicit(self, name: str) -> int | None:
        """Constants that the compiler knows: the number of threads and what follows."""
        return {
            "NTHREADS": self.nthreads,
            "THREAD_MASK": (1 << self.nthreads) - 1,
            "NCHANNELS": self.nchannels,
        }.get(name)

    def parameter(self, definition: Definition) -> int:
        """The value of ``NAME = parameter("NAME", default=, low=, high=)``."""
        call = definition.value
        assert isinstance(call, ast.Call)
        options = {k.arg: self._literal(definition.module, k.value) for k in call.keywords
                   if k.arg != "doc"}
        match call.args:
            case [ast.Constant(str(name))]:
                pass
            case _:
                raise definition.module.error(call, "parameter() wants its name in quotes first")
        if not {"default", "low", "high"} <= options.keys():
            raise definition.module.error(call, f"parameter {name}: default=, low= and high= "
                                                "are needed")
        value = self.given.get(name, options["default"])
        low, high = options["low"], options["high"]
        if not low <= value <= high:
            if name in self.given:
                raise SpecError(f"parameters.{name} = {value}: expected a number from {low} to "
                                f"{high}")
            raise definition.module.error(call, f"parameter {name}: {value} is outside {low} to "
                                                f"{high}")
        self.parameters[name] = value
        return value

    @staticmethod
    def _literal(module: Module, node: ast.expr) -> int:
        try:
            value = ast.literal_eval(node)
        except ValueError:
            value = None
        if not isinstance(value, int):
            raise module.error(node, "an integer constant is expected here")
        return int(value)

    def constant(self, module: Module, node: ast.expr) -> int:
        """The value of a constant expression in a module's scope."""
        from .expressions import evaluate_constant

        return evaluate_constant(self, module, node)

    def named(self, module: Module, name: str, node: ast.AST) -> int:
        """The value of a constant known by name (as in ``size("NPAGES")``)."""
        value = self.implicit(name)
        if value is not None:
            return value
        symbol = self.source.resolve(module, name)
        if symbol is None:
            for other in self.source.modules.values():
                candidate = other.symbols.get(name)
                if isinstance(candidate, Definition):
                    symbol = candidate
                    break
        if not isinstance(symbol, Definition):
            raise module.error(node, f"{name} is not a constant of the model")
        return self.constant(symbol.module, ast.copy_location(ast.Name(symbol.name), node))

    # ---------------------------------------------------------------------- types

    def resolve_type(self, module: Module, node: ast.expr) -> tuple[Type, Options]:
        """The type an annotation stands for, with its options."""
        known = self.types.get(node)
        if known is None:
            known = self.types[node] = self._resolve_type(module, node)
        return known

    def _resolve_type(self, module: Module, node: ast.expr) -> tuple[Type, Options]:
        match node:
            case ast.Constant(None):
                return VOID, Options()
            case ast.Name("bool"):
                return BOOL, Options()
            case ast.Name("int"):
                return INT, Options()
            case ast.Name(name):
                return self._named_type(module, name, node)
            case ast.Subscript(ast.Name("Annotated"), ast.Tuple([base, *extras])):
                return self._annotated(module, node, base, extras)
            case ast.Subscript(ast.Name("tuple"), ast.Tuple(items)):
                return TupleType(tuple(self.resolve_type(module, i)[0] for i in items)), Options()
        raise module.error(node, f"{ast.unparse(node)} is not a type of the language")

    def _named_type(self, module: Module, name: str, node: ast.expr) -> tuple[Type, Options]:
        symbol = self.source.resolve(module, name)
        match symbol:
            case Import(_, "Thread"):
                return _THREAD, Options()
            case Import(_, "RW"):
                return EnumType("RW", (("READER", 0), ("WRITER", 1))), Options()
            case Import(_, "ThreadSet"):
                return IntType("ThreadSet", _SET.ctype, 0, (1 << self.nthreads) - 1), Options()
            case Import(_, "int32"):
                return IntType("int", ir.INT32, -8, 119), Options()
            case Import(_, word) if word in _STRUCTS:
                return StructType(word), Options()
            case Class():
                return self._class_type(symbol), Options()
            case Definition(_, value):
                type_, options = self.resolve_type(symbol.module, value)
                if isinstance(type_, IntType):
                    ctype = ir.CType(name, type_.ctype.bits, type_.ctype.signed)
                    type_ = IntType(name, ctype, type_.low, type_.high)
                return type_, options
        raise module.error(node, f"unknown type {name}")

    def _class_type(self, symbol: Class) -> Type:
        if symbol.kind == "record":
            return RefType(symbol.name)
        if symbol.kind == "struct":
            return StructType(symbol.name)
        members = tuple(self._members(symbol))
        if symbol.kind == "enum":
            return EnumType(symbol.name, members)
        return FlagsType(symbol.name, members)

    def _members(self, symbol: Class) -> list[tuple[str, int]]:
        members = []
        for item in symbol.node.body:
            match item:
                case ast.Assign([ast.Name(name)], value):
                    number = self._literal(symbol.module, value)
                    if symbol.kind == "flags" and (number <= 0 or number & (number - 1)):
                        raise symbol.module.error(item, f"{symbol.name}.{name}: a flag is one bit")
                    members.append((name, number))
                case ast.Expr(ast.Constant(str())) | ast.Pass():
                    pass
                case _:
                    raise symbol.module.error(item, f"{symbol.name}: only NAME = number here")
        return members

    def _annotated(
        self, module: Module, node: ast.expr, base: ast.expr, extras: list[ast.expr]
    ) -> tuple[Type, Options]:
        options = Options()
        length: int | None = None
        cint: IntType | None = None
        reference = {"special": False, "marker": False}
        for extra in extras:
            match extra:
                case ast.Name("ghost"):
                    options.ghost = True
                case ast.Name(("special" | "marker") as which):
                    reference[which] = True
                case ast.Call(ast.Name("size"), [argument]):
                    length = self._bound(module, argument)
                case ast.Call(ast.Name("no_lost_update"), [ast.Constant(str(name))]):
                    options.no_lost_update = name
                case ast.Call(ast.Name("initial"), [argument]):
                    options.initial = self.constant(module, argument)
                case ast.Call(ast.Name("CInt"), [bits], keywords):
                    cint = self._cint(module, extra, bits, keywords)
                case _:
                    raise module.error(extra, f"unknown annotation {ast.unparse(extra)}")
        if cint is not None:
            return cint, options
        match base:
            case ast.Subscript(ast.Name("Array"), element):
                inner, _ = self.resolve_type(module, element)
                if length is None:
                    raise module.error(node, "an array needs size(...)")
                if not isinstance(inner, SCALARS):
                    raise module.error(node, "arrays hold scalars")
                return ArrayType(inner, length), options
            case ast.Subscript(ast.Name("List"), element):
                inner, _ = self.resolve_type(module, element)
                if length is None or not isinstance(inner, RefType):
                    raise module.error(node, "a list holds references and needs size(...)")
                return ListType(inner, length), options
        type_, inherited = self.resolve_type(module, base)
        options.ghost = options.ghost or inherited.ghost
        if options.initial is None:
            options.initial = inherited.initial
        if isinstance(type_, RefType):
            type_ = RefType(
                type_.record,
                type_.special or reference["special"],
                type_.marker or reference["marker"],
            )
        elif any(reference.values()):
            raise module.error(node, "special and marker are for references")
        return type_, options

    def _bound(self, module: Module, node: ast.expr) -> int:
        match node:
            case ast.Constant(str(name)):
                return self.named(module, name, node)
        return self.constant(module, node)

    def _cint(
        self, module: Module, node: ast.expr, bits: ast.expr, keywords: list[ast.keyword]
    ) -> IntType:
        given = {keyword.arg: keyword.value for keyword in keywords}
        if given.keys() != {"signed", "low", "high"}:
            raise module.error(node, "CInt wants bits, signed=, low= and high=")
        width = self._literal(module, bits)
        signed = bool(self._literal(module, given["signed"]))
        low = self._bound(module, given["low"])
        high = self._bound(module, given["high"])
        return IntType("int", ir.CType(f"int{width}", width, signed), low, high)

    def domain(self, type_: ScalarType) -> ir.Domain:
        """What a slot of this type holds."""
        match type_:
            case IntType(_, ctype, low, high):
                return ir.Domain("int", low, high, ctype)
            case LiteralType():
                return ir.Domain("int", -8, 119)
            case BoolType():
                return ir.Domain("bool", 0, 1, ir.BOOL)
            case EnumType(_, members):
                values = [value for _, value in members]
                labels = tuple((value, name) for name, value in members)
                return ir.Domain("enum", min(values), max(values), ir.INT32, labels)
            case FlagsType(_, members):
                labels = tuple((value, name) for name, value in members)
                return ir.Domain("flags", 0, type_.all_bits, ir.INT32, labels)
            case RefType(record):
                return self.pool(record).domain(type_)
            case NullType():
                return ir.Domain("int", 0, 0)

    def pool(self, record: str) -> PoolInfo:
        """The pool of a record."""
        return self.pools[self.pool_of[record]]

    # --------------------------------------------------------------- declarations

    def checked(self, name: str) -> bool:
        """Is a named property to be checked?"""
        return self.properties is None or name in self.properties or name == "lock-discipline"

    def _declare_pools(self) -> None:
        self.pools["threads"] = PoolInfo("threads", "Thread", self.nthreads)
        self.pool_of["Thread"] = "threads"
        self.fields["Thread"] = {}
        for name in sorted(self.source.modules):
            module = self.source.modules[name]
            for symbol in module.symbols.values():
                if isinstance(symbol, Definition):
                    self._declare_pool(symbol)
            for call in module.declarations:
                self._declare_rule(module, call)

    def _declare_pool(self, definition: Definition) -> None:
        match definition.value:
            case ast.Call(ast.Name("parameter")):
                self.parameter(definition)
            case ast.Call(ast.Name("Pool"), [ast.Name(record), count], keywords):
                self._add_pool(definition, record, self._bound(definition.module, count), keywords)
            case ast.Call(ast.Name("single"), [ast.Name(record)]):
                self._add_pool(definition, record, 1, [])

    def _add_pool(
        self, definition: Definition, record: str, count: int, keywords: list[ast.keyword]
    ) -> None:
        module, node = definition.module, definition.node
        symbol = self.source.resolve(module, record)
        if not (isinstance(symbol, Class) and symbol.kind == "record"):
            raise module.error(node, f"{record} is not a record")
        if record in self.pool_of:
            raise module.error(node, f"record {record} has a pool already: one for each record")
        live, markers = "", 0
        specials: tuple[str, ...] = ()
        fields: tuple[tuple[str, int], ...] = ()
        for keyword in keywords:
            match keyword:
                case ast.keyword("live", ast.Constant(str(value))):
                    live = value
                case ast.keyword("specials", ast.Tuple(items)):
                    specials = tuple(text_of(item) for item in items)
                case ast.keyword("markers", value):
                    markers = self.constant(module, value)
                case ast.keyword("marker_fields", ast.Dict(keys, values)):
                    fields = tuple(
                        (text_of(key), self.constant(module, value))
                        for key, value in zip(keys, values, strict=True)
                    )
                case _:
                    raise module.error(node, f"unknown option {keyword.arg} of Pool")
        self.pools[definition.name] = PoolInfo(
            definition.name, record, count, live, specials, markers, fields, self.nthreads
        )
        self.pool_of[record] = definition.name

    def _declare_rule(self, module: Module, call: ast.Call) -> None:
        match call:
            case ast.Call(ast.Name("exclusive"), [ast.Name(record)], keywords):
                given = {keyword.arg: text_of(keyword.value) for keyword in keywords}
                self.rules.append(
                    ExclusiveRule(record, given.get("owner", ""), given.get("guard", ""),
                                  module, call)
                )
            case _:
                raise module.error(call, f"{ast.unparse(call.func)}() is not a declaration")

    def _declare_variables(self) -> None:
        self._count_queues()
        for pool in self.pools.values():
            if pool.name == "threads":
                wchan = IntType("wchan", ir.CType("unsigned", 32, False), 0, self.nchannels)
                self.fields["Thread"]["wchan"] = Field("wchan", wchan)
                self._add_var("threads.wchan", wchan, pool.count, 1, None, pure_sync=True)
                self._name_channels()
                continue
            for item in self.record_fields(pool.record).values():
                self._add_field(pool, pool.name, item)

    def _count_queues(self) -> None:
        """Number the wait queues, so that a thread's channel has a known range."""
        channels = 0
        for pool in self.pools.values():
            if pool.name == "threads":
                continue
            symbol = self._record_class(pool.record)
            for name, annotation in self._field_annotations(symbol):
                if isinstance(annotation, ast.Name) and annotation.id == "WaitQueue":
                    self.queues[f"{pool.name}.{name}"] = channels + 1
                    channels += pool.count
        self.nchannels = channels

    def _name_channels(self) -> None:
        """Let traces print the channel that a thread sleeps on as the name of its queue."""
        labels = [(0, "awake")]
        for name, first in self.queues.items():
            pool, _, queue = name.partition(".")
            count = self.pools[pool].count
            for entry in range(count):
                index = str(entry) if count > 1 else ""
                labels.append((first + entry, f"{pool}{index}.{queue}"))
        var = self.shared[-1]
        self.shared[-1] = replace(var, domain=replace(var.domain, labels=tuple(labels)))

    def _record_class(self, record: str) -> Class:
        for module in self.source.modules.values():
            symbol = module.symbols.get(record)
            if isinstance(symbol, Class):
                return symbol
        raise KeyError(record)

    @staticmethod
    def _field_annotations(symbol: Class) -> list[tuple[str, ast.expr]]:
        found = []
        for item in symbol.node.body:
            match item:
                case ast.AnnAssign(ast.Name(name), annotation, None):
                    found.append((name, annotation))
                case ast.Expr(ast.Constant(str())) | ast.Pass():
                    pass
                case _:
                    raise symbol.module.error(item, f"{symbol.name}: only NAME: TYPE here")
        return found

    def record_fields(self, record: str) -> dict[str, Field]:
        """The fields of a record or of a struct of the model, by name."""
        if record not in self.fields:
            symbol = self._record_class(record)
            result: dict[str, Field] = {}
            for name, annotation in self._field_annotations(symbol):
                type_, options = self.resolve_type(symbol.module, annotation)
                if isinstance(type_, StructType):
                    result[name] = Field(name, type_.name, options.ghost)
                elif isinstance(type_, TupleType | VoidType):
                    raise symbol.module.error(annotation, f"{name}: no such field type")
                else:
                    result[name] = Field(
                        name, type_, options.ghost, options.initial, options.no_lost_update
                    )
            self.fields[record] = result
        return self.fields[record]

    def struct_fields(self, struct: str) -> dict[str, Field]:
        """The fields of a struct, the prelude's included."""
        if struct in _STRUCTS:
            result = {}
            for name, type_ in _STRUCTS[struct]:
                if isinstance(type_, IntType):
                    type_ = IntType(type_.name, type_.ctype, 0, (1 << self.nthreads) - 1)
                result[name] = Field(name, type_)
            return result
        return self.record_fields(struct)

    def _add_field(self, pool: PoolInfo, prefix: str, item: Field, ghost: bool = False) -> None:
        name = f"{prefix}.{item.name}"
        ghost = ghost or item.ghost
        match item.type:
            case str(struct):
                for inner in self.struct_fields(struct).values():
                    self._add_field(pool, name, inner, ghost)
            case ArrayType(element, length):
                self._add_var(name, element, pool.count, length, item.initial, ghost=ghost)
            case ListType(element, capacity):
                self._add_var(name, element, pool.count, capacity, None, ghost=ghost, is_list=True)
            case scalar:
                sync = prefix.count(".") > 0 and not ghost and self._is_sync_prefix(prefix)
                self._add_var(name, scalar, pool.count, 1, item.initial, ghost=ghost,
                              pure_sync=sync)

    def _is_sync_prefix(self, prefix: str) -> bool:
        pool, _, name = prefix.partition(".")
        item = self.record_fields(self.pools[pool].record).get(name)
        return item is not None and item.type in ("Mutex", "RWLock")

    def _add_var(
        self,
        name: str,
        type_: ScalarType,
        count: int,
        width: int,
        initial: int | None,
        *,
        ghost: bool = False,
        is_list: bool = False,
        pure_sync: bool = False,
    ) -> None:
        domain = self.domain(type_)
        if initial is None:
            if isinstance(type_, RefType):
                initial = self.pool(type_.record).none
            else:
                initial = min(max(0, domain.low), domain.high)
        self.var_ids[name] = len(self.shared)
        self.shared.append(
            ir.SharedVar(name, domain, count * width, (initial,) * (count * width), width,
                         is_list, ghost, pure_sync)
        )

    def _declare_phases(self) -> None:
        for rule in self.rules:
            pool = self.pool(rule.record)
            owner = self.var_ids.get(f"{pool.name}.{rule.owner}")
            if owner is None:
                raise rule.module.error(rule.node, f"exclusive: {rule.record} has no field "
                                                   f"{rule.owner}")
            guard, via = self._guard(rule, pool)
            phase = ir.Phase(owner, self.nthreads, guard, via)
            for number, var in enumerate(self.shared):
                if var.name.startswith(f"{pool.name}.") and not var.pure_sync:
                    self.shared[number] = ir.SharedVar(
                        var.name, var.domain, var.length, var.initial, var.width,
                        var.is_list, var.ghost, var.pure_sync, phase,
                    )

    def _guard(self, rule: ExclusiveRule, pool: PoolInfo) -> tuple[int | None, int | None]:
        if not rule.guard:
            return None, None
        first, _, rest = rule.guard.partition(".")
        if not rest:
            return self.var_ids[f"{pool.name}.{first}.owner"], None
        if first in self.pools:
            return self.var_ids[f"{rule.guard}.owner"], None
        via = self.var_ids.get(f"{pool.name}.{first}")
        item = self.record_fields(rule.record).get(first)
        if via is None or item is None or not isinstance(item.type, RefType):
            raise rule.module.error(rule.node, f"exclusive: cannot follow guard {rule.guard}")
        return self.var_ids[f"{self.pool(item.type.record).name}.{rest}.owner"], via
