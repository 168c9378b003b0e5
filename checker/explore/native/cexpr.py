"""Expressions of the IR as C.

A value is an ``int64_t`` wherever its interval allows that, else a ``uint64_t``, and only for
what fits neither an ``__int128``.  Operations that cannot leave their type are plain; the ring
operations otherwise wrap modulo 2**64 and are then cut to their type, which is right because
no type of the IR is wider.  A read outside a variable jumps away from inside the expression
(a GNU statement expression), so it ends the instruction as in the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ...lang import ir
from ..errors import InternalError
from ..intervals import Env, Interval, Ranges
from ..layout import Slot
from ..semantics import COMPARISONS
from .cknown import Known

Kind: TypeAlias = Literal["i", "u", "w"]

C_TYPE = {"i": "int64_t", "u": "uint64_t", "w": "__int128"}
_INT64 = (-(1 << 63), (1 << 63) - 1)
_SMALL = 1 << 60
_WIDEST = 1 << 120


def kind_of(span: Interval) -> Kind:
    """The kind of C number that holds every value of an interval."""
    low, high = span
    if _INT64[0] <= low and high <= _INT64[1]:
        return "i"
    if low >= 0 and high < 1 << 64:
        return "u"
    if low < -_WIDEST or high > _WIDEST:
        raise InternalError(f"values from {low} to {high} are too wide for the native engine")
    return "w"


def constant(value: int) -> str:
    """A C constant of the kind that its value asks for."""
    kind = kind_of((value, value))
    if kind == "u":
        return f"{value}ULL"
    if kind == "i":
        if value == _INT64[0]:
            return f"(-{_INT64[1]}LL-1)"
        return f"{value}LL" if value >= 0 else f"(-{-value}LL)"
    high, low = value >> 64, value & ((1 << 64) - 1)
    return f"((__int128){constant(high)}*((__int128)1<<64)+{low}ULL)"


def cast(code: str, old: Kind, new: Kind) -> str:
    """The same value as another kind (it must fit, or be meant modulo 2**64)."""
    return code if old == new else f"({C_TYPE[new]}){code}"


def load(slot: Slot, offset: str, span: Interval) -> str:
    """A slot's value; its kind is that of the domain's interval ``span``."""
    kind = kind_of(span)
    raw = f"B[{offset}]" if slot.width == 1 else f"load{slot.width}(B+{offset})"
    if slot.width <= 4 and kind == "i":
        raw = f"(int64_t){raw}"
        if slot.low == 0:
            return raw if slot.width == 1 else f"({raw})"
        return f"({raw}{slot.low:+}LL)" if abs(slot.low) < _SMALL else (
            f"({raw}+{constant(slot.low)})"
        )
    wide = "unsigned __int128" if kind == "w" else "uint64_t"
    bias = "" if slot.low == 0 else f"+({wide}){constant(slot.low)}"
    return f"({C_TYPE[kind]})(({wide}){raw}{bias})"


def store(slot: Slot, offset: str, code: str, kind: Kind) -> str:
    """The statement that stores a value within the slot's domain."""
    raw = code
    if slot.low:
        wide = "unsigned __int128" if slot.width > 8 else "uint64_t"
        raw = f"(({wide}){code}-({wide}){constant(slot.low)})"
    elif kind == "w" and slot.width <= 8:
        raw = f"(uint64_t){code}"
    if slot.width == 1:
        return f"B[{offset}]=(uint8_t){raw};"
    name = "unsigned __int128" if slot.width == 16 else f"uint{8 * slot.width}_t"
    return f"store{slot.width}(B+{offset},({name}){raw});"


@dataclass(slots=True)
class Names:
    """Unique names of temporaries within one C function."""

    made: int = 0

    def new(self) -> str:
        self.made += 1
        return f"t{self.made}"


