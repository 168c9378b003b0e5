"""Ample sets leave out states, and nothing else: every condition of theirs is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from genfscheck.checker.explore import ample as ample_module
from genfscheck.checker.explore import footprint as footprint_module
from genfscheck.checker.explore import owners as owners_module
from genfscheck.checker.explore.ample import Ample, ample, tables
from genfscheck.checker.explore.engine import Facts, facts, fine_stops
from genfscheck.checker.explore.errors import InternalError
from genfscheck.checker.explore.footprint import Footprint
from genfscheck.checker.explore.intervals import Ranges
from genfscheck.checker.explore.probe import every_check
from genfscheck.checker.explore.reduce import Reduction
from genfscheck.checker.lang import ir

from .build import (
    Code,
    always,
    const,
    counter,
    crossed,
    handshake,
    mutex,
    number,
    op,
    peterson,
    program,
    shared,
    var,
)  # fmt: skip
from .randomised import random_program
from .reference import Seen, Size, search

Stops = list[list[int]]


def merged(made: ir.Program) -> Stops:
    """Stops of a coarser graph: a reduction's first guess, which need not be right here."""
    return Reduction(facts(made)).stops


def grown(known: Facts, stops: Stops) -> tuple[Seen, Size]:
    """Search with ample sets that count only what was executed, starting from nothing."""
    active: list[set[int]] = [set() for _ in known.program.threads]
    checks = every_check(known.program)
    while True:
        seen, size = search(known, stops, ample(known, stops, checks, active), checks)
        if all(tried <= own for tried, own in zip(seen.tried, active, strict=True)):
            return seen, size
        active = [tried | own for tried, own in zip(seen.tried, active, strict=True)]


def compare(made: ir.Program, stops: Stops) -> tuple[Size, Size]:
    """The sizes without and with ample sets, which agree in everything that is reported."""
    known, checks = facts(made), every_check(made)
    everything, full = search(known, stops, None, checks)
    seen, size = search(known, stops, ample(known, stops, checks), checks)
    assert seen == everything
    assert size.states <= full.states and size.transitions <= full.transitions
    assert grown(known, stops)[0] == everything
    return full, size


def own_work(threads: int, steps: int) -> ir.Program:
    """Threads that work on variables of their own, and at the end one after the other."""
    made = []
    for me in range(threads):
        code = Code(f"t{me}", me)
        for step in range(steps):
            code.put(1, step % 2, me)
        code.enter(0, threads).exit(0, threads)
        made.append(code.thread())
    return program(
        "own", [mutex("m.owner", threads), var("x", number(2), (0,) * threads)], made
    )


TOYS = {
    "peterson": peterson(),
    "peterson without the flag": peterson(True),
    "counter": counter(2, 2, False),
    "counter with a mutex": counter(3, 1, True),
    "crossed locks": crossed(),
    "lost wakeup": handshake(True),
    "no lost wakeup": handshake(False),
    "own work": own_work(3, 3),
}


@pytest.mark.parametrize("name", TOYS)
def test_toys(name: str) -> None:
    made = TOYS[name]
    compare(made, fine_stops(made))
    compare(made, merged(made))


def test_what_it_brings() -> None:
    """Of threads that work apart only one order is left, down to where they meet."""
    made = own_work(3, 3)
    full, size = compare(made, fine_stops(made))
    assert (full.states, size.states, size.alone) == (125 + 3 * 25, 9 + 8 + 3 * 4, 9)


@pytest.mark.parametrize("seed", range(16))
def test_random_programs(seed: int) -> None:
    made = random_program(seed)
    compare(made, fine_stops(made))
    compare(made, merged(made))


@pytest.mark.long
@pytest.mark.parametrize("block", range(40))
def test_many_random_programs(block: int) -> None:
    smaller = 0
    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        made = random_program(seed)
        for stops in (fine_stops(made), merged(made)):
            full, size = compare(made, stops)
            smaller += size.states < full.states
    assert smaller


