"""Symmetry in the native engine: one state of each orbit, and the same is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import pytest

from genfscheck.checker.explore.ample import ample, tables
from genfscheck.checker.explore.engine import facts, fine_stops
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import State, eval_expr
from genfscheck.checker.explore.native.cgen import generate
from genfscheck.checker.explore.native.handle import Library, NativeEngine, load
from genfscheck.checker.explore.native.quotient import MOST_ORDERS, Quotient, Row, quotient
from genfscheck.checker.explore.probe import every_check
from genfscheck.checker.explore.reduce import Reduction
from genfscheck.checker.explore.refine import expand
from genfscheck.checker.explore.result import Result
from genfscheck.checker.explore.symmetry import Symmetry, symmetry
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import CallSpec

from .. import reference
from ..build import BIT, Code, always, const, counter, mutex, number, op, program, shared, var
from ..test_symmetry import MUTANTS as REFUSALS
from ..test_symmetry import REFUSED, alike, compiled
from .test_ample import Stops, agree, seen_natively

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


# ------------------------------------------------------------------------ one search


def outline(seen: reference.Seen, found: Symmetry) -> tuple[object, ...]:
    """What a search saw, up to the symmetry; what it tried, exactly."""
    first = {thread: group[0] for group in found.groups for thread in group}
    return (
        {(first.get(thread, thread), name) for thread, _, name in seen.failed},
        {found.representative(state) for state in seen.terminal},
        seen.broken,
        seen.witnessed,
        {first.get(thread, thread) for thread in seen.stuck},
        seen.tried,
        seen.strays,
        seen.waited,
    )


class Case:
    """A program with its symmetry, and what is there without it."""

    def __init__(self, made: ir.Program, merged: bool = False) -> None:
        self.made, self.known = made, facts(made)
        self.library: Library = load(self.known)
        tables_ = quotient(symmetry(self.known), self.library.model)
        assert tables_ is not None
        self.quotient: Quotient = tables_
        self.found = tables_.symmetry
        stops = Reduction(self.known).stops if merged else fine_stops(made)
        self.stops: Stops = self.found.common_stops(stops)
        self.full, self.size = reference.search(
            self.known, self.stops, None, every_check(made), groups=self.found.groups
        )
        ends = {one.name for one in made.invariants if one.terminal_only}
        self.full.broken -= ends

    def native(
        self, exchanged: Quotient | None = None, thrifty: bool = False, workers: int = 1
    ) -> tuple[tuple[object, ...], list[State]]:
        """What a native search sees with some tables, and the states that it keeps."""
        laid = ample(self.known, self.stops, every_check(self.made), None, self.found.groups)
        nothing = reference.Seen()
        seen, states = seen_natively(
            self.known, self.stops, tables(laid, self.made) if thrifty else None, nothing,
            workers, exchanged or self.quotient,
        )  # fmt: skip
        kept = [state for state in states if isinstance(state, State)]
        ended = {found for found in map(self.found.representative, kept)}
        seen.terminal = {
            state for state in self.full.terminal if self.found.representative(state) in ended
        }
        return outline(seen, self.found), kept

    @property
    def expected(self) -> tuple[object, ...]:
        return outline(self.full, self.found)

    @cached_property
    def orbits(self) -> set[State]:
        return {self.found.representative(state) for state in self.size.kept}

    def agrees(self, exchanged: Quotient | None = None) -> bool:
        """Does a search with these tables see everything, and one state of each orbit?"""
        seen, kept = self.native(exchanged)
        return (
            seen == self.expected
            and len(kept) == len(self.orbits)
            and {self.found.representative(state) for state in kept} == self.orbits
        )


def compare(made: ir.Program, merged: bool = False, workers: int = 1) -> tuple[int, int]:
    """A native search with symmetry, and with ample sets too, against a full one."""
    case = Case(made, merged)
    seen, kept = case.native(workers=workers)
    assert seen == case.expected
    assert {case.found.representative(state) for state in kept} == case.orbits
    assert len(kept) == len(case.orbits)
    one_for_all(case)
    seen, both = case.native(thrifty=True, workers=workers)
    assert seen == case.expected
    assert len(both) <= len(kept) <= case.size.states
    return case.size.states, len(kept)


def one_for_all(case: Case) -> None:
    """The state that the engine keeps is the same for all of an orbit, and one of them."""
    engine = NativeEngine(case.library)
    engine.symmetry(case.quotient)
    layout = case.library.model.layout
    for state in list(case.size.kept)[:200]:
        images = {case.found.permuted(state, order) for order in case.found.orders}
        kept = {engine.canonical(layout.encode(image)) for image in images}
        assert len(kept) == 1 and layout.decode(kept.pop()) in images
    engine.close()


def whole(made: ir.Program, groups: tuple[tuple[int, ...], ...], workers: int = 1) -> Result:
    """Every granularity, and the whole exploration; the result of that."""
    assert symmetry(facts(made)).groups == groups
    compare(made, workers=workers)
    compare(made, merged=True, workers=workers)
    result = agree(made, workers)
    if not result.violations:
        assert result.reductions == ("merging", "ample", "symmetry")
    return result


# ------------------------------------------------------------------------------- toys

TAKE, WRITE, LOOK = CallSpec("take"), CallSpec("write"), CallSpec("look")


def give(count: int) -> CallSpec:
    return CallSpec("give", {"count": count})


def last_writer(threads: int) -> ir.Program:
    """Each thread remembers whom it found in a variable, writes itself, and looks again."""
    made = []
    for me in range(threads):
        code = Code(f"t{me}", me)
        thread = ir.Domain("thread", 0, threads)
        before, after = code.local("before", thread), code.local("after", thread)
        code.get(before, 0).put(0, me).get(after, 0)
        code.put(1, op("or", op("==", after, me), op("==", before, after)), me)
        made.append(code.thread())
    who = var("who", ir.Domain("thread", 0, threads), (threads,))
    return program("last", [who, var("same", BIT, (0,) * threads)], made)


def bits(threads: int) -> ir.Program:
    """Each thread adds itself to a set, and remembers who was in it before."""
    everyone = number((1 << threads) - 1)
    made = []
    for me in range(threads):
        code = Code(f"t{me}", me)
        before, now = code.local("before", everyone), code.local("now", everyone)
        code.get(before, 0)
        code.add(ir.Assign(shared(0), op("|", shared(0), 1 << me)), stop=True)
        code.get(now, 0)
        code.put(1, op("==", op("|", before, 1 << me), now), me)
        made.append(code.thread())
    return program("bits", [var("set", everyone), var("alone", BIT, (0,) * threads)], made)


def bakery() -> ir.Program:
    """Lamport's bakery, one round for each of two threads: of equal tickets the first is first."""
    made = []
    for me in range(2):
        code, other = Code(f"t{me}", me), 1 - me
        ticket = code.local("ticket", number(2))
        code.put(0, 1, me).get(ticket, 1, other)
        code.add(ir.Assign(ticket, op("+", ticket, 1))).put(1, ticket, me).put(0, 0, me)
        code.add(ir.Wait(op("==", shared(0, other), 0), "choosing"), stop=True)
        mine, theirs = shared(1, me), shared(1, other)
        first = op("<=" if me == 0 else "<", mine, theirs)
        code.add(ir.Wait(op("or", op("==", theirs, 0), first), "turn"), stop=True)
        code.add(ir.Check(op("==", shared(2), 0), "exclusion", ""), stop=True)
        code.put(2, 1).put(2, 0).put(1, 0, me)
        made.append(code.thread())
    variables = [var("choosing", BIT, (0, 0)), var("ticket", number(2), (0, 0)), var("inside")]
    return program("bakery", variables, made)


