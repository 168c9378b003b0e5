"""Expressions of the IR as Python source over a byte vector ``v``.

Masks are left out where the result's interval shows that they change nothing, bounds checks
where the index cannot be outside.  Truth values may appear as Python's ``True``/``False``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..lang import ir
from . import semantics
from .errors import InternalError
from .intervals import Env, Ranges
from .layout import Slot
from .semantics import COMPARISONS


class OutOfBounds(Exception):
    """Raised by generated code that reads outside a variable; the argument names the place."""


HELPERS = '''
def _oob(where):
    raise OutOfBounds(where)

def _next(v, offset, capacity, node, empty):
    at = v.find(node, offset, offset + capacity) if 0 <= node < 256 and node != empty else -1
    return v[at + 1] if 0 <= at < offset + capacity - 1 else empty

def _insert_head(v, offset, capacity, node, anchor, empty):
    end = offset + capacity
    if node == empty or v.find(node, offset, end) >= 0 or v[end - 1] != empty:
        return True
    v[offset + 1:end] = v[offset:end - 1]
    v[offset] = node

def _insert_tail(v, offset, capacity, node, anchor, empty):
    end = offset + capacity
    if node == empty or v.find(node, offset, end) >= 0 or v[end - 1] != empty:
        return True
    v[v.find(empty, offset, end)] = node

def _insert_before(v, offset, capacity, node, anchor, empty):
    end = offset + capacity
    if node == empty or v.find(node, offset, end) >= 0 or v[end - 1] != empty:
        return True
    at = v.find(anchor, offset, end) if 0 <= anchor < 256 and anchor != empty else -1
    if at < 0:
        return True
    v[at + 1:end] = v[at:end - 1]
    v[at] = node

def _insert_after(v, offset, capacity, node, anchor, empty):
    end = offset + capacity
    if node == empty or v.find(node, offset, end) >= 0 or v[end - 1] != empty:
        return True
    at = v.find(anchor, offset, end) if 0 <= anchor < 256 and anchor != empty else -1
    if at < 0:
        return True
    v[at + 2:end] = v[at + 1:end - 1]
    v[at + 1] = node

def _remove(v, offset, capacity, node, empty):
    end = offset + capacity
    at = v.find(node, offset, end) if 0 <= node < 256 and node != empty else -1
    if at < 0:
        return True
    v[at:end - 1] = v[at + 1:end]
    v[end - 1] = empty
'''


def plus(code: str, value: int) -> str:
    """``code + value`` with the zero left out."""
    if value == 0:
        return code
    return f"({code}+{value})" if value > 0 else f"({code}-{-value})"


@dataclass(slots=True)
class ExprGen:
    """Generates expressions in one context.

    ``local`` gives the source of a local read; ``place`` names the instruction in errors.
    """

    program: ir.Program
    slots: list[Slot]
    ranges: Ranges
    env: Env
    local: Callable[[ir.Local, ExprGen], str]
    place: str = "None"

    def address(self, slot: Slot, length: int, index: ir.Expr) -> tuple[str, str]:
        """The source of an element's offset, and a condition (or "") that it is inside."""
        if isinstance(index, ir.Const):
            inside = 0 <= index.value < length
            return str(slot.at(index.value if inside else 0)), "" if inside else "False"
        low, high = self.ranges.of(index, self.env)
        code = self.value(index)
        scaled = code if slot.width == 1 else f"{slot.width}*{code}"
        offset = f"{slot.offset}+{scaled}" if slot.offset else scaled
        return offset, "" if low >= 0 and high < length else f"0<={code}<{length}"

    def read(self, slot: Slot, length: int, index: ir.Expr) -> str:
        """The source of an element's value."""
        offset, inside = self.address(slot, length, index)
        if inside == "False":
            return f"_oob({self.place})"
        code = plus(load(slot.width, offset), slot.low)
        return f"({code} if {inside} else _oob({self.place}))" if inside else code

    def value(self, expr: ir.Expr) -> str:
        """The source of an expression's value (parenthesised where it matters)."""
        match expr:
            case ir.Const(value):
                return str(value) if value >= 0 else f"({value})"
            case ir.Local():
                return self.local(expr, self)
            case ir.Shared(var, index):
                return self.read(self.slots[var], self.program.shared[var].length, index)
            case ir.Unary():
                return self._unary(expr)
            case ir.Binary(op, left, right, _):
                if op in ("and", "or"):
                    return f"(1 if {self.test(expr)} else 0)"
                if op in COMPARISONS:
                    return f"({self.value(left)}{op}{self.value(right)})"
                return self._binary(expr)
            case ir.Cond(test, then, other):
                first = self._within(test, True).value(then)
                second = self._within(test, False).value(other)
                return f"({first} if {self.test(test)} else {second})"
            case ir.ListNext(ref, node):
                base, empty, low = self.list_base(ref)
                return plus(
                    f"_next(v,{base},{ref.capacity},{plus(self.value(node), -low)},{empty})", low
                )
            case ir.Param(name):
                raise InternalError(f"parameter {name} has no value")

    def list_base(self, ref: ir.ListRef) -> tuple[str, int, int]:
        """The source of a list's offset, its raw empty value, and its bias."""
        slot = self.slots[ref.var]
        if slot.width != 1:
            raise InternalError("lists of wide elements are not supported")
        length = self.program.shared[ref.var].length - ref.capacity + 1
        offset, inside = self.address(slot, length, ref.base)
        if inside:
            offset = f"({offset} if {inside} else _oob({self.place}))"
        return offset, ref.empty - slot.low, slot.low

    def _within(self, test: ir.Expr, truth: bool) -> ExprGen:
        return ExprGen(
            self.program, self.slots, self.ranges,
            self.ranges.refine(test, truth, self.env), self.local, self.place,
        )  # fmt: skip

    def test(self, expr: ir.Expr) -> str:
        """The source of a condition: only its truth matters."""
        match expr:
            case ir.Binary("and", left, right, _):
                second = self._within(left, True).test(right)
                return f"({self.test(left)} and {second})"
            case ir.Binary("or", left, right, _):
                second = self._within(left, False).test(right)
                return f"({self.test(left)} or {second})"
            case ir.Unary("not", operand, _):
                return f"(not {self.test(operand)})"
        return self.value(expr)

    def wrapped(self, code: str, raw: tuple[int, int], ctype: ir.CType) -> str:
        """Reduce to the type, unless the interval shows that nothing changes."""
        low, high = raw
        if ctype.minimum <= low and high <= ctype.maximum:
            return code
        mask = (1 << ctype.bits) - 1
        if not ctype.signed:
            return f"({code}&{mask})"
        half = 1 << (ctype.bits - 1)
        return f"(({code}+{half}&{mask})-{half})"

    def _unary(self, expr: ir.Unary) -> str:
        raw = self.ranges.raw(expr, self.env)
        if expr.op == "not":
            return f"(not {self.test(expr.operand)})"
        code = self.value(expr.operand)
        if expr.op == "-":
            code = f"(-{code})"
        elif expr.op == "~":
            code = f"(-1-{code})"
        return self.wrapped(code, raw, expr.ctype)

    def _binary(self, expr: ir.Binary) -> str:
        op, ctype = expr.op, expr.ctype
        left, right = self.value(expr.left), self.value(expr.right)
        (low, _), (low2, high2) = (
            self.ranges.of(expr.left, self.env),
            self.ranges.of(expr.right, self.env),
        )
        if op in ("min", "max"):
            sign = "<=" if op == "min" else ">="
            if len(left) + len(right) < 60:
                code = f"({left} if {left}{sign}{right} else {right})"
            else:
                code = f"{op}({left},{right})"
        elif op in ("//", "%"):
            if low >= 0 and low2 > 0:
                code = f"({left}{op}{right})"
            else:
                code = f"{'divide' if op == '//' else 'modulo'}({left},{right})"
        elif op in ("<<", ">>"):
            if 0 <= low2 and high2 < ctype.bits:
                code = f"({left}{op}{right})"
            else:
                name = "shift_left" if op == "<<" else "shift_right"
                code = f"{name}({left},{right},{ctype.bits})"
        else:
            code = f"({left}{op}{right})"
        return self.wrapped(code, self.ranges.raw(expr, self.env), ctype)


def load(width: int, offset: str) -> str:
    """The source that reads a raw slot."""
    if width == 1:
        return f"v[{offset}]"
    if width == 2 and offset.isdigit():
        return f"(v[{offset}]|v[{int(offset) + 1}]<<8)"
    return f"int.from_bytes(v[(o_:={offset}):o_+{width}],'little')"


def store(width: int, offset: str, code: str) -> list[str]:
    """Source lines that write a raw slot."""
    if width == 1:
        return [f"v[{offset}]={code}"]
    if offset.isdigit():
        start, end = offset, str(int(offset) + width)
    else:
        start, end = f"(o_:={offset})", f"o_+{width}"
    return [f"v[{start}:{end}]=({code}).to_bytes({width},'little')"]


def namespace() -> dict[str, Any]:
    """What generated code refers to."""
    scope: dict[str, Any] = {
        "OutOfBounds": OutOfBounds,
        "W": set(),
        "divide": semantics.divide,
        "modulo": semantics.modulo,
        "shift_left": semantics.shift_left,
        "shift_right": semantics.shift_right,
    }
    scope.update({f"Z{length}": bytes(length) for length in range(1, 513)})
    exec(compile(HELPERS, "<helpers>", "exec"), scope)
    return scope
