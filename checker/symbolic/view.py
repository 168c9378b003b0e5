"""One thread's view of shared state: verification conditions under interference.

The thread whose code is executed stands for every thread, and one entry of a pool (the
*focus*) for every entry.  The code is executed forward, once, joining states where control
joins (:mod:`.flow`).  Between two units (:attr:`..lang.ir.Instr.fine_stop`) other threads run:
there :class:`.rules.Rules` say what they may have changed (the *rely*), and what this thread has
done since the last such point is an obligation (the *guarantee*; Jones 1983).  Loops are cut at
their heads, with those of many candidate invariants that are inductive (:mod:`.houdini`).

Compiled for one thread, the executing thread is number 0, nobody is 1, and every other thread
is some number above.
"""

from __future__ import annotations

import z3

from ..lang import ir
from .contracts import WithContracts
from .evaluation import assign, evaluate, focused
from .flow import Flow, Loop, analyse, fills
from .focus import of_focus
from .grammar import proposals
from .obligations import (
    FOCUS,
    ME,
    NOBODY,
    OTHERS,
    Atoms,
    Candidate,
    Formula,
    Key,
    Obligation,
    State,
    Treatment,
    cited,
)
from .rules import Rules
from .values import BITS, Value, as_bool, is_word, pool_of

__all__ = [
    "FOCUS", "ME", "NOBODY", "OTHERS", "Atoms", "Candidate", "Execution", "Key", "Obligation",
    "Rules", "State", "Treatment", "cited",
]  # fmt: skip


class Execution:
    """The symbolic execution of a program of one thread."""

    def __init__(self, program: ir.Program, rules: Rules) -> None:
        self.program, self.rules = program, rules
        (self.thread,) = program.threads
        self.flow: Flow = analyse(self.thread)
        # Where an array's last slot is set to what all others have been set to.
        self.fills: frozenset[int] = fills(program, self.thread)
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
                self.new_array(number, var.domain)
            else:
                self.state["L", number] = self.fresh(var.name, var.domain)
        for shared in self.program.shared:
            if self.rules.tracked(shared):
                if pool_of(shared.domain) in self.rules.pools and shared.width > 1:
                    self.new_array(shared.name, shared.domain)
                elif self.rules.set_bit(shared):
                    self.state["S", shared.name] = self.truth(shared.name)
                else:
                    self.state["S", shared.name] = self.fresh(shared.name, shared.domain)

    def new_array(self, var: int | str, domain: ir.Domain, twice: bool = False) -> None:
        """Anything is in the array, of references, in which the focus stands at most once.

        With ``twice``, at most twice: "in2" implies "in".
        """
        if self.rules.arrays and domain.kind == "ref" and pool_of(domain) in self.rules.pools:
            inside, at = self.truth(f"array {var} in"), self.new(f"array {var} at", z3.IntSort())
            self.facts.append(at >= 0)
            self.state["in", var], self.state["at", var] = inside, at
            self.state["in2", var], self.state["at2", var] = z3.BoolVal(False), z3.IntVal(0)
            if twice:
                again = self.truth(f"array {var} in2")
                self.facts.append(z3.Implies(again, inside))
                self.state["in2", var] = again
                self.state["at2", var] = self.new(f"array {var} at2", z3.IntSort())
                self.facts.append(self.state["at2", var] >= 0)

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
                assign(self, target, self.eval(value))
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
                chosen = self.new(label, z3.IntSort())
                self.assume(chosen >= 0)
                if isinstance(count, ir.Const):
                    # Another count may be one of other threads, which are not all compiled.
                    self.assume(chosen < count.value)
                assign(self, target, chosen)
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
        if treatment == "contract":
            assert isinstance(self.rules, WithContracts)
            self.rules.contract(self, check)
        elif treatment != "ignore":
            # A conjunction over a pool: what is proved of the focus is proved of every entry.
            test = of_focus(check.test, self.rules.pools, self.program)
            # About another entry it is proved where that one is the focus.
            about = [focused(self, self.program.shared[each.var], each.index)
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
        assigned, shared, stops = self._writes(loop)
        if stops:
            # The unit that leads here ends here: behind it everything is arbitrary.
            self.rules.guarantee(self)
        self.state = dict(entered)
        for number in assigned:
            var = self.thread.locals[number]
            if var.is_array:
                if ("in", number) in self.state:
                    self.new_array(number, var.domain, twice=True)
            else:
                self.state["L", number] = self.fresh(var.name, var.domain)
        if shared or stops:
            # What rules keep beside the program's own variables.
            for kind, extra in list(self.state):
                if kind == "S" and extra not in self.names:
                    self.state[kind, extra] = self.new(str(extra), self.state[kind, extra].sort())
                    shared.append(str(extra))
        for name in shared:
            if name not in self.names:
                continue
            var2 = self.program.shared[self.names[name]]
            if ("in", name) in self.state:
                self.new_array(name, var2.domain, twice=True)
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
        if self._writes(self.flow.loops[head])[2]:
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
                case ir.Check() as check if self.rules.treat(check) == "contract":
                    assert isinstance(self.rules, WithContracts)
                    stops = True
                    arrays, names = self.rules.changes(self, check)
                    assigned.update(dict.fromkeys(arrays))
                    shared.update(dict.fromkeys(names))
        return list(assigned), list(shared), stops

    def eval(self, expr: ir.Expr) -> Value:
        """The value of an expression in the present state."""
        return evaluate(self, expr)