def test_tables() -> None:
    """The tables for other engines say the same, with numbers through all fine stops."""
    made = handshake(True)
    known, fine = facts(made), fine_stops(made)
    stops = merged(made)
    assert stops != fine
    for row in (fine, stops):
        found = ample(known, row)
        laid = tables(found, made)
        base = {0: 0, 1: len(fine[0])}
        assert laid.stops == len(fine[0]) + len(fine[1])
        ones = 0
        for t in (0, 1):
            for p, stop in enumerate(row[t]):
                source = base[t] + fine[t].index(stop)
                assert laid.eligible[source] == found.eligible[t][p]
                ones += found.eligible[t][p]
                assert [
                    laid.sets[source * laid.keys + key] for key in range(laid.keys)
                ] == [found.sets[t][p] >> key & 1 for key in range(found.total)]
                if found.eligible[t][p]:
                    for q, other in enumerate(row[1 - t]):
                        target = base[1 - t] + fine[1 - t].index(other)
                        fit = laid.compatible[source * laid.stops + target]
                        assert fit == found.compatible[t][p][1 - t][q]
        assert sum(laid.eligible) == ones


# ---------------------------------------------------- one example for each condition


def spins_while_another_fails() -> ir.Program:
    """A daemon works for itself for ever; the other thread fails."""
    daemon = Code("daemon", 0)
    daemon.label("again").put(0, 1).put(0, 0).goto("again")
    other = Code("other", 1).put(1, 1)
    other.add(ir.Check(op("==", shared(1), 0), "fails", ""))
    return program("spins", [var("x"), var("y")], [daemon.thread(True), other.thread()])


def reads_what_another_writes(first: int) -> ir.Program:
    """One thread reads what the other one writes after ``first`` steps."""
    reader = Code("reader", 0)
    value = reader.local("value")
    reader.get(value, 0).add(ir.Check(op("==", value, 0), "fails", ""))
    writer = Code("writer", 1)
    for _ in range(first):
        writer.put(1, 1)
    writer.put(0, 1)
    return program("reads", [var("x"), var("y")], [reader.thread(), writer.thread()])


def both_inside(witness: bool) -> ir.Program:
    """Two threads set and clear flags of their own; both can be set at once."""
    made = [Code(f"t{me}", me).put(0, 1, me).put(0, 0, me).thread() for me in range(2)]
    both = op("and", shared(0, 0), shared(0, 1))
    never = always("apart", ir.Unary("not", both, ir.BOOL))
    return program(
        "both", [var("flag", initial=(0, 0))], made, [] if witness else [never],
        witnesses=[ir.Witness("together", both)] if witness else [],
    )  # fmt: skip


def two_fail() -> ir.Program:
    """Each thread fails whatever the other one does."""
    made = []
    for me in range(2):
        code = Code(f"t{me}", me).put(0, 1, me)
        made.append(code.add(ir.Check(const(0), f"fails-{me}", "")).thread())
    return program("two", [var("x", initial=(0, 0))], made)


def too_late() -> ir.Program:
    """A thread waits for what the other one ends for good."""
    waiter = Code("waiter", 0).add(ir.Wait(op("==", shared(0), 0), "x"), stop=True)
    closer = Code("closer", 1).put(0, 1)
    return program("late", [var("x")], [waiter.thread(), closer.thread()])


def robbed() -> ir.Program:
    """A thread takes a mutex from the one that holds it."""
    holder = Code("holder", 0).enter(0, 2).put(1, 1).put(0, 2)
    robber = Code("robber", 1)
    value = robber.local("value")
    robber.put(0, 2).enter(0, 2).get(value, 1)
    robber.add(ir.Check(value, "fails", ""))
    waits = ir.Wait(op("==", shared(0), 0), "the holder")
    robber.instrs.insert(0, ir.Instr(waits, 1, ir.Where(), True))
    for at, instr in enumerate(robber.instrs):
        instr.next = at + 1
    return program("robbed", [mutex("m.owner", 2), var("x")], [holder.thread(), robber.thread()])


def woken_in_time() -> ir.Program:
    """One thread writes what another one reads once a third one has woken it."""
    writer = Code("writer", 0).put(0, 1)
    reader = Code("reader", 1)
    value = reader.local("value")
    reader.add(ir.Wait(op("==", shared(1), 1), "go"), stop=True)
    reader.get(value, 0).add(ir.Check(value, "fails", ""))
    starter = Code("starter", 2).put(1, 1)
    return program(
        "woken", [var("x"), var("go")], [writer.thread(), reader.thread(), starter.thread()]
    )


def guard_fails() -> ir.Program:
    """A guard that is false where it can be evaluated, and fails while an index is wild."""
    tamer = Code("tamer", 0).put(0, 0)
    waiter = Code("waiter", 1)
    guard = op("and", op("==", shared(1, shared(0)), 0), op("==", shared(2), 1))
    waiter.add(ir.Wait(guard, "never"), stop=True)
    return program(
        "guard", [var("i", number(3), (3,)), var("a"), var("go")],
        [tamer.thread(), waiter.thread()],
    )  # fmt: skip


