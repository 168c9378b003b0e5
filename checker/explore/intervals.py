"""Value ranges of local variables: forward data flow over intervals.

Used only to leave out work: masks that cannot change a value, range and bounds checks that
cannot fail, conflicts between elements that cannot be the same.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TypeAlias

from ..lang import ir
from ..lang.simplify import reverse_postorder
from .liveness import Liveness, liveness
from .semantics import COMPARISONS

Interval: TypeAlias = tuple[int, int]
Env: TypeAlias = dict[int, Interval]

_WIDEN_AFTER = 4
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_SWAPPED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _fits(low: int, high: int, ctype: ir.CType) -> bool:
    return ctype.minimum <= low and high <= ctype.maximum


def _clamp(low: int, high: int, ctype: ir.CType) -> Interval:
    return (low, high) if _fits(low, high, ctype) else (ctype.minimum, ctype.maximum)


def _bits_above(value: int) -> int:
    return (1 << value.bit_length()) - 1


@dataclass(slots=True)
class Ranges:
    """Intervals of expressions of one thread (or, with no thread, of an invariant)."""

    program: ir.Program
    thread: ir.Thread | None = None

    def raw(self, expr: ir.Unary | ir.Binary, env: Env) -> Interval:
        """The mathematical result of an operation, before it wraps to its type."""
        if isinstance(expr, ir.Unary):
            low, high = self.of(expr.operand, env)
            match expr.op:
                case "-":
                    return -high, -low
                case "~":
                    return ~high, ~low
                case "not":
                    return 0, 1
            return low, high
        return self._binary(expr, self.of(expr.left, env), self.of(expr.right, env))

    def _binary(self, expr: ir.Binary, left: Interval, right: Interval) -> Interval:
        (a, b), (c, d) = left, right
        everything = (-(1 << 80), 1 << 80)
        op = expr.op
        if op in COMPARISONS or op in ("and", "or"):
            return 0, 1
        if op == "+":
            return a + c, b + d
        if op == "-":
            return a - d, b - c
        if op == "*":
            products = (a * c, a * d, b * c, b * d)
            return min(products), max(products)
        if op == "min":
            return min(a, c), min(b, d)
        if op == "max":
            return max(a, c), max(b, d)
        if op == "//":
            bound = max(abs(a), abs(b))
            return (0 if a >= 0 and c >= 0 else -bound), bound
        if op == "%":
            bound = max(abs(c), abs(d), 1) - 1
            bound = min(bound, max(abs(a), abs(b)))
            return (0 if a >= 0 else -bound), bound
        if op == "&":
            if c >= 0:
                return 0, (min(b, d) if a >= 0 else d)
            return (0, b) if a >= 0 else everything
        if op in ("|", "^"):
            if a >= 0 and c >= 0:
                return 0, _bits_above(max(b, d))
            if op == "^" and right == (-1, -1):
                return ~b, ~a
            return everything
        if op == "<<":
            if a >= 0 and 0 <= c and d <= 128:
                return (a << c if d < expr.ctype.bits else 0), b << d
            return everything
        if op == ">>":
            return (min(a, 0) if a < 0 else 0), max(b, 0)
        raise ValueError(f"unknown binary operator {op!r}")

    def of(self, expr: ir.Expr, env: Env) -> Interval:
        """The interval of an expression's value."""
        match expr:
            case ir.Const(value):
                return value, value
            case ir.Local(var, index):
                assert self.thread is not None
                domain = self.thread.locals[var].domain
                if index is None and var in env:
                    return env[var]
                return domain.low, domain.high
            case ir.Shared(var):
                domain = self.program.shared[var].domain
                return domain.low, domain.high
            case ir.Unary(_, _, ctype) | ir.Binary(_, _, _, ctype):
                if isinstance(expr, ir.Unary):
                    logical = expr.op == "not"
                else:
                    logical = expr.op in COMPARISONS or expr.op in ("and", "or")
                low, high = self.raw(expr, env)
                return (low, high) if logical else _clamp(low, high, ctype)
            case ir.Cond(test, then, other):
                one = self.of(then, self.refine(test, True, env))
                two = self.of(other, self.refine(test, False, env))
                return min(one[0], two[0]), max(one[1], two[1])
            case ir.ListNext(ref):
                domain = self.program.shared[ref.var].domain
                return min(domain.low, ref.empty), max(domain.high, ref.empty)
            case ir.Param(_, ctype):
                return ctype.minimum, ctype.maximum

    def refine(self, test: ir.Expr, truth: bool, env: Env) -> Env:
        """What is known of the locals where ``test`` is (not) true."""
        match test:
            case ir.Unary("not", operand, _):
                return self.refine(operand, not truth, env)
            case ir.Binary("and", left, right, _) if truth:
                return self.refine(right, True, self.refine(left, True, env))
            case ir.Binary("or", left, right, _) if not truth:
                return self.refine(right, False, self.refine(left, False, env))
            case ir.Binary(op, left, right, _) if op in COMPARISONS:
                relation = op if truth else _NEGATED[op]
                env = self._narrow(left, relation, self.of(right, env), env)
                return self._narrow(right, _SWAPPED[relation], self.of(left, env), env)
            case ir.Local(_, None):
                return self._narrow(test, "!=" if truth else "==", (0, 0), env)
        return env

    def _narrow(self, expr: ir.Expr, relation: str, other: Interval, env: Env) -> Env:
        while isinstance(expr, ir.Unary) and expr.op == "cast":
            low, high = self.of(expr.operand, env)
            if not _fits(low, high, expr.ctype):
                return env
            expr = expr.operand
        if not isinstance(expr, ir.Local) or expr.index is not None:
            return env
        low, high = self.of(expr, env)
        match relation:
            case "==":
                low, high = max(low, other[0]), min(high, other[1])
            case "<":
                high = min(high, other[1] - 1)
            case "<=":
                high = min(high, other[1])
            case ">":
                low = max(low, other[0] + 1)
            case ">=":
                low = max(low, other[0])
            case "!=" if other[0] == other[1]:
                low += low == other[0]
                high -= high == other[0]
        if low > high:  # cannot happen at run time; any interval is right
            return env
        return {**env, expr.var: (low, high)}


