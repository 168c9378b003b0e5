"""Verification conditions of a routine: what has to hold, as formulas of z3.

The graph is executed forward, once, joining states where control joins; a loop is cut at its
head, where everything that it changes becomes arbitrary but for its invariant (Floyd 1967;
Barnett and Leino, "Weakest-precondition of unstructured programs", 2005).  So the formulas
speak of every number of rounds, and their number is linear in the size of the graph.

An :class:`Obligation` is one thing to prove: nothing is proved here.  Shared variables are
volatile (every read gives any value of the type, since other threads run) unless the
:class:`Frame` lists them as ``tracked`` (nobody else changes them).  ``Wait`` is assumed,
``Check`` is an obligation; behind an assertion of the program (``kassert``, ``panic``) it is
assumed, because the program stops otherwise.
"""

from __future__ import annotations

import z3

from ..lang import ir
from .flow import Flow, Loop, analyse
from .frame import Claim, Conditions, Formula, Frame, Lemma, Obligation, Place
from .point import ASSERTIONS, Point
from .state import Key, State, View, merge
from .terms import compare, constant, fresh


class Execution(Point):
    """One execution of a routine's graph."""

    def __init__(self, program: ir.Program, frame: Frame) -> None:
        super().__init__(program, frame)
        self.flow: Flow = analyse(self.thread)
        self.placed: set[tuple[str, int]] = set()
        self.joined: dict[str, z3.BoolRef] = {}  # lemmas of each way to this point, by name
        self.begun: set[int] = set()  # lines, some of whose nodes were executed
        self.loop_writes = {head: self._writes(loop) for head, loop in self.flow.loops.items()}

    # ------------------------------------------------------------------ execution

    def run(self) -> Conditions:
        """Execute everything.  Raises ValueError where the frame does not fit the routine."""
        incoming: dict[int, list[tuple[z3.BoolRef, State]]] = {
            self.thread.entry: [(z3.BoolVal(True), self._initial())]
        }
        entry = self.view(incoming[self.thread.entry][0][1])
        for node in self.flow.order:
            if node not in incoming:
                continue
            self.node = node
            self._join(incoming.pop(node))
            if node in self.flow.loops:
                self._cut(self.flow.loops[node])
            self._place()
            for target, condition in self._step(self.thread.code[node]):
                if (node, target) in self.flow.back:
                    self._kept(target, condition)
                else:
                    incoming.setdefault(target, []).append((condition, self.state))
        self._check_frame()
        return Conditions(self.obligations, self.facts, self.inputs, self.parameters, entry,
                          self.reads)

    def _initial(self) -> State:
        """Locals that nothing assigns before they are read are the routine's arguments."""
        state = State()
        for number, var in enumerate(self.thread.locals):
            key = ("local", number)
            if var.is_array:
                state.arrays[key] = self._array(f"{var.name}#{number}", var.domain.ctype)
            else:
                term = fresh(f"{var.name}#{number}", var.domain.ctype)
                state.scalars[key] = term
                self.inputs.setdefault(var.name, term)
                self.local_inputs[number] = term
                self._typed(term, var.domain)
        for number, shared in enumerate(self.program.shared):
            if shared.name in self.frame.tracked:
                key = ("shared", number)
                if shared.length == 1:
                    state.scalars[key] = fresh(shared.name, shared.domain.ctype)
                    self.inputs[shared.name] = state.scalars[key]
                    self._typed(state.scalars[key], shared.domain)
                else:
                    state.arrays[key] = self._array(shared.name, shared.domain.ctype)
        return state

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        match instr.action:
            case ir.Assign(target, value):
                self._assign(target, self.eval(value))
            case ir.Branch(test, other):
                truth = self.eval(test).truth()
                return [(instr.next, z3.And(self.reach, truth)),
                        (other, z3.And(self.reach, z3.Not(truth)))]
            case ir.Choose(target, count, label):
                limit = self.eval(count)
                chosen = self._read(label, self._new(label, ir.INT32))
                self.reach = z3.And(self.reach, compare(">=", chosen, constant(0, ir.INT32)),
                                    compare("<", chosen, limit))
                self._assign(target, chosen)
            case ir.Wait(guard):
                self.reach = z3.And(self.reach, self.eval(guard).truth())
            case ir.Check(test, name, message):
                truth = self.eval(test).truth()
                self._oblige("check", name, truth, message)
                if name in ASSERTIONS:
                    self.reach = z3.And(self.reach, truth)
                if test == ir.Const(0):
                    return []
            case ir.End():
                return []
        return [(instr.next, self.reach)]

    def _join(self, ways: list[tuple[z3.BoolRef, State]]) -> None:
        """Where ways join: prove of each what is to be proved of each, and know it of all."""
        line = self._line(self.node)
        lemmas = [each for each in self.frame.lemmas
                  if each.line == line and each.place == "each way"]
        self.joined = {}
        if len(ways) == 1 or not lemmas:
            self.reach, self.state = merge(ways)
            return
        if self.node in self.flow.loops:
            raise ValueError(f"line {line} is the head of a loop: it has ways that are back")
        proved = []
        for self.reach, self.state in ways:
            self._lemmas(line, "each way")
            proved.append((self.reach, self.state))
        self.reach, self.state = merge(proved)
        view = self.view(self.state)
        self.joined = {each.name: each.formula(view) for each in lemmas}
        self.reach = z3.And(self.reach, *self.joined.values())

    def _place(self) -> None:
        """Claims and definitions that belong to the statement that begins here."""
        instr = self.thread.code[self.node]
        if not instr.where.lines:
            return
        line = instr.where.lines[0]
        marks = isinstance(instr.action, ir.Nop) and instr.action.cites
        if marks or line not in self.begun:
            self._lemmas(line, "before")
        self.begun.add(line)
        if not marks:
            return
        for claim in self.frame.claims:
            if claim.line == line:
                self.placed.add((claim.name, line))
                for part in _conjuncts(claim.formula(self.view(self.state))):
                    self._oblige("claim", claim.name, part)
        if line in self.frame.cuts:
            self._forget(line)
            self._lemmas(line, "behind")
        if line in self.frame.given:
            self.placed.add(("given", line))
            self.reach = z3.And(self.reach, self.frame.given[line](self.view(self.state)))

    def _lemmas(self, line: int, place: Place) -> None:
        """Prove each, then know it."""
        proved = dict(self.joined) if place == "before" else {}
        for lemma in self.frame.lemmas:
            if lemma.line != line or lemma.place != place:
                continue
            self.placed.add((lemma.name, line))
            view = self.view(self.state)
            goal = lemma.formula(view)
            if lemma.by is None:
                self._oblige("lemma", lemma.name, goal)
            else:
                saved = self.reach
                pairs = self._opaque(lemma, view)
                self.reach = z3.substitute(z3.And(*(proved[name] for name in lemma.by)), *pairs)
                self._oblige("lemma", lemma.name, z3.substitute(goal, *pairs), alone=True)
                self.reach = saved
            self.reach = z3.And(self.reach, goal)
            proved[lemma.name] = goal

    def _opaque(
        self, lemma: Lemma, view: View
    ) -> list[tuple[z3.BitVecRef, z3.BitVecRef]]:
        """What may have any value in it: its own terms, and what variables were assigned."""
        for each in self.frame.lemmas:
            if each.line == lemma.line and each.name in (lemma.by or ()):
                each.formula(view)
        terms = [*(lemma.opaque(view) if lemma.opaque else ()), *view.computed]
        return [(term, z3.BitVec(f"any!{number}", term.size()))
                for number, term in enumerate(terms)]

    def _forget(self, line: int) -> None:
        """Prove the cut, and go on from a state in which only the cut is known of what is new."""
        self.placed.add(("cut", line))
        for number, part in enumerate(_conjuncts(self.frame.cuts[line](self.view(self.state)))):
            self._oblige("cut", f"{line}.{number}", part)
        if line in self.frame.forgets:
            view, known = self.view(self.state), self.reach
            self._havoc(frozenset(view.key(name) for name in self.frame.forgets[line]))
        else:
            known = z3.BoolVal(True)
            self._havoc(frozenset(self.state.scalars) | frozenset(self.state.arrays))
        self.reach = z3.And(known, self.frame.cuts[line](self.view(self.state)))

    def claim_goals(
        self, node: int, obligation: Obligation, view: View
    ) -> list[z3.BoolRef]:
        """What the frame claims at a node, of a state given by names."""
        line = self.thread.code[node].where.lines[0]
        found = [part for claim in self.frame.claims
                 if claim.line == line and claim.name == obligation.name
                 for part in _conjuncts(claim.formula(view))]
        if obligation.kind == "cut" and line in self.frame.cuts:
            found += _conjuncts(self.frame.cuts[line](view))
        return found

    def _check_frame(self) -> None:
        wanted = {(claim.name, claim.line) for claim in self.frame.claims}
        wanted |= {(lemma.name, lemma.line) for lemma in self.frame.lemmas}
        wanted |= {("given", line) for line in self.frame.given}
        wanted |= {("cut", line) for line in self.frame.cuts}
        missing = wanted - self.placed
        if missing:
            raise ValueError(f"no statement begins at the line of {sorted(missing)}")
        heads = {self._line(head) for head in self.flow.loops}
        for line in self.frame.invariants:
            if line not in heads:
                raise ValueError(f"no loop is at line {line}")

    def _line(self, head: int) -> int:
        lines = self.thread.code[head].where.lines
        return lines[0] if lines else 0

    # ----------------------------------------------------------------------- loops

    def _writes(self, loop: Loop) -> frozenset[Key]:
        written: set[Key] = set()
        for node in loop.nodes:
            match self.thread.code[node].action:
                case ir.Assign(target, _) | ir.Choose(target, _, _):
                    kind = "local" if isinstance(target, ir.Local) else "shared"
                    written.add((kind, target.var))
        return frozenset(written)

    def _invariant(self, head: int) -> z3.BoolRef:
        formula = self.frame.invariants.get(self._line(head))
        if formula is None:
            return z3.BoolVal(True)
        return formula(self.view(self.state, self.loop_writes[head]))

    def _cut(self, loop: Loop) -> None:
        for number, part in enumerate(_conjuncts(self._invariant(loop.head))):
            self._oblige("invariant", f"{self._line(loop.head)}.{number}", part)
        self._havoc(self.loop_writes[loop.head])
        self.reach = z3.And(self.reach, self._invariant(loop.head))

    def _kept(self, head: int, condition: z3.BoolRef) -> None:
        saved, self.reach = self.reach, condition
        for number, part in enumerate(_conjuncts(self._invariant(head))):
            self._oblige("induction", f"{self._line(head)}.{number}", part)
        self.reach = saved

    def _havoc(self, keys: frozenset[Key]) -> None:
        """Make variables arbitrary."""
        self.state = self.state.copy()
        for key in sorted(keys):
            kind, number = key
            var = self.thread.locals[number] if kind == "local" else self.program.shared[number]
            if key in self.state.scalars:
                term = self._new(var.name, var.domain.ctype)
                self._typed(term, var.domain)
                self.state.scalars[key] = term
            elif key in self.state.arrays:
                self.counter += 1
                self.state.arrays[key] = self._array(
                    f"{var.name}!{self.counter}", var.domain.ctype
                )


def _conjuncts(formula: z3.BoolRef) -> list[z3.BoolRef]:
    parts = list(formula.children()) if z3.is_and(formula) else [formula]
    return [part for part in parts if not z3.is_true(part)]


def conditions(program: ir.Program, frame: Frame) -> Conditions:
    """The obligations of a compiled routine (:func:`..lang.compile.compile_routine`)."""
    return Execution(program, frame).run()


__all__ = ["ASSERTIONS", "Claim", "Conditions", "Execution", "Formula", "Frame", "Lemma",
           "Obligation", "conditions"]