def one_asleep() -> ir.Program:
    """Two threads sleep, one after the other; a third wakes, in one step, all that sleep."""
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        code.enter(0, 3).put(1, 1, me)
        code.add(ir.Wait(op("==", shared(1, me), 0), "woken"), stop=True)
        made.append(code.exit(0, 3).thread())
    waker = Code("waker", 2)
    asleep = op("or", shared(1, 0), shared(1, 1))
    waker.label("again").add(ir.Wait(asleep, "sleepers", rest=True), stop=True)
    waker.branch(shared(1, 0), "second").add(ir.Assign(shared(1, 0), const(0)))
    waker.label("second").branch(shared(1, 1), "again")
    waker.add(ir.Assign(shared(1, 1), const(0))).goto("again")
    variables = [mutex("m.owner", 3), var("asleep", BIT, (0, 0))]
    return program("asleep", variables, [*made, waker.thread(daemon=True)])


def one_began() -> ir.Program:
    """Initially one of two threads, either of them, has a token; they pass it on."""
    setup = Code("setup")
    who = setup.local("who")
    setup.add(ir.Choose(who, const(2), "who")).put(0, 1, who)
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        code.add(ir.Wait(op("==", shared(0, me), 1), "token"), stop=True)
        code.put(0, 0, me).put(0, 1, 1 - me)
        made.append(code.thread())
    return program("token", [var("token", BIT, (0, 0))], made, setup=setup.thread())