def phased() -> ir.Program:
    """What a run-time check says of one thread depends on when another one takes the record."""
    taker = Code("taker", 0).put(0, 0)
    user = Code("user", 1)
    value = user.local("value")
    user.get(value, 1).put(2, value)
    owner = var("r.owner", ir.Domain("thread", 0, 2), (2,))
    data = var("r.data", phase=ir.Phase(0, 2))
    return program("phased", [owner, data, var("x")], [taker.thread(), user.thread()])


Patch = pytest.MonkeyPatch


def no_proviso(patch: Patch) -> None:
    patch.setattr(ample_module, "acyclic", lambda following, wanted: set(wanted))


def no_reads(patch: Patch) -> None:
    patch.setattr(
        Footprint, "conflicts", lambda self, other: bool(self.writes & other.writes)
    )


def next_block_only(patch: Patch) -> None:
    def all_(self: ample_module._Futures, held: object) -> dict[int, Footprint]:
        return {stop: block.footprint for stop, block in self.blocks.items()}

    patch.setattr(ample_module._Futures, "all", all_)


def nothing_is_watched(patch: Patch) -> None:
    patch.setattr(ample_module, "watched", lambda space, block, exclusive: 0)


def failures_do_not_matter(patch: Patch) -> None:
    old = Ample.alone
    patch.setattr(
        Ample, "alone", lambda self, at, able, missing: old(self, at, [True] * len(at), missing)
    )


def guards_do_not_read(patch: Patch) -> None:
    old = footprint_module.Space.action

    def action(self, action, *rest):  # type: ignore[no-untyped-def]
        return Footprint() if isinstance(action, ir.Wait) else old(self, action, *rest)

    patch.setattr(footprint_module.Space, "action", action)


def owners_are_believed(patch: Patch) -> None:
    patch.setattr(owners_module._Flow, "_judge", lambda self, node, known: None)


def sleepers_stay_asleep(patch: Patch) -> None:
    def moving(self, thread, at, missing):  # type: ignore[no-untyped-def]
        return [
            other for other, stop in enumerate(at)
            if other != thread and stop is not None and not missing[other]
        ]  # fmt: skip

    patch.setattr(Ample, "_moving", moving)


def guards_never_fail(patch: Patch) -> None:
    old = footprint_module.Space.keys

    def keys(self, *rest):  # type: ignore[no-untyped-def]
        with Patch.context() as inner:
            inner.setattr(Ranges, "of", lambda self, expr, env: (0, 0))
            return old(self, *rest)

    patch.setattr(footprint_module.Space, "keys", keys)


def checks_do_not_read(patch: Patch) -> None:
    patch.setattr(footprint_module.Blocks, "_checked", lambda self, node, action: 0)


MUTANTS: list[tuple[ir.Program, Callable[[Patch], None]]] = [
    (spins_while_another_fails(), no_proviso),
    (reads_what_another_writes(0), no_reads),
    (reads_what_another_writes(1), next_block_only),
    (both_inside(False), nothing_is_watched),
    (both_inside(True), nothing_is_watched),
    (two_fail(), failures_do_not_matter),
    (too_late(), guards_do_not_read),
    (robbed(), owners_are_believed),
    (woken_in_time(), sleepers_stay_asleep),
    (guard_fails(), guards_never_fail),
    (phased(), checks_do_not_read),
]


@pytest.mark.parametrize("made, mutate", MUTANTS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_condition_is_needed(
    made: ir.Program, mutate: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    compare(made, fine_stops(made))
    known, stops, checks = facts(made), fine_stops(made), every_check(made)
    everything, _ = search(known, stops, None, checks)
    mutate(monkeypatch)
    try:
        seen, _ = search(known, stops, ample(known, stops, checks), checks)
    except InternalError:  # a condition that cannot be evaluated
        assert mutate is guards_never_fail
    else:
        assert seen != everything


def test_exclusive_owners() -> None:
    """An owner that a thread overwrites is none; the rest is known where a mutex is held."""
    for made, exclusive in ((counter(2, 1, True), True), (robbed(), False)):
        stops = fine_stops(made)
        found = owners_module.owners(made, stops)
        assert (0 in found.exclusive) == exclusive
        held = {node for node in stops[0] if found.held(0, node)}
        assert bool(held) == exclusive
        everything, _ = search(facts(made), stops)
        assert everything.terminal
