"""Expressions of the IR as Promela, exactly: 32-bit ints, no overflow, no index outside.

Promela computes in C's ``int``.  An operation is printed as it is where its interval shows
that the mathematical result fits; masks are added where it wraps to a narrower type.  Bits
that lie above an int's are computed with only where a mask takes them off again.  What is
left is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..explore import semantics
from ..explore.intervals import Env, Interval, Ranges
from ..explore.semantics import COMPARISONS
from ..lang import ir
from .errors import ExportError
from .names import INT_MAX, INT_MIN

FALSE, TRUE = ir.Const(0, ir.BOOL), ir.Const(1, ir.BOOL)


# ------------------------------------------------------------------- building


def both(left: ir.Expr, right: ir.Expr) -> ir.Expr:
    return fold(ir.Binary("and", left, right, ir.BOOL))


def either(left: ir.Expr, right: ir.Expr) -> ir.Expr:
    return fold(ir.Binary("or", left, right, ir.BOOL))


def negated(expr: ir.Expr) -> ir.Expr:
    return fold(ir.Unary("not", expr, ir.BOOL))


def compare(op: str, left: ir.Expr, right: ir.Expr | int) -> ir.Expr:
    other = ir.Const(right) if isinstance(right, int) else right
    return fold(ir.Binary(op, left, other, ir.BOOL))


def fold(expr: ir.Expr) -> ir.Expr:
    """The expression with its outermost operation computed where its operands are constant."""
    match expr:
        case ir.Unary(op, ir.Const(value), ctype):
            return ir.Const(semantics.unary(op, value, ctype), ctype)
        case ir.Unary("not", ir.Unary("not", ir.Binary(op) as inner)) if (
            op in COMPARISONS or op in ("and", "or")
        ):
            return inner
        case ir.Binary("and", ir.Const(value), other) | ir.Binary("and", other, ir.Const(value)):
            return _truth(other) if value else FALSE
        case ir.Binary("or", ir.Const(value), other) | ir.Binary("or", other, ir.Const(value)):
            return TRUE if value else _truth(other)
        case ir.Binary(op, ir.Const(left), ir.Const(right), ctype):
            return ir.Const(semantics.binary(op, left, right, ctype), ctype)
        case ir.Cond(ir.Const(value), then, other):
            return then if value else other
    return expr


def _truth(expr: ir.Expr) -> ir.Expr:
    match expr:
        case ir.Const(value):
            return TRUE if value else FALSE
        case ir.Binary(op) if op in COMPARISONS or op in ("and", "or"):
            return expr
        case ir.Unary("not"):
            return expr
    return ir.Binary("!=", expr, ir.Const(0), ir.BOOL)


def element(ref: ir.ListRef, position: int) -> ir.Shared:
    """The item at a position of a list."""
    base = ref.base
    if isinstance(base, ir.Const):
        return ir.Shared(ref.var, ir.Const(base.value + position))
    return ir.Shared(ref.var, ir.Binary("+", base, ir.Const(position), ir.INT32))


def next_in_list(expr: ir.ListNext) -> ir.Expr:
    """What stands behind a node, item by item: the list is a prefix, the rest ``empty``."""
    ref = expr.list
    result: ir.Expr = ir.Const(ref.empty)
    for at in reversed(range(ref.capacity - 1)):
        here = compare("==", element(ref, at), expr.node)
        result = fold(ir.Cond(here, element(ref, at + 1), result))
    return result


def absent(ref: ir.ListRef, node: ir.Expr) -> ir.Expr:
    """The node is not in the list."""
    result: ir.Expr = FALSE
    for at in reversed(range(ref.capacity)):
        result = either(compare("==", element(ref, at), node), result)
    return either(compare("==", node, ref.empty), negated(result))


def impossible(action: ir.ListInsert | ir.ListRemove) -> ir.Expr:
    """Where a list operation is a ``list`` violation (see :mod:`..explore.semantics`)."""
    ref, node = action.list, action.node
    if isinstance(action, ir.ListRemove):
        return absent(ref, node)
    full = compare("!=", element(ref, ref.capacity - 1), ref.empty)
    result = either(compare("==", node, ref.empty), either(negated(absent(ref, node)), full))
    if action.anchor is not None:
        result = either(result, absent(ref, action.anchor))
    return result


@dataclass(frozen=True, slots=True)
class Faults:
    """The conditions under which an expression reads outside a variable."""

    ranges: Ranges

    def outside(self, index: ir.Expr, length: int, env: Env) -> ir.Expr:
        """The index is not an element of a variable of that length."""
        low, high = self.ranges.of(index, env)
        below = compare("<", index, 0) if low < 0 else FALSE
        above = compare(">=", index, length) if high >= length else FALSE
        return either(below, above)

    def of(self, expr: ir.Expr, env: Env) -> ir.Expr:
        """True where evaluating the expression is an ``index`` violation."""
        match expr:
            case ir.Const() | ir.Param() | ir.Local(_, None):
                return FALSE
            case ir.Local(var, index) if index is not None:
                assert self.ranges.thread is not None
                length = self.ranges.thread.locals[var].length
                return either(self.of(index, env), self.outside(index, length, env))
            case ir.Shared(var, index):
                length = self.ranges.program.shared[var].length
                return either(self.of(index, env), self.outside(index, length, env))
            case ir.Unary(_, operand):
                return self.of(operand, env)
            case ir.Binary("and" | "or", left, right):
                lazy = expr.op == "and"
                second = self.of(right, self.ranges.refine(left, lazy, env))
                reached = left if lazy else negated(left)
                return either(self.of(left, env), both(reached, second))
            case ir.Binary(_, left, right):
                return either(self.of(left, env), self.of(right, env))
            case ir.Cond(test, then, other):
                one = self.of(then, self.ranges.refine(test, True, env))
                two = self.of(other, self.ranges.refine(test, False, env))
                rest = FALSE if one == two == FALSE else fold(ir.Cond(test, one, two))
                return either(self.of(test, env), rest)
            case ir.ListNext(ref, node):
                return either(self.of_list(ref, env), self.of(node, env))
        raise TypeError(expr)

    def of_list(self, ref: ir.ListRef, env: Env) -> ir.Expr:
        length = self.ranges.program.shared[ref.var].length - ref.capacity + 1
        return either(self.of(ref.base, env), self.outside(ref.base, length, env))


# ------------------------------------------------------------------- printing


def _fits(span: Interval) -> bool:
    return INT_MIN <= span[0] and span[1] <= INT_MAX


def number(value: int) -> str:
    if value == INT_MIN:
        return f"({INT_MIN + 1} - 1)"
    return str(value) if value >= 0 else f"({value})"


@dataclass(frozen=True, slots=True)
class Number:
    """A printed number: the text, an interval of the int it computes, and what that means.

    ``modulo`` 0: it is the value.  Otherwise the value is of an unsigned type of that many
    bits (32 or more), and the int is congruent to it: the value itself where it is not
    negative, and otherwise less by ``2 ** modulo``.
    """

    text: str
    span: Interval
    modulo: int = 0


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints expressions in one context: what is known of the locals, how variables are called.

    ``what`` names the instruction in refusals.  Reads outside a variable must have been
    excluded (:class:`Faults`).  Where ``obliged`` is a list, an operation that may overflow is
    printed all the same, and the list gets conditions under which it does not: the caller has
    to check them.
    """

    ranges: Ranges
    env: Env
    shared: Sequence[str]
    local: Callable[[int, int], str]
    array: Mapping[int, str]
    what: str
    obliged: list[str] | None = None

    def _refuse(self) -> ExportError:
        return ExportError(f"{self.what}: a value does not fit into the 32 bits of Promela's int")

    def _within(self, test: ir.Expr, truth: bool) -> Printer:
        env = self.ranges.refine(test, truth, self.env)
        return replace(self, env=env)

    def place(self, target: ir.Local | ir.Shared) -> str:
        """A variable's element, to read or to store."""
        if isinstance(target, ir.Shared):
            name = self.shared[target.var]
            if self.ranges.program.shared[target.var].length == 1:
                return name
            return f"{name}[{self._index(target.index)}]"
        if target.index is None or isinstance(target.index, ir.Const):
            return self.local(target.var, 0 if target.index is None else target.index.value)
        assert self.ranges.thread is not None
        if self.ranges.thread.locals[target.var].length == 1:
            return self.local(target.var, 0)
        return f"{self.array[target.var]}[{self._index(target.index)}]"

    def _index(self, index: ir.Expr) -> str:
        return bare(self.stored(index))

    def test(self, expr: ir.Expr) -> str:
        """A condition: only its truth matters."""
        match expr:
            case ir.Binary("and" | "or", left, right):
                first = self.test(left)
                second = self._within(left, expr.op == "and").test(right)
                return _joined(expr.op, first, second)
            case ir.Unary("not", operand):
                return _negated(self.test(operand))
        return self.number(expr).text

    def value(self, expr: ir.Expr) -> str:
        """An expression's value; operations are in brackets."""
        made = self.number(expr)
        if made.modulo:
            raise self._refuse()
        return made.text

    def stored(self, expr: ir.Expr) -> str:
        """An expression's value that has been found to be in the range of a variable."""
        return self.number(expr).text

    def number(self, expr: ir.Expr) -> Number:
        """An expression's value, or what it is congruent to."""
        span = self.ranges.of(expr, self.env)
        if span[0] == span[1] and _fits(span):
            return Number(number(span[0]), span)
        match expr:
            case ir.Const(value, ctype):
                high = (1 << ctype.bits) if value > 0 else 0
                if not _fits((value - high, value - high)):
                    raise self._refuse()
                return Number(number(value - high), (value - high, value - high), ctype.bits)
            case ir.Local() | ir.Shared():
                if not _fits(span):
                    raise self._refuse()
                return Number(self.place(expr), span)
            case ir.ListNext():
                return Number(self.value(next_in_list(expr)), span)
            case ir.Cond(test, then, other):
                return self._either(
                    self.test(test),
                    self._within(test, True).number(then),
                    self._within(test, False).number(other),
                )
            case ir.Unary("not"):
                return _logical(_negated(self.test(expr.operand)))
            case ir.Binary("and" | "or"):
                text = self.test(expr)
                return _logical(text if text in ("0", "1") else f"({text} != 0)")
            case ir.Binary(op, left, right) if op in COMPARISONS:
                return _logical(self._compared(op, self.number(left), self.number(right)))
            case ir.Unary() | ir.Binary():
                return self._operation(expr)
        raise ExportError(f"{self.what}: the parameter {expr.name} has no value")

    def _either(self, test: str, one: Number, two: Number) -> Number:
        span = min(one.span[0], two.span[0]), max(one.span[1], two.span[1])
        moduli = {side.modulo for side in (one, two) if side.modulo}
        if len(moduli) > 1:
            raise self._refuse()
        return Number(f"({test} -> {one.text} : {two.text})", span, max(moduli, default=0))

    def _compared(self, op: str, one: Number, two: Number) -> str:
        """A comparison; what is negative modulo a power of two is larger than any int."""
        if op in (">", ">="):
            return self._compared("<" if op == ">" else "<=", two, one)
        plain = f"({one.text} {op} {two.text})"
        if not one.modulo and not two.modulo:
            return _decided(op, one.span, two.span) or plain
        if one.modulo and two.modulo and one.modulo != two.modulo:
            raise self._refuse()
        for side in (one, two):
            if not side.modulo and side.span[0] < 0:
                raise self._refuse()
        if op in ("==", "!="):
            return plain
        if not two.modulo:
            return f"({one.text} >= 0 && {plain})"
        if not one.modulo:
            return f"({two.text} < 0 || {plain})"
        same = f"(({one.text} < 0) == ({two.text} < 0))"
        return f"({same} -> {plain} : ({two.text} < 0))"

    def _operation(self, expr: ir.Unary | ir.Binary) -> Number:
        """Arithmetic: the mathematical result must fit an int before it wraps to the type."""
        ctype = expr.ctype
        if isinstance(expr, ir.Binary):
            if expr.op == "&":
                spans = [self.ranges.of(side, self.env) for side in (expr.left, expr.right)]
                small = [high for low, high in spans if low >= 0 and high <= INT_MAX]
                if small:
                    code = f"({self.low_bits(expr.left)} & {self.low_bits(expr.right)})"
                    return self._narrow(code, (0, min(small)), ctype)
            if expr.op in ("min", "max"):
                one, two = self.number(expr.left), self.number(expr.right)
                test = self._compared("<=" if expr.op == "min" else ">=", one, two)
                made = self._either(test, one, two)
                span = self.ranges.of(expr, self.env)
                return Number(made.text, span) if _fits(span) else made
        operands = [self.number(side) for side in ir.children(expr)]
        exact = not any(side.modulo for side in operands)
        if any(side.modulo and side.modulo < ctype.bits for side in operands):
            raise self._refuse()
        raw = self.ranges.raw(expr, self.env) if exact else None
        if raw is None or not _fits(raw):
            raw = _residue(expr, operands)
        if raw is None or not _fits(raw):
            if ctype.bits < 32:
                return self._narrow(self._low(expr), None, ctype)
            operands = self._small(expr, operands)
            raw = _residue(expr, operands)
            if raw is None or not _fits(raw):
                raise self._refuse()
        code = self._plain(expr, operands)
        if ctype.bits < 32:
            return self._narrow(code, raw, ctype)
        if ctype.signed or raw[0] >= 0:
            return Number(code, raw)
        return Number(code, raw, ctype.bits)

    def _small(self, expr: ir.Unary | ir.Binary, operands: list[Number]) -> list[Number]:
        """The operands, as small as the operation needs them: that becomes an obligation."""
        if self.obliged is None:
            return operands
        sizes = [_SMALL.get(expr.op, 0)] * len(operands)
        if expr.op == "<<":
            sizes = [29 - min(29, max(0, operands[1].span[1])), 29]
        result: list[Number] = []
        for side, size in zip(operands, sizes, strict=True):
            low, high = max(side.span[0], -(1 << size)), min(side.span[1], 1 << size)
            if (low, high) != side.span:
                if side.modulo or low > high:
                    raise self._refuse()
                tests = [f"{side.text} >= {number(low)}"] if low > side.span[0] else []
                tests += [f"{side.text} <= {high}"] if high < side.span[1] else []
                self.obliged.extend(tests)
            result.append(Number(side.text, (low, high), side.modulo))
        return result

    def _narrow(self, code: str, raw: Interval | None, ctype: ir.CType) -> Number:
        """The value reduced to a type, where that changes something."""
        if raw is not None and ctype.minimum <= raw[0] and raw[1] <= ctype.maximum:
            return Number(code, raw)
        if ctype.bits >= 32:
            raise self._refuse()
        span = ctype.minimum, ctype.maximum
        mask = (1 << ctype.bits) - 1
        if not ctype.signed:
            return Number(f"({code} & {mask})", span)
        half = 1 << (ctype.bits - 1)
        return Number(f"((({code} & {mask}) ^ {half}) - {half})", span)

    def _plain(self, expr: ir.Unary | ir.Binary, operands: list[Number]) -> str:
        """An operation whose mathematical result fits an int."""
        left = operands[0].text
        if isinstance(expr, ir.Unary):
            match expr.op:
                case "-":
                    return f"(-{_bracketed(left)})"
                case "~":
                    return f"(~{_bracketed(left)})"
            return left
        right, (low, high) = operands[1].text, operands[1].span
        most = min(expr.ctype.bits, 32)
        match expr.op:
            case "//" | "%":
                mark = "/" if expr.op == "//" else "%"
                if low <= 0 <= high:
                    return f"(({right} == 0) -> 0 : {left} {mark} {right})"
                return f"({left} {mark} {right})"
            case "<<" | ">>":
                if 0 <= low and high < most:
                    return f"({left} {expr.op} {right})"
                rest = "0" if expr.op == "<<" else f"{left} >> 31"
                inside = f"({right} >= 0 && {right} < {most})"
                return f"({inside} -> {left} {expr.op} {right} : {rest})"
        return f"({left} {expr.op} {right})"

    def low_bits(self, expr: ir.Expr) -> str:
        """A text whose value has the low 32 bits of the expression's value."""
        try:
            return self.number(expr).text
        except ExportError:
            return self._low(expr)

    def _low(self, expr: ir.Expr) -> str:
        """The same of an operation before it wraps to its type."""
        match expr:
            case ir.Const(value):
                return number(ir.INT32.wrap(value))
            case ir.Unary("~", operand):
                return f"(~{_bracketed(self.low_bits(operand))})"
            case ir.Unary("cast", operand):
                return self.low_bits(operand)
            case ir.Binary("&" | "|" | "^" as op, left, right):
                return f"({self.low_bits(left)} {op} {self.low_bits(right)})"
        raise self._refuse()


