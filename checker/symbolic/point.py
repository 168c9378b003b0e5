"""A point of a symbolic execution: expressions are evaluated here, and variables assigned.

What has to hold for that (no overflow, an index inside its array, stable bits kept) becomes an
obligation.  Shared variables that the frame does not track have any value at each read.
"""

from __future__ import annotations

from collections.abc import Iterable

import z3

from ..lang import ir
from .frame import Frame, Obligation
from .state import EXACT, INDEX, Key, Names, State, View, from_bits
from .terms import DoubtKind, Term, binary, compare, constant, convert, fresh, select, unary

ASSERTIONS = ("kassert", "panic")


class Point:
    """``node``, how it is reached, and the state there."""

    def __init__(self, program: ir.Program, frame: Frame) -> None:
        self.program, self.frame = program, frame
        (self.thread,) = program.threads
        self.names = Names.of(program, self.thread)
        self.obligations: list[Obligation] = []
        self.facts: list[z3.BoolRef] = []
        self.parameters: dict[str, Term] = {}
        self.inputs: dict[str, Term] = {}
        self.counter = 0
        # For executing a model's values: arguments by number, reads by name and by node.
        self.local_inputs: dict[int, Term] = {}
        self.reads: list[tuple[str, Term]] = []
        self.node_reads: dict[int, list[Term]] = {}
        self.stable = {program.shared[n].name: z3.Array(
            f"stable.{program.shared[n].name}", z3.BitVecSort(INDEX),
            z3.BitVecSort(program.shared[n].domain.ctype.bits))
            for n in range(len(program.shared)) if program.shared[n].name in frame.stable}
        self.node = 0
        self.reach: z3.BoolRef = z3.BoolVal(True)
        self.state = State()
        self.guards: list[z3.BoolRef] = []
        for expr in self._all_expressions():
            if isinstance(expr, ir.Param) and expr.name not in self.parameters:
                self.parameters[expr.name] = fresh(f"param.{expr.name}", expr.ctype)

    def _all_expressions(self) -> Iterable[ir.Expr]:
        for instr in self.thread.code:
            for root in ir.action_reads(instr.action):
                yield from ir.walk(root)

    def view(self, state: State, within: Iterable[Key] = ()) -> View:
        return View(self.names, state, self.parameters, within)

    def _new(self, name: str, ctype: ir.CType) -> Term:
        self.counter += 1
        return fresh(f"{name}!{self.counter}", ctype)

    def _array(self, name: str, ctype: ir.CType) -> z3.ArrayRef:
        return z3.Array(name, z3.BitVecSort(INDEX), z3.BitVecSort(ctype.bits))

    def _typed(self, term: Term, domain: ir.Domain) -> None:
        """What the type alone says: integers are anything of their C type."""
        if domain.kind != "int" and domain.kind != "bool":
            self.facts.append(compare(">=", term, constant(domain.low, ir.INT32)))
            self.facts.append(compare("<=", term, constant(domain.high, ir.INT32)))

    # ---------------------------------------------------------------- expressions

    def eval(self, expr: ir.Expr) -> Term:
        """The value of an expression here; doubts about it become obligations."""
        match expr:
            case ir.Const(value, ctype):
                return constant(value, ctype)
            case ir.Param(name):
                return self.parameters[name]
            case ir.Local(var, position):
                if position is None:
                    return self.state.scalars["local", var]
                return self._read_element(var, self.eval(position))
            case ir.Shared(var, index):
                return self._read_shared(var, self.eval(index))
            case ir.Unary(op, operand, ctype):
                return unary(op, self.eval(operand), ctype, self._doubt)
            case ir.Binary("and" | "or" as op, left, right):
                one = self.eval(left)
                first = one.truth()
                with_guard = first if op == "and" else z3.Not(first)
                two = self._guarded(with_guard, right)
                return binary(op, one, two, ir.BOOL)
            case ir.Binary(op, left, right, ctype):
                return binary(op, self.eval(left), self.eval(right), ctype, self._doubt)
            case ir.Cond(test, then, other):
                truth = self.eval(test).truth()
                return select(truth, self._guarded(truth, then),
                              self._guarded(z3.Not(truth), other))
            case ir.ListNext(ref):
                listed = self.program.shared[ref.var]
                term = self._new(f"next.{listed.name}", listed.domain.ctype)
                self._typed(term, listed.domain)
                return self._read(f"next.{listed.name}", term)
        raise AssertionError(expr)

    def _guarded(self, guard: z3.BoolRef, expr: ir.Expr) -> Term:
        self.guards.append(guard)
        try:
            return self.eval(expr)
        finally:
            self.guards.pop()

    def _doubt(self, kind: DoubtKind, goal: z3.BoolRef) -> None:
        self._oblige(kind, "", goal)

    def _read_element(self, var: int, index: Term) -> Term:
        self._inside(var, index)
        bits = z3.Select(self.state.arrays["local", var], index.at(INDEX))
        term = from_bits(bits, self.thread.locals[var].domain.ctype)
        self._typed(term, self.thread.locals[var].domain)
        return self._read(self.thread.locals[var].name, term)

    def _read(self, name: str, term: Term) -> Term:
        self.reads.append((name, term))
        self.node_reads.setdefault(self.node, []).append(term)
        return term

    def _read_shared(self, var: int, index: Term) -> Term:
        shared = self.program.shared[var]
        key = ("shared", var)
        if key in self.state.scalars:
            return self._read(shared.name, self.state.scalars[key])
        if key in self.state.arrays:
            bits = z3.Select(self.state.arrays[key], index.at(INDEX))
            term = from_bits(bits, shared.domain.ctype)
        else:
            term = self._new(shared.name, shared.domain.ctype)
        if shared.name in self.stable:
            kept = z3.Select(self.stable[shared.name], index.at(INDEX))
            mask = z3.BitVecVal(self.frame.stable[shared.name], shared.domain.ctype.bits)
            self.facts.append(term.at(shared.domain.ctype.bits) & mask == kept & mask)
        self._typed(term, shared.domain)
        if shared.name in self.frame.reads:
            self.facts.append(self.frame.reads[shared.name](term))
        return self._read(shared.name, term)

    # --------------------------------------------------------------------- stores

    def _assign(self, target: ir.Local | ir.Shared, value: Term) -> None:
        kind = "local" if isinstance(target, ir.Local) else "shared"
        key = (kind, target.var)
        ctype = self.names.types[key]
        index = Term(z3.BitVecVal(0, INDEX), ir.INT32)
        if target.index is not None:
            index = self.eval(target.index)
        stored = convert(value, ctype, self._doubt)
        if kind == "shared":
            name = self.program.shared[target.var].name
            if name in self.stable:
                mask = z3.BitVecVal(self.frame.stable[name], ctype.bits)
                kept = z3.Select(self.stable[name], index.at(INDEX))
                self._oblige("stable", name, stored.at(ctype.bits) & mask == kept & mask)
            if name not in self.frame.tracked:
                return
        self.state = self.state.copy()
        if key in self.state.scalars:
            self.state.scalars[key] = stored
            return
        if kind == "local":
            name = self.thread.locals[target.var].name
            self._inside(target.var, index)
            if name in self.frame.smashed:
                self.counter += 1
                self.state.arrays[key] = self._array(f"{name}!{self.counter}", ctype)
                return
        array = self.state.arrays[key]
        self.state.arrays[key] = z3.Store(array, index.at(INDEX), stored.at(ctype.bits))

    def _inside(self, var: int, index: Term) -> None:
        """The index is one of the local array's."""
        local = self.thread.locals[var]
        if local.name in self.frame.lengths:
            length = self.frame.lengths[local.name](self.view(self.state))
        else:
            length = constant(local.length, ir.INT32).at(EXACT)
        position = index.at(EXACT)
        self._oblige("index", local.name, z3.And(position >= 0, position < length))

    # ----------------------------------------------------------------- obligations

    def _oblige(
        self, kind: str, name: str, goal: z3.BoolRef, text: str = "", alone: bool = False
    ) -> None:
        where = self.thread.code[self.node].where
        reach = z3.And(self.reach, *self.guards)
        for line in where.lines[:1]:
            if line in self.frame.hints and kind == "check" and name in ASSERTIONS:
                reach = z3.And(reach, self.frame.hints[line](self.view(self.state)))
        self.obligations.append(
            Obligation(kind, name, where.lines, text or where.text, where.file, self.node, reach,
                       goal, alone)
        )
