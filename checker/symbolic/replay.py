"""Executing a counterexample with plain integers, by the interpreter's own arithmetic.

A model of z3 gives a value to every argument, parameter and read of shared state.  The
routine is executed with them, from its entry, by :mod:`..explore.semantics`; only if that
execution breaks the obligation is it a failure.  A model of what follows a cut loop need not
be such an execution.
"""

from __future__ import annotations

from collections.abc import Callable

import z3

from ..explore import semantics
from ..lang import ir
from .conditions import Execution, Frame, Obligation
from .state import State, View
from .terms import Term, constant

STEPS = 20_000


class _Stop(Exception):
    """The execution ends: the obligation was broken, or the values do not fit."""


class Replay:
    """One execution with the values of a model."""

    def __init__(
        self, program: ir.Program, frame: Frame, obligation: Obligation, model: z3.ModelRef
    ) -> None:
        # The symbolic execution again, for the names of its constants: it is deterministic.
        self.execution = Execution(program, frame)
        self.execution.run()
        self.thread = self.execution.thread
        self.obligation, self.model, self.frame = obligation, model, frame
        self.program = program
        self.broken = False
        self.node = 0
        self.reads: list[Term] = []
        self.locals: list[int] = []
        self.arrays: dict[tuple[int, int], int] = {}
        self.shared: dict[tuple[int, int], int] = {}
        self.parameters = {name: self._value(term)
                           for name, term in self.execution.parameters.items()}

    def _value(self, term: Term) -> int:
        found = self.model.eval(term.at(term.ctype.bits), model_completion=True)
        assert isinstance(found, z3.BitVecNumRef)
        return term.ctype.wrap(found.as_long())

    def run(self) -> bool:
        """Does the execution break the obligation?"""
        inputs = self.execution.local_inputs
        self.locals = [self._value(inputs[number]) if number in inputs else 0
                       for number in range(len(self.thread.locals))]
        self.node = self.thread.entry
        try:
            for _ in range(STEPS):
                instr = self.thread.code[self.node]
                if isinstance(instr.action, ir.End):
                    break
                self.reads = list(self.execution.node_reads.get(self.node, ()))
                self._claims()
                self.node = self._step(instr)
        except _Stop:
            pass
        return self.broken

    def _claims(self) -> None:
        if self.node == self.obligation.node and self.obligation.kind in ("claim", "cut"):
            goals = self.execution.claim_goals(self.node, self.obligation, self._view())
            if any(z3.is_false(z3.simplify(goal)) for goal in goals):
                self.broken = True
                raise _Stop

    def _view(self) -> View:
        state = State()
        for number, var in enumerate(self.thread.locals):
            if not var.is_array:
                state.scalars["local", number] = constant(self.locals[number], var.domain.ctype)
        for number, shared in enumerate(self.program.shared):
            if shared.name in self.frame.tracked and shared.length == 1:
                value = self._tracked(number, 0)
                state.scalars["shared", number] = constant(value, shared.domain.ctype)
        given = {name: constant(self.parameters[name], term.ctype)
                 for name, term in self.execution.parameters.items()}
        return View(self.execution.names, state, given)

    def _tracked(self, var: int, index: int) -> int:
        name = self.program.shared[var].name
        if (var, index) not in self.shared and name in self.execution.inputs:
            return self._value(self.execution.inputs[name])
        return self.shared.get((var, index), 0)

    def _step(self, instr: ir.Instr) -> int:
        match instr.action:
            case ir.Assign(target, value):
                self._store(target, self._eval(value))
            case ir.Branch(test, other):
                return instr.next if self._eval(test) else other
            case ir.Choose(target, count, _):
                limit = self._eval(count)
                chosen = self._value(self.reads.pop(0))
                if not 0 <= chosen < limit:
                    raise _Stop
                self._store(target, chosen)
            case ir.Wait(guard):
                if not self._eval(guard):
                    raise _Stop  # the values are not of this execution
            case ir.Check(test, name, _):
                if not self._eval(test):
                    if self.node == self.obligation.node and name == self.obligation.name:
                        self.broken = True
                    if self.broken or name in ("kassert", "panic"):
                        raise _Stop
        return instr.next

    def _store(self, target: ir.Local | ir.Shared, value: int) -> None:
        index = 0 if target.index is None else self._eval(target.index)
        if isinstance(target, ir.Local):
            var = self.thread.locals[target.var]
            kept = var.domain.ctype.wrap(value)
            self._doubt("conversion", kept == value)
            if var.is_array:
                self._inside(target.var, index)
                self.arrays[target.var, index] = kept
            else:
                self.locals[target.var] = kept
            return
        shared = self.program.shared[target.var]
        kept = shared.domain.ctype.wrap(value)
        self._doubt("conversion", kept == value)
        if shared.name in self.frame.tracked:
            self.shared[target.var, index] = kept

    def _inside(self, var: int, index: int) -> None:
        local = self.thread.locals[var]
        if local.name in self.frame.lengths:
            found = z3.simplify(self.frame.lengths[local.name](self._view()))
            length = found.as_signed_long() if isinstance(found, z3.BitVecNumRef) else 0
        else:
            length = local.length
        here = self.node == self.obligation.node and self.obligation.kind == "index"
        if here and self.obligation.name == local.name and not 0 <= index < length:
            self.broken = True
            raise _Stop

    def _doubt(self, kind: str, fits: bool) -> None:
        if not fits and self.node == self.obligation.node and kind == self.obligation.kind:
            self.broken = True
            raise _Stop

    # --------------------------------------------------------------------- values

    def _eval(self, expr: ir.Expr, wanted: bool = True) -> int:
        """The value; every part is evaluated, in the symbolic execution's order."""
        match expr:
            case ir.Const(value):
                return value
            case ir.Param(name):
                return self.parameters[name]
            case ir.Local(var, position):
                if position is None:
                    return self.locals[var]
                at = self._eval(position, wanted)
                if wanted:
                    self._inside(var, at)
                if (var, at) in self.arrays:
                    self._next()
                    return self.arrays[var, at]
                return self._next()
            case ir.Shared(var, index):
                at = self._eval(index, wanted)
                value = self._next()
                if self.program.shared[var].name in self.frame.tracked:
                    return self._tracked(var, at)
                return value
            case ir.Unary(op, operand, ctype):
                value = self._eval(operand, wanted)
                result = semantics.unary(op, value, ctype)
                if op == "cast":
                    self._arise("conversion", wanted, result == value)
                elif op == "-":
                    self._arise(_kind(ctype), wanted, _fits(-value, ctype))
                return result
            case ir.Binary("and" | "or" as op, left, right):
                one = bool(self._eval(left, wanted))
                needed = one if op == "and" else not one
                two = bool(self._eval(right, wanted and needed))
                return int(one and two) if op == "and" else int(one or two)
            case ir.Binary(op, left, right, ctype):
                return self._binary(op, self._eval(left, wanted), self._eval(right, wanted),
                                    ctype, wanted)
            case ir.Cond(test, then, other):
                decided = bool(self._eval(test, wanted))
                one_ = self._eval(then, wanted and decided)
                two_ = self._eval(other, wanted and not decided)
                return one_ if decided else two_
            case ir.ListNext():
                return self._next()
        raise AssertionError(expr)

    def _next(self) -> int:
        return self._value(self.reads.pop(0)) if self.reads else 0

    def _binary(self, op: str, one: int, two: int, ctype: ir.CType, wanted: bool) -> int:
        exact: dict[str, Callable[[], int]] = {
            "+": lambda: one + two, "-": lambda: one - two, "*": lambda: one * two,
            "<<": lambda: one << two,
        }  # fmt: skip
        if op in ("<<", ">>"):
            self._arise("shift", wanted, 0 <= two < ctype.bits)
        if op in exact and (op != "<<" or 0 <= two < ctype.bits):
            self._arise(_kind(ctype), wanted, _fits(exact[op](), ctype))
        return semantics.binary(op, one, two, ctype)

    def _arise(self, kind: str, wanted: bool, fits: bool) -> None:
        if wanted:
            self._doubt(kind, fits)


def _limits(ctype: ir.CType) -> ir.CType:
    return ir.INT32 if ctype.name == "literal" else ctype


def _kind(ctype: ir.CType) -> str:
    return "overflow" if _limits(ctype).signed else "wrap"


def _fits(value: int, ctype: ir.CType) -> bool:
    return _limits(ctype).minimum <= value <= _limits(ctype).maximum


def confirm(
    program: ir.Program, frame: Frame, obligation: Obligation, model: z3.ModelRef
) -> bool:
    """Do the model's values, executed, break the obligation?"""
    return Replay(program, frame, obligation, model).run()