def test_threads_with_a_lock() -> None:
    assert whole(counter(3, 1, True), ((0, 1, 2),)).states == 7
    assert compare(counter(3, 1, True)) == (108, 28)


def test_sleepers() -> None:
    """A wakeup goes through the threads in the order of their numbers: what it executes is
    marked for every order, or it would not be what a full search sees."""
    made = one_asleep()
    whole(made, ((0, 1),))
    case = Case(made)
    assert case.agrees() and any(case.quotient.uneven)
    assert not case.agrees(replace(case.quotient, uneven=bytes(len(case.quotient.uneven))))


@pytest.mark.long
@pytest.mark.parametrize("threads", [2, 4])
def test_more_threads_with_a_lock(threads: int) -> None:
    """All that differs is how far they are: a state is how many threads are at each place."""
    made = counter(threads, 1, True)
    whole(made, (tuple(range(threads)),), 2)
    assert compare(made) == {2: (27, 15), 4: (405, 45)}[threads]


@pytest.mark.long
@pytest.mark.parametrize(
    "made, groups",
    [
        (compiled(TAKE, TAKE, give(2)), ((0, 1),)),
        (compiled(give(1), TAKE, give(1), TAKE), ((0, 2), (1, 3))),  # producers and consumers
        (compiled(TAKE, give(1), TAKE), ((0, 2),)),  # one can starve
        (compiled(WRITE, WRITE, LOOK, LOOK), ((0, 1), (2, 3))),
        (compiled(WRITE, LOOK, WRITE, WRITE), ((0, 2, 3),)),
        (bits(3), ((0, 1, 2),)),
        (last_writer(2), ((0, 1),)),
        (one_began(), ((0, 1),)),
    ],
)
def test_more_toys(made: ir.Program, groups: tuple[tuple[int, ...], ...]) -> None:
    whole(made, groups, 2)


def test_numbers_that_matter() -> None:
    """Where a thread's number decides something, nothing is exchanged."""
    assert symmetry(facts(bakery())).groups == ()


@pytest.mark.long
def test_numbers_that_matter_natively() -> None:
    result = agree(bakery())
    assert result.verdict == "holds" and result.reductions == ("merging", "ample")


def test_large_groups_are_cut() -> None:
    known = facts(counter(7, 1, True))
    found = symmetry(known)
    assert found.groups == (tuple(range(7)),)
    cut = quotient(found, generate(known))
    assert cut is not None and cut.symmetry.groups == (tuple(range(6)),)
    assert len(cut.orders) == 7 * MOST_ORDERS


# ---------------------------------------------------------------------------- mutants


def without(rows: tuple[Row, ...], kind: int) -> tuple[Row, ...]:
    return tuple(row for row in rows if row[4] != kind)


