"""One thread's view of shared state: verification conditions under interference.

The thread whose code is executed stands for every thread, and one entry of a pool (the
*focus*) for every entry.  The code is executed forward, once, joining states where control
joins (:mod:`.flow`).  Between two units (:attr:`..lang.ir.Instr.fine_stop`) other threads run:
there :class:`Rules` say what they may have changed (the *rely*), and what this thread has done
since the last such point is an obligation (the *guarantee*; Jones 1983).  Loops are cut at
their heads, with those of many candidate invariants that are inductive (:mod:`.houdini`).

Values: integers are mathematical ones, flag words bit-vectors, the rest truth values.  What is
not understood is any value, a new one at each evaluation.  Compiled for one thread, the
executing thread is number 0, nobody is 1, and every other thread is some number above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import z3

from ..lang import ir
from .flow import Flow, Loop, analyse
from .grammar import proposals
from .values import (
    BITS,
    Value,
    as_bits,
    as_bool,
    as_int,
    harmonised,
    is_word,
    number_of,
    pool_of,
)  # fmt: skip

ME, NOBODY = 0, 1
OTHERS, FOCUS = 0, 1  # entries of a pool that is seen through one of its entries

# local, shared, and for a local array of references: is the focus in it, and where.
Key: TypeAlias = tuple[str, int | str]
State: TypeAlias = dict[Key, Value]
Treatment: TypeAlias = Literal["prove", "assume", "ignore"]
# A truth value about a state, and the shared variables that it speaks of.
Atoms: TypeAlias = Mapping[str, tuple[z3.BoolRef, frozenset[str]]]
Formula: TypeAlias = Callable[[Atoms], z3.BoolRef]


@dataclass(frozen=True, slots=True, eq=False)
class Obligation:
    """``reach`` implies ``goal``, at an instruction."""

    kind: str
    name: str
    text: str
    node: int
    where: ir.Where
    reach: z3.BoolRef
    goal: z3.BoolRef
    state: State = field(default_factory=dict)

    @property
    def lines(self) -> tuple[int, ...]:
        return cited(self.where)


def cited(where: ir.Where) -> tuple[int, ...]:
    """The seed's lines: the statement's own, or of the call it was inlined for."""
    if where.lines:
        return where.lines
    for entry in reversed(where.stack):
        _, _, line = entry.partition("@")
        if line.isdigit():
            return (int(line),)
    return ()


@dataclass(slots=True, eq=False)
class Candidate:
    """What may be an invariant of the loop at ``head``; ``active`` switches it on."""

    head: int
    text: str
    active: z3.BoolRef
    goals: list[tuple[z3.BoolRef, z3.BoolRef]] = field(default_factory=list)


class Rules(Protocol):
    """What a proof says of the shared state.  ``execution.state`` is the present state."""

    pools: frozenset[str]
    # Is it followed where in local arrays the focus stands?
    arrays: bool
    # Names of local truth values that say what the thread has done, for loop invariants.
    switches: frozenset[str]

    def tracked(self, var: ir.SharedVar) -> bool:
        """Is the variable (its focus entry) part of the view?  Others are volatile."""

    def set_bit(self, var: ir.SharedVar) -> bool:
        """Is it a set of threads, of which only the executing thread's bit is followed?"""

    def entry(self, execution: Execution) -> None:
        """Assume what holds where the routine begins."""

    def treat(self, check: ir.Check) -> Treatment: ...

    def other(self, execution: Execution, name: str) -> Value | None:
        """What is read from an entry that is not the focus (None: anything)."""

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        """Other threads run; at a loop's head: in all rounds, which assign these variables."""

    def guarantee(self, execution: Execution) -> None:
        """A unit has ended: emit what it owes others."""

    def unit(self, execution: Execution) -> None:
        """A unit begins: remember what the guarantee compares with."""

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        """A store to a tracked or watched variable; ``focus``: does it reach the focus?"""

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None: ...

    def read(self, execution: Execution, name: str, value: Value) -> None:
        """Assume what is known of a value that was read from an untracked variable."""

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        """A list was changed."""

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None: ...

    def atoms(self, execution: Execution) -> Atoms:
        """Truth values about the present state, of which loop invariants are made."""

    def about_focus(self, atom: str) -> bool:
        """Is the atom about the focus (and so worth relating to places in arrays)?"""

    def placed(self, atom: str) -> bool:
        """Is it worth relating to where the focus stands in an array?"""

    def end(self, execution: Execution) -> None: ...