def _after(ranges: Ranges, instr: ir.Instr, env: Env) -> list[tuple[int, Env]]:
    """The successors of a node, each with what is known there."""
    action = instr.action
    thread = ranges.thread
    assert thread is not None
    match action:
        case ir.Assign(ir.Local(var, None), value):
            domain = thread.locals[var].domain
            low, high = ranges.of(value, env)
            low, high = max(low, domain.low), min(high, domain.high)
            env = {**env, var: (low, high) if low <= high else (domain.low, domain.high)}
        case ir.Choose(ir.Local(var, None), count):
            domain = thread.locals[var].domain
            high = min(ranges.of(count, env)[1] - 1, domain.high)
            low = max(0, domain.low)
            env = {**env, var: (low, high) if low <= high else (domain.low, domain.high)}
        case ir.Branch(test, other):
            return [
                (instr.next, ranges.refine(test, True, env)),
                (other, ranges.refine(test, False, env)),
            ]
        case ir.Check(test) | ir.Wait(test):
            env = ranges.refine(test, True, env)
    return [(successor, env) for successor in instr.successors()]


def analyse(
    program: ir.Program, thread: ir.Thread, live: Liveness | None = None
) -> list[Env]:
    """For every node of a thread the intervals of its live scalar locals just before it.

    What a node's entry does not mention may have any value of its domain.
    """
    live = live or liveness(thread)
    ranges = Ranges(program, thread)
    code = thread.code
    start: Env = {
        var: (declared.initial, declared.initial)
        for var, declared in enumerate(thread.locals)
        if declared.length == 1
        and not declared.is_array
        and live.before[thread.entry] >> live.offset[var] & 1
    }
    known: list[Env | None] = [None] * len(code)
    visits = [0] * len(code)
    known[thread.entry] = start
    # Nodes in reverse postorder: what comes before a node is settled first, but for loops.
    rank = {node: position for position, node in enumerate(reverse_postorder(thread))}
    todo = [(0, thread.entry)]
    while todo:
        _, node = heapq.heappop(todo)
        env = known[node]
        assert env is not None
        for successor, new in _after(ranges, code[node], env):
            old = known[successor]
            mask = live.before[successor]
            new = {var: span for var, span in new.items() if mask >> live.offset[var] & 1}
            if old is None:
                known[successor] = new
                heapq.heappush(todo, (rank[successor], successor))
                continue
            joined = _join(thread, old, new, visits[successor] >= _WIDEN_AFTER)
            if joined != old:
                visits[successor] += 1
                known[successor] = joined
                heapq.heappush(todo, (rank[successor], successor))
    return [env if env is not None else {} for env in known]


def _join(thread: ir.Thread, old: Env, new: Env, widen: bool) -> Env:
    result: Env = {}
    for var, (low, high) in old.items():
        if var not in new:
            continue
        low2, high2 = new[var]
        domain = thread.locals[var].domain
        if widen:
            low2 = domain.low if low2 < low else low
            high2 = domain.high if high2 > high else high
        result[var] = (min(low, low2), max(high, high2))
    return result
