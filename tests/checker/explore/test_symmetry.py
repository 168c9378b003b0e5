"""Threads that may be exchanged are found, and one state then stands for all its images."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from genfscheck.checker.explore import thread_types
from genfscheck.checker.explore.ample import ample
from genfscheck.checker.explore.engine import facts, fine_stops
from genfscheck.checker.explore.exchange import Exchanges
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.explore.symmetry import Symmetry, symmetry
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import CallSpec, ProgramSpec, ThreadSpec, compile_program
from genfscheck.checker.lang.source import load, with_primitives

from .build import BIT, Code, always, counter, mutex, number, op, program, shared, var
from .randomised import A, Writer
from .reference import Seen, Size, search

Patch = pytest.MonkeyPatch


def outline(seen: Seen, found: Symmetry) -> tuple[object, ...]:
    """What a search saw, up to the symmetry."""
    first = {thread: group[0] for group in found.groups for thread in group}
    return (
        {(first.get(thread, thread), name) for thread, _, name in seen.failed},
        {found.representative(state) for state in seen.terminal},
        seen.broken,
        seen.witnessed,
        {first.get(thread, thread) for thread in seen.stuck},
    )


def compare(made: ir.Program, groups: tuple[tuple[int, ...], ...]) -> tuple[Size, Size]:
    """Exactly one state of each orbit is left, and what is reported agrees."""
    known, stops = facts(made), fine_stops(made)
    found = symmetry(known)
    assert found.groups == groups, found.reasons
    everything, full = search(known, stops, groups=groups)
    seen, size = search(known, stops, None, None, found.representative, groups)
    assert size.kept == {found.representative(state) for state in full.kept}
    assert outline(seen, found) == outline(everything, found)
    each, _ = search(known, stops)
    assert {t for t in each.stuck if t in sum(groups, ())} <= everything.stuck
    assert bool(each.stuck) == bool(everything.stuck)
    alone = ample(known, stops, groups=groups)
    both, least = search(known, stops, alone, None, found.representative, groups)
    assert outline(both, found) == outline(everything, found)
    assert least.states <= size.states
    return full, size


def test_identical_threads() -> None:
    full, size = compare(counter(3, 1, True), ((0, 1, 2),))
    assert (full.states, size.states) == (108, 28)
    compare(counter(2, 2, False), ((0, 1),))


TOY = '''
from .checker.lang.prelude import (
    NOBODY, RW, Annotated, Mutex, Pool, RWLock, Thread, WaitQueue, actor, check, ghost, int32,
    invariant, me, mutex_enter, mutex_exit, cv_wait, record, rw_enter, rw_exit, single, wakeup,
)

@record
class Box:
    lock: Mutex
    changed: WaitQueue
    gate: RWLock
    n: int32
    last: Thread

box = single(Box)

@actor
def take() -> None:
    mutex_enter(box.lock)
    while box.n == 0:
        cv_wait(box.changed, box.lock)
    box.n -= 1
    check("sum", box.n >= 0, "too few")
    box.last = me()
    wakeup(box.changed)
    mutex_exit(box.lock)

@actor
def give(count: int32) -> None:
    mutex_enter(box.lock)
    box.n += count
    wakeup(box.changed)
    mutex_exit(box.lock)

@actor
def write() -> None:
    rw_enter(box.gate, RW.WRITER)
    box.last = me()
    check("alone", box.last is me(), "another one writes")
    rw_exit(box.gate)

@actor
def look() -> None:
    rw_enter(box.gate, RW.READER)
    check("quiet", box.gate.writer is NOBODY, "somebody writes")
    rw_exit(box.gate)

@invariant("few")
def few() -> bool:
    return box.n < 3
'''


def compiled(*threads: CallSpec) -> ir.Program:
    source = load(with_primitives({"genfscheck.toy": ("toy.py", TOY)}))
    specs = tuple(ThreadSpec(f"t{at}", (call,)) for at, call in enumerate(threads))
    return prepare(compile_program(source, ProgramSpec("toy", specs)))


def test_sleepers_and_wakeups() -> None:
    """A wakeup goes through the threads in the order of their numbers; it does not matter."""
    take, give = CallSpec("take"), CallSpec("give", {"count": 2})
    full, size = compare(compiled(take, take, give), ((0, 1),))
    assert size.states < full.states
    compare(compiled(take, CallSpec("give", {"count": 1}), take), ((0, 2),))  # one can starve


def test_readers_and_writers() -> None:
    """A lock is handed to any waiting writer, by a choice that counts them in order."""
    write, look = CallSpec("write"), CallSpec("look")
    full, size = compare(compiled(write, write, look, look), ((0, 1), (2, 3)))
    assert size.states * 2 < full.states
    compare(compiled(write, look, write, write), ((0, 2, 3),))


def looping(threads: int) -> ir.Program:
    """Each thread stores in places from one that it chose on, and wakes everybody after each."""
    made = []
    for me in range(threads):
        code = Code(f"t{me}", me)
        place = code.local("place", number(2))
        code.add(ir.Choose(place, ir.Const(2), "place"), stop=True).add(ir.Nop(), stop=True)
        code.label("next").branch(op("<", place, 2), "end")
        code.add(ir.Assign(shared(1, place), ir.Const(1)))
        for other in range(threads):
            code.branch(shared(0, other), f"awake-{other}")
            code.add(ir.Assign(shared(0, other), ir.Const(0))).label(f"awake-{other}")
        code.add(ir.Assign(place, op("+", place, 1))).goto("next")
        code.label("end").put(0, 1, me)
        made.append(code.thread())
    asleep = var("asleep", BIT, (0,) * threads)
    return program("looping", [asleep, var("x", BIT, (0, 0))], made)


def test_a_wakeup_in_a_loop() -> None:
    """Two threads of which others lie in between; and the loop around could not be compared."""
    full, size = compare(looping(3), ((0, 1, 2),))
    assert size.states < full.states


def alike(seed: int) -> ir.Program:
    """A random program of two or three threads that run the same code, and perhaps another."""
    chance = random.Random(seed)
    threads = chance.choice((2, 3))
    same = threads - chance.randrange(threads - 1)
    made = []
    for me in range(threads):
        writer = Writer(random.Random(seed if me < same else seed + 1), me, threads)
        writer.body(2 if threads == 3 else 3, 2)
        made.append(writer.code.thread())
    owner, nobody = ir.Domain("thread", 0, threads), (threads, threads)
    variables = [
        mutex("a.owner", threads), mutex("b.owner", threads),
        var("wchan", BIT, (0,) * threads, sync=True), var("x", number(2)), var("y", number(2)),
        var("r.owner", owner, nobody, ghost=True), var("r.data", number(2), (0, 0)),
        var("s.owner", owner, nobody, ghost=True), var("s.data", number(2), (0, 0)),
        var("ghost", number(2), ghost=True),
    ]  # fmt: skip
    invariants = []
    if chance.random() < 0.5:
        invariants.append(always("x-and-y", op("!=", op("+", shared(3), shared(4)), 4)))
    if chance.random() < 0.5:
        free = op("==", shared(A), threads)
        invariants.append(ir.Invariant("quiet", op("!=", shared(3), 2), free, ((A, 0),)))
    return program(f"alike-{seed}", variables, made, invariants)


def compare_alike(seed: int) -> bool:
    made = alike(seed)
    found = symmetry(facts(made))
    if found.groups:
        compare(made, found.groups)
    return bool(found.groups)


def test_random_programs() -> None:
    assert sum(compare_alike(seed) for seed in range(12)) > 8


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_many_random_programs(block: int) -> None:
    assert sum(compare_alike(seed) for seed in range(100 * block, 100 * block + 100)) > 60


def test_exchanged_threads_close_the_same_cycles() -> None:
    """Also where different code of theirs was seen to be executed so far."""
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        code.label("again").put(0, 1, me).put(0, 0, me).goto("again")
        made.append(code.thread(daemon=True))
    loops = program("loops", [var("x", initial=(0, 0))], made)
    known, stops = facts(loops), fine_stops(loops)
    assert symmetry(known).groups == ((0, 1),)
    for active in (None, [{0, 1}, {1}], [{0}, {0, 1}]):
        found = ample(known, stops, None, active, groups=((0, 1),))
        assert found.eligible[0] == found.eligible[1]
        assert any(found.eligible[0]) and not all(found.eligible[0])


def test_description() -> None:
    described = symmetry(facts(compiled(CallSpec("take"), CallSpec("take")))).describe()
    made = compiled(CallSpec("take"), CallSpec("take"))
    types = {
        one.name: (value, index)
        for one, value, index in zip(
            made.shared, described.values, described.indices, strict=True
        )
    }
    assert described.groups == ((0, 1),)
    assert types["box.lock.owner"] == ("thread", "plain")
    assert types["box.last"] == ("thread", "plain")
    assert types["threads.wchan"] == ("plain", "thread")
    assert types["box.n"] == ("plain", "plain")
    gates = compiled(CallSpec("look"), CallSpec("look"), CallSpec("write"))
    described = symmetry(facts(gates)).describe()
    kinds = dict(zip([one.name for one in gates.shared], described.values, strict=True))
    assert kinds["box.gate.readers"] == kinds["box.gate.waiting_readers"] == "mask"


# ------------------------------------------------ one example for each thing that is verified


def two(body: Callable[[Code], object], **more: object) -> ir.Program:
    """Two threads that run the same body on a flag each and two shared numbers."""
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        body(code)
        made.append(code.thread())
    variables = [var("flag", BIT, (0, 0)), var("x", number(3)), var("who", number(2), (2,))]
    return program("two", variables, made, **more)  # type: ignore[arg-type]


def sets(code: Code) -> None:
    code.put(0, 1, code.index)


def ordered(code: Code) -> None:
    """Fails if the other thread, with a greater number, came first."""
    code.put(2, code.index)
    code.add(ir.Check(op("<=", shared(2), code.index), "ordered", ""), stop=True)


def first_flag() -> ir.Program:
    """An invariant that speaks of the first thread alone."""
    only = op("and", op("==", shared(0, 0), 1), op("==", shared(0, 1), 0))
    return two(sets, invariants=[always("not-first", ir.Unary("not", only, ir.BOOL))])


def witness_of_one() -> ir.Program:
    only = op("and", op("==", shared(0, 0), 1), op("==", shared(0, 1), 0))
    return two(sets, witnesses=[ir.Witness("first", only)])


def watched_by_a_third() -> ir.Program:
    """A third thread sees when the first one's flag is set and the other's is not."""
    made = two(sets)
    third = Code("third", 2)
    flag = third.local("flag")
    third.add(ir.Assign(flag, op("and", shared(0, 0), op("==", shared(0, 1), 0))), stop=True)
    third.add(ir.Check(op("==", flag, 0), "seen", ""))
    made.threads.append(third.thread())
    return made


def does_more() -> ir.Program:
    """One of the two threads stores another number."""
    return two(lambda code: (code.put(1, 1 + code.index * 2), code.put(0, 1, code.index)))


REFUSED = {
    "order": two(ordered),
    "invariant": first_flag(),
    "witness": witness_of_one(),
    "third": watched_by_a_third(),
    "code": does_more(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    found = symmetry(facts(REFUSED[name]))
    assert found.groups == () and found.reasons


def no_types(patch: Patch) -> None:
    def require(self, slot, type_):  # type: ignore[no-untyped-def]
        slot = self._root(slot)
        if self._type.get(slot) != thread_types.THREAD:
            self._type[slot] = type_
        return slot

    patch.setattr(thread_types.Types, "require", require)
    patch.setattr(
        thread_types.Types, "type",
        lambda self, expr, thread: None if isinstance(expr, ir.Const) else (
            self.of(("value", expr.var)) if isinstance(expr, ir.Shared) else None
        ),
    )  # fmt: skip
    old = thread_types.Types.rename

    def rename(self, expr, order, thread, wanted=None):  # type: ignore[no-untyped-def]
        if isinstance(expr, ir.Binary) and expr.op == "<=":
            equal = ir.Binary("==", expr.left, expr.right, expr.ctype)
            done = old(self, equal, order, thread, wanted)
            assert isinstance(done, ir.Binary)
            return ir.Binary("<=", done.left, done.right, done.ctype)
        return old(self, expr, order, thread, wanted)

    patch.setattr(thread_types.Types, "rename", rename)


def no_predicates(patch: Patch) -> None:
    patch.setattr(Exchanges, "_same", lambda self, expr, order: None)


def no_others(patch: Patch) -> None:
    old = Exchanges._threads
    patch.setattr(
        Exchanges, "_threads",
        lambda self, one, other, order: old(self, one, other, order) if one != other else None,
    )  # fmt: skip


def no_code(patch: Patch) -> None:
    patch.setattr(Exchanges, "_threads", lambda self, one, other, order: None)


MUTANTS: list[tuple[str, Callable[[Patch], None]]] = [
    ("order", no_types),
    ("invariant", no_predicates),
    ("witness", no_predicates),
    ("third", no_others),
    ("code", no_code),
]


@pytest.mark.parametrize("name, mutate", MUTANTS)
def test_everything_verified_is_needed(name: str, mutate: Callable[[Patch], None]) -> None:
    """Where one thing is not verified the example is accepted, and something is lost."""
    made = REFUSED[name]
    known, stops = facts(made), fine_stops(made)
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch)
        found = symmetry(known)
    assert found.groups == ((0, 1),), found.reasons
    everything, full = search(known, stops, groups=found.groups)
    seen, size = search(known, stops, None, None, found.representative, found.groups)
    lost = {found.representative(state) for state in full.kept} != size.kept
    assert lost or outline(seen, found) != outline(everything, found)
