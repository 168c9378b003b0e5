"""The native engine reports exactly what the python engine reports, with any number of workers."""

from __future__ import annotations

import shutil

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.result import Granularity, Result
from genfscheck.checker.lang import ir

from ..build import Code, counter, number, op, program, shared, var
from ..randomised import random_program
from ..test_toys import spinning

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


def compare(program: ir.Program, granularity: Granularity, workers: int = 1) -> Result:
    """Both engines' results, which must be equal; the native one."""
    python = explore(program, granularity=granularity)
    native = explore(
        program, granularity=granularity, engine="native", workers=workers, reduction=False
    )
    assert native.engine == "native"
    assert native.without_cost() == python.without_cost()
    return native


def masked() -> ir.Program:
    """Two threads move a number about; what is wanted of it is not always wanted."""
    threads = []
    for index in range(2):
        code = Code(f"t{index}", index)
        for value in (1 + index, 3, 2 - index, 0):
            code.put(0, value).put(1, value % 2)
        threads.append(code.thread())
    small = ir.Invariant("small", op("<", shared(0), 2), op("==", shared(1), 0))
    never = ir.Invariant("never", op("!=", shared(0), 3), ir.Const(1))
    return program("masked", [var("x", number(3)), var("y")], threads, [small, never])


def late_break() -> ir.Program:
    """One invariant is broken from the beginning, one only counts at the end."""
    code = Code("t0", 0).put(0, 1).put(0, 0)
    first = ir.Invariant("first", op("==", shared(0), 1), ir.Const(1))
    last = ir.Invariant("last", op("==", shared(0), 1), ir.Const(1), terminal_only=True)
    return program("late", [var("x")], [code.thread()], [first, last])


def witnesses() -> ir.Program:
    threads = [Code(f"t{i}", i).put(i, 1).put(i, 0).thread() for i in range(2)]
    made = program("witnesses", [var("x"), var("y")], threads)
    made.witnesses = [
        ir.Witness("both", op("and", shared(0), shared(1))),
        ir.Witness("never", op("and", shared(0), op("==", shared(0), 0))),
    ]
    return made


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed: int, granularity: Granularity) -> None:
    compare(random_program(seed), granularity, workers=1 + seed % 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 200))
def test_more_random_programs(seed: int) -> None:
    made = random_program(seed)
    compare(made, "fine", workers=1 + seed % 2)
    compare(made, "reduced", workers=1 + seed % 2)


def test_violations() -> None:
    assert compare(counter(2, 1, False), "fine").violations
    assert compare(counter(2, 1, False), "fine", workers=2).violations


@pytest.mark.parametrize("stuck", [False, True])
def test_progress(stuck: bool) -> None:
    result = compare(spinning(stuck), "fine", workers=2)
    assert [one.kind for one in result.violations] == ["progress"] * stuck


def test_an_invariant_that_breaks_more_than_once() -> None:
    """Which transitions break an invariant anew does not depend on who found a state first."""
    for workers in (1, 2, 3):
        result = compare(masked(), "fine", workers)
        assert {one.kind for one in result.violations} == {"invariant"}


def test_a_break_in_an_initial_state_and_at_the_end() -> None:
    assert len(compare(late_break(), "fine", 2).violations) == 3


def test_witnesses() -> None:
    found = compare(witnesses(), "fine", 2).witnesses
    assert found["both"] is not None and found["never"] is None


def test_bounds() -> None:
    toy = counter(3, 3, True)
    result = explore(toy, granularity="fine", engine="native", max_states=10)
    assert (result.verdict, result.bound) == ("inconclusive", "max_states")
    result = explore(toy, granularity="fine", engine="native", max_seconds=0.0)
    assert (result.verdict, result.bound) == ("inconclusive", "max_seconds")
    result = explore(toy, granularity="fine", engine="native", max_memory=1)
    assert (result.verdict, result.bound) == ("inconclusive", "max_memory")


def test_interruption() -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    result = explore(counter(3, 3, True), engine="native", granularity="fine", progress=interrupt)
    assert (result.verdict, result.bound) == ("inconclusive", "interrupted")


def test_automatic_choice() -> None:
    """Small searches are answered by the python engine."""
    assert explore(counter(2, 1, True), engine="auto").engine == "python"


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    monkeypatch.setattr("genfscheck.checker.explore.explore.SMALL", 5)
    assert explore(counter(2, 1, True), granularity="fine", engine="auto").engine == "python"