def _decided(op: str, one: Interval, two: Interval) -> str:
    """The outcome of a comparison that the intervals tell; empty where they do not."""
    (a, b), (c, d) = one, two
    match op:
        case "<" if b < c or a >= d:
            return "1" if b < c else "0"
        case "<=" if b <= c or a > d:
            return "1" if b <= c else "0"
        case "==" | "!=" if b < c or a > d:
            return "0" if op == "==" else "1"
        case "==" | "!=" if a == b == c == d:
            return "1" if op == "==" else "0"
    return ""


def _joined(op: str, one: str, two: str) -> str:
    neutral, absorbing = ("1", "0") if op == "and" else ("0", "1")
    if absorbing in (one, two):
        return absorbing
    if neutral in (one, two):
        return two if one == neutral else one
    return f"({one} {'&&' if op == 'and' else '||'} {two})"


def _negated(text: str) -> str:
    if text in ("0", "1"):
        return "1" if text == "0" else "0"
    return f"!{_bracketed(text)}"


def _logical(text: str) -> Number:
    if text in ("0", "1"):
        return Number(text, (int(text), int(text)))
    return Number(text if _wrapped(text) else f"({text})", (0, 1))


_SMALL = {"+": 29, "-": 29, "*": 14}


def _residue(expr: ir.Unary | ir.Binary, operands: list[Number]) -> Interval | None:
    """The interval of an operation; None where it does not respect the operands' congruence."""
    (a, b) = operands[0].span
    if isinstance(expr, ir.Unary):
        return {"-": (-b, -a), "~": (~b, ~a), "cast": (a, b)}.get(expr.op)
    (c, d) = operands[1].span
    exact = not any(side.modulo for side in operands)
    match expr.op:
        case ">>" if exact:
            return min(a, 0), max(b, 0)
        case "//" if exact:
            return -max(abs(a), abs(b)), max(abs(a), abs(b))
        case "+":
            return a + c, b + d
        case "-":
            return a - d, b - c
        case "*":
            products = (a * c, a * d, b * c, b * d)
            return min(products), max(products)
        case "<<" if 0 <= c and d < 31:
            ends = (a << c, a << d, b << c, b << d)
            return min(ends), max(ends)
        case "&" | "|" | "^":
            size = max((end if end >= 0 else ~end).bit_length() for end in (a, b, c, d))
            return -(1 << size), (1 << size) - 1
    return None


def _wrapped(text: str) -> bool:
    """Is the whole text inside one pair of brackets?"""
    if not text.startswith("("):
        return False
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def bare(text: str) -> str:
    """A text without the brackets around all of it; a conditional one must keep its own."""
    return text[1:-1] if _wrapped(text) and " -> " not in text else text


def _bracketed(text: str) -> str:
    return text if _wrapped(text) or text.replace("_", "").isalnum() else f"({text})"
