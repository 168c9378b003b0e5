"""Which candidates are inductive, and what is proved with them.

Houdini (Flanagan and Leino, 2001): assume all candidates at the heads of their loops; drop
those that do not hold on entry or are not kept by a round; repeat.  What is left is the
largest inductive subset, whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import z3

from .view import Candidate, Execution, Obligation

# Obligations in one question.
TOGETHER: Final = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an obligation; ``model`` where it does not hold."""

    obligation: Obligation
    verdict: str  # valid, false, unknown
    model: z3.ModelRef | None = None


class Decider:
    """One execution's questions, asked of one solver."""

    def __init__(self, execution: Execution, rlimit: int = 20_000_000) -> None:
        self.execution = execution
        self.solver = z3.Solver()
        self.solver.set("rlimit", rlimit)
        self.solver.set("random_seed", 1)
        self.kept: dict[int, list[Candidate]] = {}
        self.questions = 0
        self.dropped_unknown = 0
        self._told = 0
        self._named: dict[tuple[int, int], tuple[z3.BoolRef, z3.BoolRef]] = {}

    def _tell(self, count: int) -> None:
        """Let the solver know the first facts."""
        if count > self._told:
            self.solver.add(*self.execution.facts[self._told : count])
            self._told = count

    def _ask(
        self, goals: Sequence[tuple[z3.BoolRef, z3.BoolRef]], active: Sequence[Candidate] = ()
    ) -> z3.CheckSatResult:
        """Is some goal false where it is reached?  (unsat: none).  The caller pops."""
        self.solver.push()
        self.questions += 1
        self.solver.add(z3.Or([self._broken(*goal) for goal in goals]))
        return self.solver.check([each.active for each in active])

    def _name(self, goals: Iterable[tuple[z3.BoolRef, z3.BoolRef]]) -> None:
        for goal in goals:
            name = self._broken(*goal)
            self.solver.add(name == self._named[goal[0].get_id(), goal[1].get_id()][1])

    def _broken(self, reach: z3.BoolRef, goal: z3.BoolRef) -> z3.BoolRef:
        """A name for: reached, and the goal is false."""
        key = (reach.get_id(), goal.get_id())
        if key not in self._named:
            name = z3.Bool(f"broken{len(self._named)}")
            self._named[key] = (name, z3.And(reach, z3.Not(goal)))
        return self._named[key][0]

    def strengthen(self) -> None:
        """Drop candidates until the rest is inductive: outermost loops one after the other."""
        flow = self.execution.flow
        heads = [node for node in flow.order if node in self.execution.candidates]
        done: set[int] = set()
        for head in heads:
            if head in done:
                continue
            nest = [other for other in heads if other in flow.loops[head].nodes]
            done.update(nest)
            self._tell(max(self.execution.known[node] for node in flow.loops[head].nodes
                           if node in self.execution.known))
            self._nest(nest)

    def _nest(self, heads: Sequence[int]) -> None:
        """One outermost loop with those inside."""
        active = [each for head in heads for each in self.execution.candidates[head]]
        self._name([goal for each in active for goal in each.goals])
        changed = True
        while changed:
            changed = False
            for head in heads:
                while True:
                    gone = self._falsified([each for each in active if each.head == head], active)
                    if not gone:
                        break
                    active = [each for each in active if id(each) not in gone]
                    changed = True
        for head in heads:
            self.kept[head] = [each for each in active if each.head == head]
        self.solver.add(*[each.active for each in active])

    def _falsified(self, mine: list[Candidate], active: list[Candidate]) -> set[int]:
        """Candidates of one loop that are not kept while all active ones are assumed."""
        goals = [goal for each in mine for goal in each.goals]
        if not goals:
            return set()
        result = self._ask(goals, active)
        gone: set[int] = set()
        if result == z3.sat:
            model = self.solver.model()
            gone = {
                id(each) for each in mine
                if any(z3.is_true(model.eval(self._broken(*goal))) for goal in each.goals)
            }
            if not gone:
                raise RuntimeError("a model that falsifies nothing")
        self.solver.pop()
        if result == z3.unknown:
            for each in mine:
                answer = self._ask(each.goals, active)
                self.solver.pop()
                if answer != z3.unsat:
                    gone.add(id(each))
                    self.dropped_unknown += answer == z3.unknown
        return gone

    def decide(self, obligations: Sequence[Obligation]) -> list[Answer]:
        """An answer for each obligation."""
        answers: list[Answer] = []
        self._tell(len(self.execution.facts))
        self._name([(each.reach, each.goal) for each in obligations])
        for start in range(0, len(obligations), TOGETHER):
            answers.extend(self._decide(obligations[start : start + TOGETHER]))
        return answers

    def _decide(self, part: Sequence[Obligation]) -> list[Answer]:
        """Ask of all together; a model says which do not hold, then the others are asked again."""
        found: dict[int, Answer] = {}
        left = list(range(len(part)))
        while left:
            result = self._ask([(part[number].reach, part[number].goal) for number in left])
            model = self.solver.model() if result == z3.sat else None
            self.solver.pop()
            if model is not None:
                false = [number for number in left if z3.is_true(
                    model.eval(self._broken(part[number].reach, part[number].goal)))]
                if not false:
                    raise RuntimeError("a model that falsifies nothing")
                found.update((number, Answer(part[number], "false", model)) for number in false)
                left = [number for number in left if number not in found]
                continue
            if result == z3.unsat or len(left) == 1:
                verdict = "valid" if result == z3.unsat else "unknown"
                found.update((number, Answer(part[number], verdict)) for number in left)
                break
            # Undecided together: each by itself.
            for number in left:
                (found[number],) = self._decide([part[number]])
            break
        return [found[number] for number in range(len(part))]

    def ends(self) -> bool:
        """Is an end of the routine reached in the view (for a daemon: any obligation)?

        If not, what was proved says nothing.
        """
        self._tell(len(self.execution.facts))
        reached = self.execution.ends or [each.reach for each in self.execution.obligations]
        return bool(self.solver.check(z3.Or(reached)) == z3.sat)

    def unreached(self) -> list[Obligation]:
        """Obligations at places that cannot be reached in the view: they say nothing."""
        self._tell(len(self.execution.facts))
        verdicts: dict[int, bool] = {}
        for each in self.execution.obligations:
            if each.node not in verdicts:
                verdicts[each.node] = self.solver.check(each.reach) == z3.unsat
        return [each for each in self.execution.obligations if verdicts[each.node]]

    def invariants(self, head: int) -> list[Candidate]:
        """What was kept at a loop."""
        return self.kept[head]

    def smt2(self, obligation: Obligation) -> str:
        """The question about one obligation, with all facts and invariants."""
        self._tell(len(self.execution.facts))
        self.solver.push()
        self.solver.add(obligation.reach, z3.Not(obligation.goal))
        text = str(self.solver.to_smt2())
        self.solver.pop()
        where = obligation.where
        return (f"; {obligation.kind} {obligation.name}: {obligation.text}\n"
                f"; {where.file}:{where.line}\n(set-logic ALL)\n{text}")