class Execution:
    """The symbolic execution of a program of one thread."""

    def __init__(self, program: ir.Program, rules: Rules) -> None:
        self.program, self.rules = program, rules
        (self.thread,) = program.threads
        self.flow: Flow = analyse(self.thread)
        self.names = {var.name: number for number, var in enumerate(program.shared)}
        self.obligations: list[Obligation] = []
        self.candidates: dict[int, list[Candidate]] = {}
        self.facts: list[z3.BoolRef] = []
        self.counter = 0
        self.node = 0
        # How many facts there were when a node had been executed: later ones say nothing of it.
        self.known: dict[int, int] = {}
        # The ends of the routine, as reached.
        self.ends: list[z3.BoolRef] = []
        self.reach: z3.BoolRef = z3.BoolVal(True)
        self.state: State = {}
        self.entry: State = {}
        self._formulas: dict[int, Formula] = {}

    # ------------------------------------------------------------------- plumbing

    def new(self, name: str, sort: z3.SortRef) -> Value:
        self.counter += 1
        value = z3.Const(f"{name}!{self.counter}", sort)
        return value

    def fresh(self, name: str, domain: ir.Domain) -> Value:
        """Any value of a domain; integers are unbounded."""
        if domain.kind == "bool":
            return self.new(name, z3.BoolSort())
        if is_word(domain):
            word = self.new(name, z3.BitVecSort(BITS))
            if domain.kind == "flags":
                self.facts.append(z3.ULE(word, z3.BitVecVal(domain.high, BITS)))
            return word
        value = self.new(name, z3.IntSort())
        match domain.kind:
            case "ref" | "enum":
                self.facts.append(z3.And(value >= domain.low, value <= domain.high))
            case "thread":
                self.facts.append(value >= 0)
            case _ if not domain.ctype.signed:
                self.facts.append(value >= 0)
        return value

    def truth(self, name: str) -> z3.BoolRef:
        value = self.new(name, z3.BoolSort())
        assert isinstance(value, z3.BoolRef)
        return value

    def shared(self, name: str) -> Value:
        """The present value of a tracked variable."""
        return self.state["S", name]

    def assume(self, fact: z3.BoolRef) -> None:
        """On this path."""
        self.reach = z3.And(self.reach, fact)

    def oblige(self, kind: str, name: str, goal: z3.BoolRef, text: str) -> None:
        where = self.thread.code[self.node].where
        self.obligations.append(
            Obligation(kind, name, text, self.node, where, self.reach, goal, dict(self.state))
        )

    # ------------------------------------------------------------------ execution

    def run(self) -> None:
        """Execute everything; fills obligations, candidates and facts."""
        self._initial()
        self.rules.entry(self)
        self.rules.unit(self)
        self.entry = dict(self.state)
        incoming: dict[int, list[tuple[z3.BoolRef, State]]] = {
            self.thread.entry: [(self.reach, self.state)]
        }
        for node in self.flow.order:
            if node not in incoming:
                continue
            self.node = node
            self.reach, self.state = self._merge(incoming.pop(node))
            if node in self.flow.loops:
                self._cut(self.flow.loops[node])
            instr = self.thread.code[node]
            if instr.fine_stop:
                self.rules.guarantee(self)
                self.rules.interfere(self, frozenset())
                self.rules.unit(self)
            for target, condition in self._step(instr):
                if (node, target) in self.flow.back:
                    self._kept(target, condition)
                else:
                    incoming.setdefault(target, []).append((condition, dict(self.state)))
            self.known[node] = len(self.facts)

    def _initial(self) -> None:
        for number, var in enumerate(self.thread.locals):
            if var.is_array:
                self._new_array(number, var.domain)
            else:
                self.state["L", number] = self.fresh(var.name, var.domain)
        for shared in self.program.shared:
            if self.rules.tracked(shared):
                if pool_of(shared.domain) in self.rules.pools and shared.width > 1:
                    self._new_array(shared.name, shared.domain)
                elif self.rules.set_bit(shared):
                    self.state["S", shared.name] = self.truth(shared.name)
                else:
                    self.state["S", shared.name] = self.fresh(shared.name, shared.domain)

    def _new_array(self, var: int | str, domain: ir.Domain) -> None:
        """An array of references in which the focus stands once or not at all."""
        if self.rules.arrays and domain.kind == "ref" and pool_of(domain) in self.rules.pools:
            self.state["in", var] = self.truth(f"array {var} in")
            at = self.new(f"array {var} at", z3.IntSort())
            self.facts.append(at >= 0)
            self.state["at", var] = at
            self.state["in2", var] = z3.BoolVal(False)
            self.state["at2", var] = z3.IntVal(0)

    def _merge(self, parts: list[tuple[z3.BoolRef, State]]) -> tuple[z3.BoolRef, State]:
        if len(parts) == 1:
            return parts[0]
        result = dict(parts[0][1])
        for condition, state in parts[1:]:
            for key, value in state.items():
                known = result[key]
                if known is not value and not known.eq(value):
                    result[key] = z3.If(condition, value, known)
        reach = self.truth(f"reach{self.node}")
        self.facts.append(reach == z3.Or([condition for condition, _ in parts]))
        return reach, result

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        match instr.action:
            case ir.Assign(target, value):
                self._assign(target, self.eval(value))
            case ir.Branch(test, other):
                truth = as_bool(self.eval(test))
                if z3.is_true(truth):
                    return [(instr.next, self.reach)]
                if z3.is_false(truth):
                    return [(other, self.reach)]
                named = self.truth(f"branch{self.node}")
                self.facts.append(named == truth)
                return [(instr.next, z3.And(self.reach, named)),
                        (other, z3.And(self.reach, z3.Not(named)))]
            case ir.Choose(target, count, label):
                limit = as_int(self, self.eval(count))
                chosen = self.new(label, z3.IntSort())
                self.assume(z3.And(chosen >= 0, chosen < limit))
                self._assign(target, chosen)
            case ir.Wait() as wait:
                self.rules.wait(self, wait, instr.sync)
                self.assume(as_bool(self.eval(wait.guard)))
            case ir.Check() as check:
                return self._check(check, instr)
            case ir.ListInsert(ref, _, node):
                self.rules.listed(self, self.program.shared[ref.var].name, self.eval(node), True)
            case ir.ListRemove(ref, node):
                self.rules.listed(self, self.program.shared[ref.var].name, self.eval(node), False)
            case ir.End():
                self.rules.guarantee(self)
                self.rules.end(self)
                self.ends.append(self.reach)
                return []
        return [(instr.next, self.reach)]

    def _check(self, check: ir.Check, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        treatment = self.rules.treat(check)
        if treatment != "ignore":
            # A conjunction over a pool: what is proved of the focus is proved of every entry.
            test = _of_focus(check.test, self.rules.pools, self.program)
            # About another entry it is proved where that one is the focus.
            about = [self._focused(self.program.shared[each.var], each.index)
                     for each in ir.walk(test) if isinstance(each, ir.Shared)
                     and self.program.shared[each.var].name.partition(".")[0] in self.rules.pools]
            truth = z3.Implies(z3.And(about), as_bool(self.eval(test)))
            if treatment == "prove":
                self.oblige("check", check.name, truth, check.message)
            self.assume(truth)
        if check.test == ir.Const(0):
            return []
        return [(instr.next, self.reach)]

    # ----------------------------------------------------------------------- loops

    def _cut(self, loop: Loop) -> None:
        """At a loop's head what the loop assigns becomes any value; candidates are assumed."""
        entered = self.state
        reached = self.reach
        before = self.rules.atoms(self)
        self.state = dict(entered)
        assigned, shared, stops = self._writes(loop)
        for number in assigned:
            var = self.thread.locals[number]
            if var.is_array:
                if ("in", number) in self.state:
                    self._new_array(number, var.domain)
                    self.state["in2", number] = self.truth(f"{var.name}.in2")
                    self.state["at2", number] = self.new(f"{var.name}.at2", z3.IntSort())
            else:
                self.state["L", number] = self.fresh(var.name, var.domain)
        for name in shared:
            var2 = self.program.shared[self.names[name]]
            if ("in", name) in self.state:
                self._new_array(name, var2.domain)
            elif self.rules.set_bit(var2):
                self.state["S", name] = self.truth(name)
            else:
                self.state["S", name] = self.fresh(name, var2.domain)
        if stops:
            self.rules.interfere(self, frozenset(shared))
            self.rules.unit(self)
        head = self.node
        found: list[Candidate] = []
        here = self.state
        inside = self.truth(f"head{head}")
        self.facts.append(z3.Implies(inside, reached))
        now = self.rules.atoms(self)
        chosen = proposals(self, loop, assigned, frozenset(shared), entered, before)
        for text, formula in chosen:
            self.state = here
            active = self.truth(f"candidate{head}")
            candidate = Candidate(head, text, active)
            self.facts.append(z3.Implies(z3.And(inside, active), formula(now)))
            self.state = entered
            candidate.goals.append((reached, formula(before)))
            found.append(candidate)
            self._formulas[id(candidate)] = formula
        self.state, self.reach = here, inside
        self.candidates[head] = found

    def _kept(self, head: int, condition: z3.BoolRef) -> None:
        saved = self.reach
        self.reach = condition
        if self.thread.code[head].fine_stop:
            self.rules.guarantee(self)
        now = self.rules.atoms(self)
        for candidate in self.candidates.get(head, []):
            candidate.goals.append((condition, self._formulas[id(candidate)](now)))
        self.reach = saved

    def _writes(self, loop: Loop) -> tuple[list[int], list[str], bool]:
        assigned: dict[int, None] = {}
        shared: dict[str, None] = {}
        stops = False
        for node in sorted(loop.nodes):
            instr = self.thread.code[node]
            stops = stops or instr.fine_stop
            match instr.action:
                case ir.Assign(ir.Local(var)) | ir.Choose(ir.Local(var)):
                    assigned[var] = None
                case ir.Assign(ir.Shared(var)):
                    name = self.program.shared[var].name
                    if ("S", name) in self.state or ("in", name) in self.state:
                        shared[name] = None
        return list(assigned), list(shared), stops

    # ---------------------------------------------------------------- expressions

    def eval(self, expr: ir.Expr) -> Value:
        """The value of an expression in the present state."""
        match expr:
            case ir.Const(value, ctype):
                return z3.BoolVal(bool(value)) if ctype == ir.BOOL else z3.IntVal(value)
            case ir.Local(var, None):
                return self.state["L", var]
            case ir.Local(var, position):
                assert position is not None
                where = as_int(self, self.eval(position))
                return self._read_array(var, self.thread.locals[var].domain, where)
            case ir.Shared(var, index):
                return self._read_shared(var, index)
            case ir.Unary(op, operand, _):
                return self._unary(op, self.eval(operand))
            case ir.Binary(("==" | "!=") as op, left, right, _):
                return self._equal(op, left, right)
            case ir.Binary(op, left, right, _):
                return self._binary(op, self.eval(left), self.eval(right))
            case ir.Cond(test, then, other):
                one, two = harmonised(self, self.eval(then), self.eval(other))
                return z3.If(as_bool(self.eval(test)), one, two)
            case ir.ListNext(ref):
                listed = self.program.shared[ref.var]
                value = self.fresh(f"next.{listed.name}", listed.domain)
                self.rules.read(self, listed.name, value)
                return value
        raise AssertionError(expr)

    def _read_array(self, var: int | str, domain: ir.Domain, index: z3.ArithRef) -> Value:
        value = self.fresh(f"element of {var}", domain)
        if ("in", var) not in self.state:
            return value
        here = z3.Or(
            z3.And(as_bool(self.state["in", var]), self.state["at", var] == index),
            z3.And(as_bool(self.state["in2", var]), self.state["at2", var] == index),
        )
        self.facts.append(value != FOCUS)
        return z3.If(here, z3.IntVal(FOCUS), value)

    def _read_shared(self, var: int, index: ir.Expr) -> Value:
        shared = self.program.shared[var]
        if ("in", shared.name) in self.state:
            return self._read_array(shared.name, shared.domain, as_int(self, self.eval(index)))
        other = self.fresh(shared.name, shared.domain)
        if ("S", shared.name) not in self.state:
            self.rules.read(self, shared.name, other)
            return other
        value = self.state["S", shared.name]
        if self.rules.set_bit(shared):
            bits = self.new(shared.name, z3.BitVecSort(BITS))
            self.facts.append((z3.Extract(0, 0, bits) == 1) == value)
            return bits
        if shared.length == 1:
            return value
        focused = self._focused(shared, index)
        if not z3.is_true(focused):
            known = self.rules.other(self, shared.name)
            other = other if known is None else known
        return z3.If(focused, value, other)

    def _focused(self, shared: ir.SharedVar, index: ir.Expr) -> z3.BoolRef:
        """Does the index name the focus entry?  (A scalar's only entry does.)"""
        if shared.length == 1:
            return z3.BoolVal(True)
        which = as_int(self, self.eval(index))
        pool = shared.name.partition(".")[0]
        wanted = FOCUS if pool in self.rules.pools else 0
        return z3.simplify(which == wanted * shared.width)

    def _pool(self, expr: ir.Expr) -> str:
        match expr:
            case ir.Local(var):
                return pool_of(self.thread.locals[var].domain)
            case ir.Shared(var):
                return pool_of(self.program.shared[var].domain)
            case ir.Cond(_, then, other):
                return self._pool(then) or self._pool(other)
            case ir.ListNext(ref):
                return pool_of(self.program.shared[ref.var].domain)
            case ir.Unary(_, operand):
                return self._pool(operand)
        return ""

    def _equal(self, op: str, left: ir.Expr, right: ir.Expr) -> z3.BoolRef:
        one, two = harmonised(self, self.eval(left), self.eval(right))
        same = one == two
        if self._pool(left) in self.rules.pools and self._pool(right) in self.rules.pools:
            # Two entries that are not the focus may be the same one or not.
            same = z3.If(z3.And(one == OTHERS, two == OTHERS), self.truth("same"), same)
        return same if op == "==" else z3.Not(same)

    def _unary(self, op: str, value: Value) -> Value:
        match op:
            case "not":
                return z3.Not(as_bool(value))
            case "cast":
                return value
            case "-":
                return -as_int(self, value)
        if isinstance(value, z3.BitVecRef):
            return ~value
        number = as_int(self, value)
        return -number - 1

    def _binary(self, op: str, one: Value, two: Value) -> Value:
        match op:
            case "and":
                return z3.And(as_bool(one), as_bool(two))
            case "or":
                return z3.Or(as_bool(one), as_bool(two))
            case "&" | "|" | "^":
                return self._bits(op, one, two)
        if isinstance(one, z3.BitVecRef) or isinstance(two, z3.BitVecRef):
            word, other = as_bits(self, one), as_bits(self, two)
            match op:
                case "+":
                    return word + other
                case "-":
                    return word - other
                case ">>":
                    return z3.LShR(word, other)
                case ">":
                    return z3.UGT(word, other)
            comparison = op in ("<", "<=", ">", ">=")
            return self.new(op, z3.BoolSort() if comparison else z3.IntSort())
        a, b = as_int(self, one), as_int(self, two)
        match op:
            case "<":
                return a < b
            case "<=":
                return a <= b
            case ">":
                return a > b
            case ">=":
                return a >= b
            case "+":
                return a + b
            case "-":
                return a - b
            case "min":
                return z3.If(b < a, b, a)
            case "max":
                return z3.If(b > a, b, a)
            case "*" if number_of(a) is not None or number_of(b) is not None:
                return a * b
        amount = number_of(b)
        if amount is not None and 0 <= amount < 64:
            if op == "<<":
                return a * (1 << amount)
            known = number_of(a)
            if op == ">>" and known is not None:
                return z3.IntVal(known >> amount)
        return self.new(op, z3.IntSort())

    def _bits(self, op: str, one: Value, two: Value) -> Value:
        if isinstance(one, z3.BitVecRef) or isinstance(two, z3.BitVecRef):
            a, b = as_bits(self, one), as_bits(self, two)
            return a & b if op == "&" else a | b if op == "|" else a ^ b
        x, y = as_int(self, one), as_int(self, two)
        p, q = number_of(x), number_of(y)
        if p is not None and q is not None:
            return z3.IntVal(p & q if op == "&" else p | q if op == "|" else p ^ q)
        return self.new(op, z3.IntSort())

    # --------------------------------------------------------------------- stores

    def _assign(self, target: ir.Local | ir.Shared, value: Value) -> None:
        match target:
            case ir.Local(var, None):
                self.state["L", var] = self.fit(value, self.thread.locals[var].domain)
            case ir.Local(var, index):
                assert index is not None
                if ("in", var) in self.state:
                    self._store_array(var, as_int(self, self.eval(index)), as_int(self, value))
            case ir.Shared(var, index):
                shared = self.program.shared[var]
                if ("in", shared.name) in self.state:
                    self._store_array(shared.name, as_int(self, self.eval(index)),
                                      as_int(self, value))
                    return
                focus = self._focused(shared, index)
                if self.rules.set_bit(shared):
                    fitted: Value = z3.Extract(0, 0, as_bits(self, value)) == 1
                else:
                    fitted = self.fit(value, shared.domain)
                self.rules.before(self, shared.name, focus, fitted)
                if ("S", shared.name) in self.state:
                    old = self.state["S", shared.name]
                    self.state["S", shared.name] = z3.If(focus, fitted, old)
                self.rules.after(self, shared.name, focus, fitted)

    def fit(self, value: Value, domain: ir.Domain) -> Value:
        if domain.kind == "bool":
            return as_bool(value)
        return as_bits(self, value) if is_word(domain) else as_int(self, value)

    def _store_array(self, var: int | str, index: z3.ArithRef, value: z3.ArithRef) -> None:
        """Where the focus stands: at most two slots (while something is being moved)."""
        state = self.state
        inside, at = as_bool(state["in", var]), state["at", var]
        second, at2 = as_bool(state["in2", var]), state["at2", var]
        is_focus = z3.simplify(value == FOCUS)
        again = z3.And(inside, at != index)
        self.oblige(
            "slots", str(var),
            z3.Not(z3.And(is_focus, again, second, at2 != index)),
            "a page stands in three slots of an array",
        )  # fmt: skip
        keep = z3.And(second, at2 != index)
        old_first = z3.And(inside, at != index)
        state["in2", var] = z3.simplify(
            z3.If(is_focus, z3.Or(again, keep), z3.And(keep, old_first))
        )
        state["at2", var] = z3.If(z3.And(is_focus, again), at, at2)
        state["in", var] = z3.simplify(z3.If(is_focus, z3.BoolVal(True), z3.Or(old_first, keep)))
        state["at", var] = z3.If(is_focus, index, z3.If(old_first, at, at2))


def _of_focus(test: ir.Expr, pools: frozenset[str], program: ir.Program) -> ir.Expr:
    """A test that is the same for every entry of a pool, as the test of the focus.

    Raises ValueError where one part of the conjunction speaks of two entries.
    """

    def entry(expr: ir.Expr) -> int | None:
        if isinstance(expr, ir.Shared) and isinstance(expr.index, ir.Const):
            shared = program.shared[expr.var]
            if shared.name.partition(".")[0] in pools and shared.length > shared.width:
                return expr.index.value // shared.width
        return None

    def moved(expr: ir.Expr) -> ir.Expr:
        match expr:
            case ir.Shared(var, ir.Const(value, ctype)) if entry(expr) == OTHERS:
                return ir.Shared(var, ir.Const(value + program.shared[var].width, ctype))
            case ir.Shared(var, index):
                return ir.Shared(var, moved(index))
            case ir.Binary(op, left, right, ctype):
                return ir.Binary(op, moved(left), moved(right), ctype)
            case ir.Unary(op, operand, ctype):
                return ir.Unary(op, moved(operand), ctype)
            case ir.Cond(one, two, three):
                return ir.Cond(moved(one), moved(two), moved(three))
        return expr

    def conjuncts(expr: ir.Expr) -> Iterator[ir.Expr]:
        match expr:
            case ir.Binary("and", left, right):
                yield from conjuncts(left)
                yield from conjuncts(right)
            case _:
                yield expr

    kept: list[ir.Expr] = []
    for part in conjuncts(test):
        entries = {entry(each) for each in ir.walk(part)} - {None}
        if len(entries) > 1:
            raise ValueError("a check that speaks of two entries of a pool at once")
        if entries != {OTHERS}:
            kept.append(part)
        else:
            kept.append(moved(part))
    result: ir.Expr = ir.Const(1, ir.BOOL)
    for part in kept:
        result = part if result == ir.Const(1, ir.BOOL) else ir.Binary("and", result, part, ir.BOOL)
    return result