def unmoved(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple((*row[:5], 0, row[6]) for row in rows)


def some_orders(made: Quotient) -> bytes:
    """Every permutation but the last ones."""
    threads = len(made.groups)
    return made.orders[: len(made.orders) - 3 * threads]


MUTANTS: dict[str, Callable[[Quotient], Quotient]] = {
    "values": lambda q: replace(q, shared=without(q.shared, 1)),
    "elements": lambda q: replace(q, shared=unmoved(q.shared)),
    "locals": lambda q: replace(q, locals=()),
    "orders": lambda q: replace(q, orders=some_orders(q)),
}


def test_every_table_is_needed() -> None:
    """A permutation that leaves something where it was loses states, or keeps too many."""
    case = Case(last_writer(3))
    assert case.agrees()
    one_for_all(case)
    for name, mutate in MUTANTS.items():
        assert not case.agrees(mutate(case.quotient)), name


@pytest.mark.long
def test_sets_are_permuted() -> None:
    case = Case(bits(3))
    assert case.agrees()
    assert not case.agrees(replace(case.quotient, shared=without(case.quotient.shared, 2)))
    assert not case.agrees(replace(case.quotient, locals=()))


@pytest.mark.long
@pytest.mark.parametrize("name, mutate", REFUSALS)
def test_threads_that_may_not_be_exchanged(
    name: str, mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a wrong group is claimed, a comparison such as these here finds it."""
    mutate(monkeypatch)
    case = Case(REFUSED[name])
    monkeypatch.undo()
    assert not case.agrees()


# -------------------------------------------------------------------- the whole thing


def late(kind: str, threads: int) -> ir.Program:
    """Threads count themselves, and the last one to do so is too many."""
    made, invariants = [], []
    for me in range(threads):
        code = Code(f"t{me}", me)
        value = code.local("value", number(threads))
        code.put(1, 1, me)
        code.add(ir.Assign(shared(0), op("+", shared(0), 1)), stop=True)
        if kind == "check":
            code.add(ir.Check(op("<", shared(0), threads), "few", "too many"), stop=True)
        elif kind == "deadlock":
            code.get(value, 0).branch(op("==", value, threads), "done")
            code.add(ir.Wait(op("<", shared(0), threads), "fewer"), stop=True)
            code.label("done")
        elif kind == "progress":
            code.label("again").get(value, 0).branch(op("<", value, threads), "again")
        made.append(code.thread())
    if kind == "invariant":
        invariants = [always("few", op("<", shared(0), threads))]
    variables = [var("n", number(threads)), var("flag", BIT, (0,) * threads)]
    return program("late", variables, made, invariants)


@pytest.mark.parametrize(
    "kind",
    [
        "check",
        *(pytest.param(kind, marks=pytest.mark.long) for kind in ("invariant", "deadlock")),
        pytest.param("progress", marks=pytest.mark.long),
    ],
)
def test_a_bound_does_not_hide_what_was_found(kind: str) -> None:
    """The search without symmetry is too large: the first one's report counts, and its paths,
    which are executed again before they are reported, are paths of the program."""
    made = late(kind, 5)
    full = explore(made, engine="native", reduction=False)
    assert [found.kind for found in full.violations[:1]] == [kind]
    bounded = explore(made, engine="native", max_states=full.states // 2)
    found = bounded.violations[0]
    assert (bounded.verdict, bounded.bound, bounded.complete) == ("violated", "max_states", False)
    assert bounded.reductions == ("merging", "ample", "symmetry") and bounded.note
    assert found.kind == kind and bounded.states * 4 < full.states
    if kind == "progress":
        assert found.message == "not all of t0, t1, t2, t3, t4 can ever finish"
    whole_ = explore(made, engine="native")
    assert (whole_.violations, whole_.reductions) == (full.violations, ("merging",))


@pytest.mark.long
def test_paths_to_witnesses() -> None:
    """They are lifted: the threads that the path names did it."""
    made = last_writer(3)
    everyone = op("and", op("and", shared(1, 0), shared(1, 1)), shared(1, 2))
    nobody = op("and", everyone, op("==", shared(0), 3))
    made.witnesses = [ir.Witness("everyone", everyone), ir.Witness("nobody", nobody)]
    result = agree(made)
    assert result.reductions == ("merging", "ample", "symmetry")
    assert result.witnesses["nobody"] is None
    path = result.witnesses["everyone"]
    assert path is not None and {block.thread for block in path.blocks} == {0, 1, 2}
    assert eval_expr(everyone, expand(made, path, result.stops).last_state)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300))
def test_random_programs(seed: int) -> None:
    compare_alike(seed)


def compare_alike(seed: int) -> None:
    made = alike(seed)
    groups = symmetry(facts(made)).groups
    if groups:
        whole(made, groups, 1 + seed % 3)
    else:
        assert "symmetry" not in agree(made).reductions
