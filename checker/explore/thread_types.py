"""Types for symmetry: which values are thread identities, sets of threads, or neither.

Every slot (the values of a shared variable, its indices, a local variable) gets one of three
types: :data:`THREAD` for thread numbers (other numbers in it, such as "nobody", name no thread),
:data:`MASK` for sets of threads (bit t for thread t), :data:`PLAIN` for all else.  The types say
what a permutation of threads does to a value, and the rules below are such that it commutes with
every expression: thread numbers are compared for equality, stored, used as indices, and turned
into masks, and nothing else is done to them (scalarsets: Ip and Dill 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from ..lang import ir

Type: TypeAlias = Literal["plain", "thread", "mask"]
PLAIN: Type = "plain"
THREAD: Type = "thread"
MASK: Type = "mask"

Slot: TypeAlias = tuple[object, ...]

# Bits of arithmetic types that hold any set of threads, or any thread's number.
_WIDE = 16


def single_bits(expr: ir.Expr) -> ir.Expr:
    """One form for tests of a single bit, ``(value >> k) & 1``; applied bottom-up.

    Constants were folded, so that a thread finds its own bit as ``value & 4``, or ``value & 1``.
    """
    match expr:
        case ir.Binary("&", value, ir.Const(1), ctype) if not _is_bit(expr):
            return _bit(value, 0, ctype)
        case ir.Binary("!=", value, ir.Const(0), _):
            test = bit_truth(value)
            return test if _is_bit(test) else expr
        case ir.Binary("==", value, ir.Const(0), _):
            test = bit_truth(value)
            return ir.Unary("not", test, ir.BOOL) if _is_bit(test) else expr
        case ir.Binary("and" | "or" as op, left, right, ctype):
            return ir.Binary(op, bit_truth(left), bit_truth(right), ctype)
        case ir.Unary("not", operand, ctype):
            return ir.Unary("not", bit_truth(operand), ctype)
        case ir.Cond(test, then, other):
            return ir.Cond(bit_truth(test), then, other)
    return expr


def bit_truth(expr: ir.Expr) -> ir.Expr:
    """The same for an expression of which only the truth matters."""
    match expr:
        case ir.Binary("&", value, ir.Const(bit), ctype) if bit > 1 and bit & (bit - 1) == 0:
            return _bit(value, bit.bit_length() - 1, ctype)
    return expr


def _bit(value: ir.Expr, where: int, ctype: ir.CType) -> ir.Expr:
    return ir.Binary("&", ir.Binary(">>", value, ir.Const(where), ctype), ir.Const(1), ctype)


def _is_bit(expr: ir.Expr) -> bool:
    match expr:
        case ir.Binary("&", ir.Binary(">>"), ir.Const(1), _):
            return True
    return False


class NotSymmetric(Exception):
    """The program treats thread numbers as numbers, or two threads differently."""


class Types:
    """The types of a program's slots, found by unification.

    Slots are ``("value", var)``, ``("index", var)`` and ``("local", thread, var)``; other keys
    stand for expressions.  ``hints`` gives types to constants, by their identity as objects.
    """

    def __init__(self, program: ir.Program, hints: Mapping[int, Type]) -> None:
        self.program, self.count, self.hints = program, len(program.threads), hints
        if self.count >= _WIDE:
            raise NotSymmetric("too many threads")
        self._parent: dict[Slot, Slot] = {}
        self._type: dict[Slot, Type] = {}
        self._fresh = 0
        # (the set, the thread's number, what kind of expression) decided when types are known
        self._pairs: list[tuple[Slot, Slot]] = []
        self._truths: list[Slot] = []
        for var, shared in enumerate(program.shared):
            if shared.domain.kind == "thread":
                self.require(("value", var), THREAD)
        for thread in program.threads:
            for var, local in enumerate(thread.locals):
                if local.domain.kind == "thread":
                    self.require(("local", thread.index, var), THREAD)

    # ------------------------------------------------------------------ unification

    def _root(self, slot: Slot) -> Slot:
        while (above := self._parent.get(slot)) is not None:
            slot = above
        return slot

    def unify(self, one: Slot, two: Slot) -> Slot:
        """Give two slots the same type.  Raises NotSymmetric."""
        one, two = self._root(one), self._root(two)
        if one != two:
            self._parent[two] = one
            if two in self._type:
                self.require(one, self._type.pop(two))
        return one

    def require(self, slot: Slot, type_: Type) -> Slot:
        """Give a slot a type.  Raises NotSymmetric where it has another one."""
        slot = self._root(slot)
        if self._type.setdefault(slot, type_) != type_:
            raise NotSymmetric(f"{slot} is used as {self._type[slot]} and as {type_}")
        return slot

    def of(self, slot: Slot) -> Type:
        """The type of a slot; what nothing is known of is plain."""
        return self._type.get(self._root(slot), PLAIN)

    def _new(self) -> Slot:
        self._fresh += 1
        return ("expression", self._fresh)

    # ---------------------------------------------------------------------- rules

    def settle(self) -> None:
        """Decide what depends on other types: shifts by a thread's number, truth of values."""
        changed = True
        while changed:
            changed = False
            for mask, thread in self._pairs:
                for one, two, type_, other in (
                    (mask, thread, MASK, THREAD), (thread, mask, THREAD, MASK),
                ):  # fmt: skip
                    if self.of(one) == type_ and self.of(two) != other:
                        self.require(two, other)
                        changed = True
        for slot in self._truths:
            if self.of(slot) == THREAD:
                raise NotSymmetric("a thread's number is used as a truth value")

    def action(self, thread: int, action: ir.Action) -> None:
        """Apply the rules to an instruction of a thread."""
        match action:
            case ir.Assign(target, value):
                self.unify(self.expr(target, thread), self.expr(value, thread))
            case ir.Branch(test) | ir.Wait(test) | ir.Check(test):
                self.truth(test, thread)
            case ir.Choose(target, count, _):
                self.require(self.expr(target, thread), PLAIN)
                self.require(self.expr(count, thread), PLAIN)
            case ir.ListInsert(ref, _, node, anchor):
                for item in (node, anchor):
                    if item is not None:
                        self._in_list(ref, item, thread)
            case ir.ListRemove(ref, node):
                self._in_list(ref, node, thread)

    def truth(self, expr: ir.Expr, thread: int | None) -> None:
        """Apply the rules to a condition: a set of threads is true if it is not empty."""
        self._truths.append(self.expr(expr, thread))

    def _in_list(self, ref: ir.ListRef, node: ir.Expr, thread: int | None) -> Slot:
        self.require(("index", ref.var), PLAIN)
        self.require(self.expr(ref.base, thread), PLAIN)
        return self.unify(("value", ref.var), self.expr(node, thread))

    def expr(self, expr: ir.Expr, thread: int | None) -> Slot:
        """The slot that has the expression's type."""
        match expr:
            case ir.Const():
                slot = self._new()
                if id(expr) in self.hints:
                    self.require(slot, self.hints[id(expr)])
                return slot
            case ir.Param():
                return self.require(self._new(), PLAIN)
            case ir.Local(var, index):
                if index is not None:
                    self.require(self.expr(index, thread), PLAIN)
                return ("local", thread, var)
            case ir.Shared(var, index):
                self.unify(("index", var), self.expr(index, thread))
                return ("value", var)
            case ir.Unary("not", operand, _):
                self.truth(operand, thread)
                return self.require(self._new(), PLAIN)
            case ir.Unary("cast", operand, ctype) if ctype.bits >= _WIDE:
                return self.expr(operand, thread)
            case ir.Unary("~", operand, ctype) if ctype.bits >= _WIDE:
                slot = self.expr(operand, thread)
                self._truths.append(slot)
                return slot
            case ir.Unary(_, operand, _):
                return self.require(self.expr(operand, thread), PLAIN)
            case ir.Binary():
                return self._binary(expr, thread)
            case ir.Cond(test, then, other):
                self.truth(test, thread)
                return self.unify(self.expr(then, thread), self.expr(other, thread))
            case ir.ListNext(ref, node):
                return self._in_list(ref, node, thread)

    def _binary(self, expr: ir.Binary, thread: int | None) -> Slot:
        match expr:
            case ir.Binary("and" | "or", left, right, _):
                self.truth(left, thread)
                self.truth(right, thread)
                return self.require(self._new(), PLAIN)
            case ir.Binary("==" | "!=", left, right, _):
                self.unify(self.expr(left, thread), self.expr(right, thread))
                return self.require(self._new(), PLAIN)
            case ir.Binary("&", ir.Binary(">>", mask, shift, _), ir.Const(1), _):
                self._pairs.append((self.expr(mask, thread), self.expr(shift, thread)))
                return self.require(self._new(), PLAIN)
            case ir.Binary("<<", ir.Const(1), shift, ctype) if ctype.bits >= _WIDE:
                slot = self._new()
                self._pairs.append((slot, self.expr(shift, thread)))
                return slot
            case ir.Binary("&" | "|" | "^", left, right, ctype) if ctype.bits >= _WIDE:
                slot = self.unify(self.expr(left, thread), self.expr(right, thread))
                self._truths.append(slot)
                return slot
        self.require(self.expr(expr.left, thread), PLAIN)
        self.require(self.expr(expr.right, thread), PLAIN)
        return self.require(self._new(), PLAIN)

    # ------------------------------------------------------------------- permuting

    def value(self, value: int, type_: Type, order: Sequence[int]) -> int:
        """A value after thread t has become ``order[t]``."""
        if type_ == THREAD:
            return order[value] if 0 <= value < self.count else value
        if type_ == MASK:
            rest = value & ~((1 << self.count) - 1)
            return rest | sum(1 << order[t] for t in range(self.count) if value >> t & 1)
        return value

    def type(self, expr: ir.Expr, thread: int | None) -> Type | None:
        """The type of an expression by its parts; None where any constant would do."""
        match expr:
            case ir.Const() | ir.Param():
                return None
            case ir.Local(var):
                return self.of(("local", thread, var))
            case ir.Shared(var) | ir.ListNext(ir.ListRef(var)):
                return self.of(("value", var))
            case ir.Unary("cast" | "~", operand, _):
                return self.type(operand, thread)
            case ir.Binary("<<", ir.Const(1), shift, _):
                return MASK if self.type(shift, thread) == THREAD else PLAIN
            case ir.Binary("&", ir.Binary(">>"), ir.Const(1), _):
                return PLAIN
            case ir.Binary("&" | "|" | "^", left, right, _):
                return self.type(left, thread) or self.type(right, thread)
            case ir.Cond(_, then, other):
                return self.type(then, thread) or self.type(other, thread)
        return PLAIN

    def rename(
        self, expr: ir.Expr, order: Sequence[int], thread: int | None, wanted: Type | None = None
    ) -> ir.Expr:
        """The expression with its constants permuted; its locals are then another thread's."""
        wanted = self.type(expr, thread) or wanted or PLAIN

        def plain(part: ir.Expr) -> ir.Expr:
            return self.rename(part, order, thread, PLAIN)

        def like(part: ir.Expr) -> ir.Expr:
            return self.rename(part, order, thread, wanted)

        match expr:
            case ir.Const(value, ctype):
                return ir.Const(self.value(value, wanted, order), ctype)
            case ir.Local(var, index):
                return ir.Local(var, None if index is None else plain(index))
            case ir.Shared(var, index):
                kind = self.of(("index", var))
                return ir.Shared(var, self.rename(index, order, thread, kind))
            case ir.Unary(op, operand, ctype):
                return ir.Unary(op, like(operand) if op in ("cast", "~") else plain(operand), ctype)
            case ir.Binary("==" | "!=" as op, left, right, ctype):
                kind_ = self.type(left, thread) or self.type(right, thread) or PLAIN
                one, two = (self.rename(part, order, thread, kind_) for part in (left, right))
                return ir.Binary(op, one, two, ctype)
            case ir.Binary("&", ir.Binary(">>", mask, shift, inner), ir.Const(1) as bit, ctype):
                kind_ = THREAD if self.type(mask, thread) == MASK else PLAIN
                moved = self.rename(shift, order, thread, kind_)
                return ir.Binary("&", ir.Binary(">>", plain(mask), moved, inner), bit, ctype)
            case ir.Binary("<<", ir.Const(1) as bit, shift, ctype):
                kind_ = THREAD if wanted == MASK else PLAIN
                return ir.Binary("<<", bit, self.rename(shift, order, thread, kind_), ctype)
            case ir.Binary("&" | "|" | "^" as op, left, right, ctype):
                return ir.Binary(op, like(left), like(right), ctype)
            case ir.Binary(op, left, right, ctype):
                return ir.Binary(op, plain(left), plain(right), ctype)
            case ir.Cond(test, then, other):
                return ir.Cond(plain(test), like(then), like(other))
            case ir.ListNext(ref, node):
                return ir.ListNext(self._list(ref, order, thread), like(node))
        return expr

    def _list(self, ref: ir.ListRef, order: Sequence[int], thread: int | None) -> ir.ListRef:
        if self.value(ref.empty, self.of(("value", ref.var)), order) != ref.empty:
            raise NotSymmetric("a list marks its end with a thread")
        return ir.ListRef(
            ref.var, self.rename(ref.base, order, thread, PLAIN), ref.capacity, ref.empty
        )

    def rename_action(self, action: ir.Action, order: Sequence[int], thread: int) -> ir.Action:
        """The instruction with its constants permuted."""

        def plain(part: ir.Expr) -> ir.Expr:
            return self.rename(part, order, thread, PLAIN)

        match action:
            case ir.Assign(target, value):
                moved = self.rename(target, order, thread)
                assert isinstance(moved, ir.Local | ir.Shared)
                kind = self.type(target, thread)
                return ir.Assign(moved, self.rename(value, order, thread, kind))
            case ir.Branch(test, other):
                return ir.Branch(plain(test), other)
            case ir.Choose(target, count, label):
                moved = self.rename(target, order, thread)
                assert isinstance(moved, ir.Local)
                return ir.Choose(moved, plain(count), label)
            case ir.Wait(guard, reason, rest):
                return ir.Wait(plain(guard), reason, rest)
            case ir.Check(test, name, message):
                return ir.Check(plain(test), name, message)
            case ir.ListInsert(ref, where, node, anchor):
                kind = self.of(("value", ref.var))
                return ir.ListInsert(
                    self._list(ref, order, thread), where,
                    self.rename(node, order, thread, kind),
                    None if anchor is None else self.rename(anchor, order, thread, kind),
                )  # fmt: skip
            case ir.ListRemove(ref, node):
                kind = self.of(("value", ref.var))
                moved_node = self.rename(node, order, thread, kind)
                return ir.ListRemove(self._list(ref, order, thread), moved_node)
        return action

    def closed(self, last: int) -> None:
        """See that permuting threads up to a number keeps values and indices in bounds."""
        everyone = (1 << (last + 1)) - 1
        for var, shared in enumerate(self.program.shared):
            self._fits(self.of(("value", var)), shared.domain, last, everyone)
            if self.of(("index", var)) == THREAD and shared.length <= last:
                raise NotSymmetric(f"{shared.name} has no element for each thread")
        for thread in self.program.threads:
            for var, local in enumerate(thread.locals):
                kind = self.of(("local", thread.index, var))
                self._fits(kind, local.domain, last, everyone)

    def _fits(self, type_: Type, domain: ir.Domain, last: int, everyone: int) -> None:
        if type_ == THREAD and not (domain.low <= 0 and last <= domain.high):
            raise NotSymmetric("a variable may hold some threads and not others")
        if type_ == MASK and not (domain.low == 0 and domain.high & everyone == everyone):
            raise NotSymmetric("a variable may hold some sets of threads and not others")
