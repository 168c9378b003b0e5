"""Breaking the encoding is noticed by the comparison with the explicit engines."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genfscheck.checker.lang import ir
from genfscheck.checker.symbolic.bmc import segment
from genfscheck.checker.symbolic.bmc.expressions import Path, Translator
from genfscheck.checker.symbolic.bmc.guards import Guard, Guards
from genfscheck.checker.symbolic.bmc.instructions import Outcome
from genfscheck.checker.symbolic.bmc.search import Search
from genfscheck.checker.symbolic.bmc.segment import Machine
from genfscheck.checker.symbolic.bmc.states import Arrival, Entry
from genfscheck.checker.symbolic.bmc.values import Cases, Value, Values

from ...explore.build import Code, const, op, program, shared, var
from ...explore.randomised import random_program
from ...explore.test_expressions import expressions
from ...explore.test_toys import TOYS
from .agree import chooses
from .test_agreement import OPEN, compare

Patch = pytest.MonkeyPatch


def arrays() -> ir.Program:
    """Stores at an index that is open, one of them outside; a value outside its range."""
    narrow = ir.Domain("int", 0, 3)
    one, two = Code("one", 0), Code("two", 1)
    one.add(ir.Assign(shared(1, shared(0)), const(2)), stop=True)
    one.add(ir.Check(op("==", shared(1, 1), 0), "kept", "element 1 was changed"), stop=True)
    two.add(ir.Wait(op("!=", shared(0), 1), "not one"), stop=True)
    two.add(ir.Assign(shared(2), op("+", shared(0), 1)), stop=True)
    variables = [var("i", narrow), var("a", narrow, (0, 0, 0)), var("n", narrow)]
    made = program("arrays", variables, [one.thread(), two.thread(daemon=True)])
    return chooses(made, {0: (0, 1, 2, 3)})


def forgetful() -> ir.Program:
    """Two ways to one state, the longer one for other inputs; only those fail the check."""
    code = Code("one")
    total = code.local("total", ir.Domain("int", 0, 4))
    code.add(ir.Assign(total, op("+", shared(0), shared(1))), stop=True)
    code.put(0, 0)
    code.branch(op("==", total, 1), "far")
    code.add(ir.Nop()).goto("join")
    code.label("far").add(ir.Nop(), stop=True).add(ir.Nop(), stop=True)
    code.label("join").add(ir.Nop(), stop=True)
    code.add(ir.Check(op("!=", shared(1), 2), "two", "it is 2"), stop=True)
    three = ir.Domain("int", 0, 2)
    made = program("forgetful", [var("i", three), var("j", three)], [code.thread()])
    return chooses(made, {0: (0, 1, 2), 1: (0, 1, 2)})


def joined() -> ir.Program:
    """Two sides of a branch that meet again with different values, inside a step."""
    code = Code("one")
    value, other = code.local("value", ir.Domain("int", 0, 3)), code.local("other")
    code.add(ir.Assign(other, shared(0)), stop=True)
    code.branch(other, "else")
    code.add(ir.Assign(value, const(3))).goto("join")
    code.label("else").add(ir.Assign(value, const(1)))
    code.label("join").add(ir.Assign(value, op("&", value, 3)))
    code.put(1, value)
    narrow = ir.Domain("int", 0, 3)
    made = program("joined", [var("i"), var("n", narrow)], [code.thread()])
    return chooses(made, {0: (0, 1)})


def examples() -> list[tuple[ir.Program, bool]]:
    lost_wakeup = TOYS["lost wakeup"][0]
    found = [(arrays(), False), (forgetful(), False), (joined(), True), (lost_wakeup, False)]
    for seed in (1, 2, 4):
        found.append((chooses(random_program(1000 + seed), OPEN), seed % 2 == 1))
        options = {0: (-8, 0, 7), 2: (0, 999), 5: (2, -3), 6: (4, 1)}
        found.append((chooses(expressions(random.Random(seed)), options), True))
    return found


def agrees() -> bool:
    """Does everything come out the same?  A search that breaks down does not."""
    try:
        for made, joining in examples():
            compare(made, "fine", joining)
    except Exception:
        return False
    return True


def test_the_examples_agree() -> None:
    for made, joining in examples():
        compare(made, "fine", joining)


def a_literal_keeps_a_value(patch: Patch) -> None:
    whole = Guards.literal
    patch.setattr(Guards, "literal", lambda self, which, mask: whole(self, which, mask | 1))


def a_branch_is_not_negated(patch: Patch) -> None:
    patch.setattr(Values, "falsity", Values.truth)


def a_store_forgets_the_old_value(patch: Patch) -> None:
    patch.setattr(Values, "select", lambda self, guard, one, two: one)


def cases_lose_one(patch: Patch) -> None:
    whole = Values.of

    def of(self: Values, cases: Any) -> Value:
        made = whole(self, cases)
        if isinstance(made, Cases) and len(made.cases) > 2:
            return whole(self, made.cases[1:])
        return made

    patch.setattr(Values, "of", of)


def an_index_outside_is_left_out(patch: Patch) -> None:
    whole = Translator.decide

    def decide(self: Translator, path: Path, guard: Guard) -> bool:
        try:
            return whole(self, path, guard)
        except Exception:
            return False

    patch.setattr(Translator, "decide", decide)


def what_was_done_for_some_was_done_for_all(patch: Patch) -> None:
    def undone(self: Search, entry: Entry, thread: int, arrival: Arrival) -> Guard:
        return self.guards.false if entry.done[thread] else arrival.condition

    patch.setattr(Search, "_undone", undone)


def a_blocked_thread_is_forgotten(patch: Patch) -> None:
    patch.setattr(Search, "_stuck", lambda self, arrival, thread, rest: None)


def a_wait_does_not_wait(patch: Patch) -> None:
    whole = Machine._wait

    def wait(self: Machine, test: Any, following: int) -> Any:
        return whole(self, lambda path: 1, following)

    patch.setattr(Machine, "_wait", wait)


def a_failed_check_is_for_everybody(patch: Patch) -> None:
    whole = Machine._failed

    def failed(
        self: Machine, path: Path, name: str, condition: Guard | None = None
    ) -> Outcome:
        return whole(self, path, name, self.guards.true)

    patch.setattr(Machine, "_failed", failed)


def a_join_takes_one_side(patch: Patch) -> None:
    def join(self: Machine, one: Path, two: Path) -> None:
        one.condition = self.guards.either(one.condition, two.condition)
        one.nodes |= two.nodes

    patch.setattr(Machine, "_join", join)


def outcomes_take_one_side(patch: Patch) -> None:
    def merged(self: Machine, one: Outcome, two: Outcome) -> Outcome:
        return replace(one, condition=self.guards.either(one.condition, two.condition))

    patch.setattr(Machine, "_merged", merged)


def a_restriction_is_too_strong(patch: Patch) -> None:
    def restrict(self: Guards, guard: Guard, condition: Guard) -> Guard:
        return self.true if guard.kind == "literal" else guard

    patch.setattr(Guards, "restrict", restrict)


def satisfiable_by_guess(patch: Patch) -> None:
    patch.setattr(Guards, "_possible", lambda self, guard: False)


MUTANTS: list[Callable[[Patch], None]] = [
    a_literal_keeps_a_value, a_branch_is_not_negated, a_store_forgets_the_old_value,
    cases_lose_one, an_index_outside_is_left_out, what_was_done_for_some_was_done_for_all,
    a_blocked_thread_is_forgotten, a_wait_does_not_wait,
    a_failed_check_is_for_everybody, a_join_takes_one_side,
    outcomes_take_one_side, a_restriction_is_too_strong,
    satisfiable_by_guess,
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_mutants(mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "FUEL", 2_000)
    mutant(monkeypatch)
    assert not agrees()