@dataclass(slots=True)
class CExpr:
    """Generates expressions in one context, over the bytes ``B`` of a vector ``v``.

    ``local`` gives the code of a local's read, of the kind of :meth:`kind`; ``outside`` the
    label to jump to when a variable is read outside its bounds.
    """

    program: ir.Program
    slots: list[Slot]
    ranges: Ranges
    env: Env
    local: Callable[[ir.Local, CExpr], str]
    outside: Callable[[], str]
    names: Names = field(default_factory=Names)
    known: Known | None = None

    def span(self, expr: ir.Expr) -> Interval:
        """The interval of an expression's value."""
        return self.ranges.of(expr, self.env)

    def kind(self, expr: ir.Expr) -> Kind:
        return kind_of(self.span(expr))

    def harmless(self, expr: ir.Expr, domain: ir.Domain) -> bool:
        """Is the value surely within a domain, and found without reading outside anything?"""
        low, high = self.span(expr)
        return domain.low <= low and high <= domain.high and self.total(expr)

    def total(self, expr: ir.Expr) -> bool:
        """Can evaluating the expression not read outside a variable?"""
        index: ir.Expr
        for sub in ir.walk(expr):
            match sub:
                case ir.Shared(var, index):
                    length = self.program.shared[var].length
                case ir.Local(var, ir.Const() | None as at):
                    assert self.ranges.thread is not None
                    index, length = at or ir.Const(0), self.ranges.thread.locals[var].length
                case ir.Local():
                    return False
                case ir.ListNext(ref):
                    index, length = ref.base, self.program.shared[ref.var].length - ref.capacity + 1
                case _:
                    continue
            low, high = self.span(index)
            if low < 0 or high >= length:
                return False
        return True

    def decided(self, test: ir.Expr) -> bool | None:
        """What is known of a condition whose evaluation cannot read outside anything."""
        if self.known is not None:
            truth = self.known.truth(test)
            if truth is not None:
                return truth
        match test:
            case ir.Unary("not", operand, _):
                truth = self.decided(operand)
                return None if truth is None else not truth
            case ir.Binary("and" | "or" as op, left, right, _):
                one = self.decided(left)
                if one is not None:
                    return self.decided(right) if one == (op == "and") else one
                two = self.within(left, op == "and").decided(right)
                return two if two == (op == "or") and self.total(left) else None
            case ir.Binary(op, left, right, _) if op in COMPARISONS and self.total(test):
                return _compare(op, self.span(left), self.span(right))
            case _ if self.total(test):
                low, high = self.span(test)
                return True if low > 0 or high < 0 else False if low == high == 0 else None
        return None

    # ------------------------------------------------------------------------ reads

    def index(self, index: ir.Expr, length: int) -> tuple[str, str]:
        """An index that is inside: a declaration that checks it ("" if none), and its code."""
        if isinstance(index, ir.Const):
            if 0 <= index.value < length:
                return "", str(index.value)
            return f"goto {self.outside()};", "0"
        low, high = self.span(index)
        code = self.value(index)
        if low >= 0 and high < length:
            return "", code
        name, kind = self.names.new(), kind_of((low, high))
        wide = "unsigned __int128" if kind == "w" else "uint64_t"
        return (
            f"{C_TYPE[kind]} {name}={code};"
            f"if(UNLIKELY(({wide}){name}>={length}))goto {self.outside()};",
            name,
        )

    def read(self, slot: Slot, length: int, index: ir.Expr, span: Interval) -> str:
        """An element's value; ``span`` is its domain's interval."""
        check, code = self.index(index, length)
        value = load(slot, place(slot, code), span)
        return f"({{{check}{value};}})" if check else value

    def value(self, expr: ir.Expr) -> str:
        """An expression's value, of the kind of its interval; an operand as it stands."""
        if not isinstance(expr, ir.Const):
            low, high = self.span(expr)
            if low == high and self.total(expr):
                return constant(low)
        match expr:
            case ir.Const(value):
                return constant(value)
            case ir.Local():
                return self.local(expr, self)
            case ir.Shared(var, index):
                declared = self.program.shared[var]
                span = (declared.domain.low, declared.domain.high)
                return self.read(self.slots[var], declared.length, index, span)
            case ir.Unary():
                return self._unary(expr)
            case ir.Binary(op, _, _, _):
                if op in COMPARISONS or op in ("and", "or"):
                    return f"(int64_t){self.test(expr)}"
                return self._binary(expr)
            case ir.Cond(test, then, other):
                kind = self.kind(expr)
                one, two = self.within(test, True), self.within(test, False)
                first = cast(one.value(then), one.kind(then), kind)
                second = cast(two.value(other), two.kind(other), kind)
                return f"({self.test(test)}?{first}:{second})"
            case ir.ListNext(ref, node):
                check, base, low = self.list_base(ref)
                raw = self.raw(self.value(node), self.span(node), low)
                found = f"list_next({base},{ref.capacity},{raw},{constant(ref.empty - low)})"
                code = f"({found}+{constant(low)})" if low else found
                if kind_of(self.span(expr)) != "i":
                    raise InternalError("lists of such wide values are not supported")
                return f"({{{check}{code};}})" if check else code
            case ir.Param(name):
                raise InternalError(f"parameter {name} has no value")

    def list_base(self, ref: ir.ListRef) -> tuple[str, str, int]:
        """A list: the check of its base ("" if none), the address of its bytes, its bias."""
        slot = self.slots[ref.var]
        if slot.width != 1:
            raise InternalError("lists of wide elements are not supported")
        length = self.program.shared[ref.var].length - ref.capacity + 1
        check, code = self.index(ref.base, length)
        return check, f"B+{place(slot, code)}", slot.low

    def raw(self, code: str, span: Interval, low: int) -> str:
        """A value of some interval as the bytes of a list would hold it."""
        (first, last), kind = span, kind_of(span)
        if kind != "i":
            code = f"near_{kind}({code})"
        if first < -_SMALL or last > _SMALL:
            code = f"imin(imax({code},{constant(-_SMALL)}),{constant(_SMALL)})"
        return f"({code}-{constant(low)})" if low else code

    def within(self, test: ir.Expr, truth: bool) -> CExpr:
        """The context where a test is known to be (not) true."""
        return replace(self, env=self.ranges.refine(test, truth, self.env))

    # ------------------------------------------------------------------- operations

    def test(self, expr: ir.Expr) -> str:
        """A condition: only its truth matters."""
        known = self.decided(expr)
        if known is not None:
            return "1" if known else "0"
        match expr:
            case ir.Binary("and", left, right, _):
                return f"({self.test(left)}&&{self.within(left, True).test(right)})"
            case ir.Binary("or", left, right, _):
                return f"({self.test(left)}||{self.within(left, False).test(right)})"
            case ir.Unary("not", operand, _):
                return f"(!{self.test(operand)})"
            case ir.Binary(op, left, right, _) if op in COMPARISONS:
                one, two, _ = self._together(left, right)
                return f"({one}{op}{two})"
        return f"({self.value(expr)}!=0)"

    def _together(self, left: ir.Expr, right: ir.Expr) -> tuple[str, str, Kind]:
        """Two operands as one kind that holds both."""
        (a, b), (c, d) = self.span(left), self.span(right)
        kind = kind_of((min(a, c), max(b, d)))
        return (
            cast(self.value(left), kind_of((a, b)), kind),
            cast(self.value(right), kind_of((c, d)), kind),
            kind,
        )

    def _unary(self, expr: ir.Unary) -> str:
        if expr.op == "not":
            return f"(int64_t){self.test(expr)}"
        code, kind = self.value(expr.operand), self.kind(expr.operand)
        raw = self.ranges.raw(expr, self.env)
        if expr.op == "cast":
            return self.wrapped(code, kind, raw, expr.ctype)
        sign = expr.op
        if kind == "i" and kind_of(raw) == "i":
            return self.wrapped(f"({sign}{code})", "i", raw, expr.ctype)
        zero = "0ULL" if sign == "-" else ""
        return self.wrapped(f"({zero}{sign}(uint64_t){code})", "u", raw, expr.ctype)

    def _binary(self, expr: ir.Binary) -> str:
        op, ctype = expr.op, expr.ctype
        raw = self.ranges.raw(expr, self.env)
        match op:
            case "min" | "max":
                one, two, kind = self._together(expr.left, expr.right)
                return self.wrapped(f"{kind}{op}({one},{two})", kind, raw, ctype)
            case "//" | "%":
                code, kind = self._division(expr, raw)
                return self.wrapped(code, kind, raw, ctype)
            case ">>":
                code, kind = self._shift_right(expr)
                return self.wrapped(code, kind, raw, ctype)
        left, right = self.value(expr.left), self.value(expr.right)
        one, two = self.kind(expr.left), self.kind(expr.right)
        if op == "<<":
            by, safe = self._shift_by(expr)
            if safe and one == "i" and self.span(expr.left)[0] >= 0 and _fits(raw):
                return self.wrapped(f"({left}<<{by})", "i", raw, ctype)
            code = f"((uint64_t){left}<<{by})"
            if not safe:
                code = f"shift_left((uint64_t){left},{by},{ctype.bits})"
            return self.wrapped(code, "u", raw, ctype)
        if one == two == "i" and (_fits(raw) or op in "&|^"):
            return self.wrapped(f"({left}{op}{right})", "i", raw, ctype)
        return self.wrapped(f"((uint64_t){left}{op}(uint64_t){right})", "u", raw, ctype)

    def _division(self, expr: ir.Binary, raw: Interval) -> tuple[str, Kind]:
        """A quotient or remainder of a kind that does not overflow."""
        one, two, kind = self._together(expr.left, expr.right)
        low, (c, d) = self.span(expr.left)[0], self.span(expr.right)
        overflows = low == _INT64[0] and c <= -1 <= d
        if kind == "i" and (overflows or not _fits(raw)):
            one, two, kind = f"(__int128){one}", f"(__int128){two}", "w"
        name = "div" if expr.op == "//" else "mod"
        if c > 0 or d < 0:
            return f"({one}{'/' if name == 'div' else '%'}{two})", kind
        return f"{kind}{name}({one},{two})", kind

    def _shift_by(self, expr: ir.Binary) -> tuple[str, bool]:
        """By how much is shifted, as an ``int64_t``; is it surely less than the width?"""
        low, high = self.span(expr.right)
        code, kind = self.value(expr.right), kind_of((low, high))
        return (
            code if kind == "i" else f"near_{kind}({code})",
            0 <= low and high < expr.ctype.bits,
        )

    def _shift_right(self, expr: ir.Binary) -> tuple[str, Kind]:
        code, kind = self.value(expr.left), self.kind(expr.left)
        by, safe = self._shift_by(expr)
        if safe and expr.ctype.bits <= 64:
            return f"({code}>>{by})", kind
        return f"{kind}shift_right({code},{by},{expr.ctype.bits})", kind

    def wrapped(self, code: str, kind: Kind, raw: Interval, ctype: ir.CType) -> str:
        """Reduce to the type, unless the interval shows that nothing changes.

        ``kind`` is that of ``code``, which is right at least modulo 2**64; the result's is
        the kind of its interval.
        """
        if ctype.bits > 64:
            raise InternalError(f"arithmetic of {ctype.bits} bits is not supported")
        if ctype.minimum <= raw[0] and raw[1] <= ctype.maximum:
            return cast(code, kind, kind_of(raw))
        if ctype.bits == 64:
            return cast(code, kind, "i" if ctype.signed else "u")
        code = cast(code, kind, "u")
        if ctype.signed:
            return f"wrap_signed({code},{ctype.bits})"
        return f"(int64_t)({code}&{(1 << ctype.bits) - 1}ULL)"


def _compare(op: str, left: Interval, right: Interval) -> bool | None:
    """What a comparison of two intervals gives, if that is certain."""
    (a, b), (c, d) = left, right
    match op:
        case "==" | "!=":
            if b < c or d < a:
                return op == "!="
            return op == "==" if a == b == c == d else None
        case "<" | ">=":
            return (op == "<") if b < c else (op == ">=") if a >= d else None
        case _:
            return (op == ">") if a > d else (op == "<=") if b <= c else None


def _fits(span: Interval) -> bool:
    return _INT64[0] <= span[0] and span[1] <= _INT64[1]


def place(slot: Slot, code: str) -> str:
    """The offset of an element whose index is given as C code."""
    if code.isdigit():
        return str(slot.at(int(code)))
    scaled = code if slot.width == 1 else f"{slot.width}*{code}"
    return f"({slot.offset}+{scaled})" if slot.offset or slot.width > 1 else scaled
