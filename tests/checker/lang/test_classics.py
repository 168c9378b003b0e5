"""Classical protocols in the language, with counts from a search written here by hand.

None of them has to do with page caches.  The searches by hand know the protocols, not the
compiler: one step for each access, a state for each position and each value still needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir

from .helpers import program
from .running import Run

State = tuple[Any, ...]


def counted(initial: State, after: Callable[[State, int], Iterable[State]]) -> tuple[int, int]:
    """States and transitions; ``after(state, thread)`` gives what a thread's step leads to."""
    seen, todo, transitions = {initial}, [initial], 0
    threads = len(initial[0])
    while todo:
        state = todo.pop()
        for thread in range(threads):
            for successor in after(state, thread):
                transitions += 1
                if successor not in seen:
                    seen.add(successor)
                    todo.append(successor)
    return len(seen), transitions


def put(row: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*row[:index], value, *row[index + 1 :])


def causes(result: Result) -> set[tuple[str, str]]:
    return {(found.kind, found.property) for found in result.violations}


def agreed(model: ir.Program) -> Result:
    """Explore as compiled and fine, and prepared and reduced; both must say the same."""
    fine = explore(model, granularity="fine")
    ready = prepare(model)
    for other in (explore(model), explore(ready, granularity="fine"), explore(ready)):
        assert other.complete
        assert causes(other) == causes(fine)
        assert other.states <= fine.states
        assert {n for n, p in other.witnesses.items() if p} == {
            n for n, p in fine.witnesses.items() if p
        }
    assert fine.complete
    return fine


def size_of(result: Result) -> tuple[int, int]:
    return result.states, result.transitions


# ------------------------------------------------------------------- mutual exclusion

PETERSON = """
bit: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=1)]

@record
class Both:
    flag: Annotated[Array[bool], size(2)]
    turn: bit
    data: bit
    inside: Annotated[int32, ghost]

both: Both = single(Both)

@actor
def process(i: bit) -> None:
    other: bit = 1 - i
    FIRST
    SECOND
    while both.flag[other] WAIT:
        pass
    both.inside += 1
    check("mutual-exclusion", both.inside == 1, "two are inside")
    both.data = 0
    both.inside -= 1
    both.flag[i] = False

@actor
def forever(i: bit) -> None:
    while True:
        process(i)

@witness
def inside() -> bool:
    return both.inside == 1
"""
RAISE, YIELD, OTHERS_TURN = "both.flag[i] = True", "both.turn = other", "and both.turn == other"


def peterson(
    first: str = RAISE, second: str = YIELD, wait: str = OTHERS_TURN, actor: str = "process"
) -> ir.Program:
    text = PETERSON.replace("FIRST", first).replace("SECOND", second).replace("WAIT", wait)
    # An actor is a routine: ``forever`` runs ``process`` again and again.
    return program(text, (actor, {"i": 0}), (actor, {"i": 1}), witnesses=("inside",))


def peterson_by_hand(repeat: bool) -> tuple[int, int]:
    def after(state: State, me: int) -> Iterable[State]:
        at, flag, turn = state
        other = 1 - me
        match at[me]:
            case "raise":
                yield put(at, me, "yield"), put(flag, me, True), turn
            case "yield":
                yield put(at, me, "flag"), flag, other
            case "flag":
                yield put(at, me, "turn" if flag[other] else "data"), flag, turn
            case "turn":
                yield put(at, me, "flag" if turn == other else "data"), flag, turn
            case "data":
                assert at[other] != "data", "two are inside"
                yield put(at, me, "lower"), flag, turn
            case "lower":
                yield put(at, me, "raise" if repeat else "end"), put(flag, me, False), turn

    return counted((("raise", "raise"), (False, False), 0), after)


def test_peterson_once() -> None:
    result = agreed(peterson())
    assert result.verdict == "holds"
    assert result.witnesses["inside"] is not None
    assert size_of(result) == peterson_by_hand(repeat=False) == (48, 80)


def test_peterson_for_ever() -> None:
    model = peterson(actor="forever")
    for thread in model.threads:
        thread.daemon = True
    result = agreed(model)
    assert result.verdict == "holds"
    assert size_of(result) == peterson_by_hand(repeat=True) == (40, 80)


@pytest.mark.parametrize(
    "broken",
    [
        {"first": YIELD, "second": RAISE},  # offers the turn before it raises its flag
        {"second": "both.turn = i"},  # takes the turn instead of offering it
        {"first": "pass"},  # never says that it wants to
        {"wait": "and both.turn == i"},
    ],
    ids=["order", "takes", "silent", "wrong-turn"],
)
def test_peterson_broken(broken: dict[str, str]) -> None:
    result = agreed(peterson(**broken))
    assert ("check", "mutual-exclusion") in causes(result)


def test_flags_alone_block_each_other() -> None:
    """Without the turn both may spin for ever, yet never both are inside."""
    result = agreed(peterson(second="pass", wait=""))
    assert causes(result) == {("progress", "progress")}
    assert len(result.violations) == 2


DEKKER = """
bit: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=1)]

@record
class Both:
    wants: Annotated[Array[bool], size(2)]
    turn: bit
    data: bit
    inside: Annotated[int32, ghost]

both: Both = single(Both)

@actor
def process(i: bit) -> None:
    other: bit = 1 - i
    both.wants[i] = True
    while both.wants[other]:
        if both.turn != i:
            both.wants[i] = False
            while both.turn != i:
                pass
            both.wants[i] = True
    both.inside += 1
    check("mutual-exclusion", both.inside == 1, "two are inside")
    both.data = 0
    both.inside -= 1
    both.turn = other
    both.wants[i] = False
"""


def test_dekker() -> None:
    def after(state: State, me: int) -> Iterable[State]:
        at, wants, turn = state
        other = 1 - me
        match at[me]:
            case "want" | "again":
                yield put(at, me, "look"), put(wants, me, True), turn
            case "look":
                yield put(at, me, "whose" if wants[other] else "data"), wants, turn
            case "whose":
                yield put(at, me, "look" if turn == me else "retreat"), wants, turn
            case "retreat":
                yield put(at, me, "spin"), put(wants, me, False), turn
            case "spin":
                yield put(at, me, "again" if turn == me else "spin"), wants, turn
            case "data":
                yield put(at, me, "hand"), wants, turn
            case "hand":
                yield put(at, me, "leave"), wants, other
            case "leave":
                yield put(at, me, "end"), put(wants, me, False), turn

    result = agreed(program(DEKKER, ("process", {"i": 0}), ("process", {"i": 1})))
    assert result.verdict == "holds"
    assert size_of(result) == counted((("want", "want"), (False, False), 0), after) == (53, 87)


TICKET = """
number: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=3)]

@record
class Lock:
    next_: number
    serving: number
    data: number
    inside: Annotated[int32, ghost]

lock: Lock = single(Lock)

@HOW
def draw() -> number:
    mine: number = lock.next_
    lock.next_ = mine + 1
    return mine

@actor
def customer() -> None:
    mine: number = draw()
    while lock.serving != mine:
        pass
    lock.inside += 1
    check("mutual-exclusion", lock.inside == 1, "two are inside")
    lock.data = 0
    lock.inside -= 1
    lock.serving += 1
"""


def test_ticket_lock() -> None:
    def after(state: State, me: int) -> Iterable[State]:
        at, drawn, following, serving = state
        match at[me]:
            case "draw":
                yield put(at, me, "spin"), put(drawn, me, following), following + 1, serving
            case "spin":
                if serving == drawn[me]:
                    # The number and, from here on, what was loaded are needed no more.
                    yield put(at, me, "data"), put(drawn, me, 0), following, serving
                else:
                    yield state
            case "data":
                yield put(at, me, "load"), drawn, following, serving
            case "load":
                yield put(at, me, "store"), put(drawn, me, serving), following, serving
            case "store":
                yield put(at, me, "end"), put(drawn, me, 0), following, drawn[me] + 1

    result = agreed(program(TICKET.replace("HOW", "atomic"), *["customer"] * 3))
    assert result.verdict == "holds"
    expected = counted((("draw",) * 3, (0,) * 3, 0, 0), after)
    assert size_of(result) == expected == (128, 300)


def test_ticket_drawn_in_two_steps() -> None:
    result = agreed(program(TICKET.replace("HOW", "routine"), *["customer"] * 2))
    assert ("check", "mutual-exclusion") in causes(result)


# --------------------------------------------------------------------------- counters

COUNTER = """
@record
class Counter:
    n: int32
    lock: Mutex

counter: Counter = single(Counter)

@actor
def racy() -> None:
    counter.n += 1

@actor
def careful() -> None:
    mutex_enter(counter.lock)
    counter.n += 1
    mutex_exit(counter.lock)

@invariant("nothing-lost", terminal=True)
def nothing_lost() -> bool:
    return counter.n == nthreads()

@witness
def lost() -> bool:
    return counter.n == 1
"""


@pytest.mark.parametrize(("threads", "size"), [(2, (12, 14)), (3, (59, 99))])
def test_racy_counter(threads: int, size: tuple[int, int]) -> None:
    def after(state: State, me: int) -> Iterable[State]:
        at, loaded, n = state
        match at[me]:
            case "load":
                yield put(at, me, "store"), put(loaded, me, n), n
            case "store":
                yield put(at, me, "end"), put(loaded, me, 0), loaded[me] + 1

    result = agreed(program(COUNTER, *["racy"] * threads, witnesses=("lost",)))
    assert causes(result) == {("invariant", "nothing-lost")}
    assert result.violations[0].depth == 2 * threads
    assert size_of(result) == counted((("load",) * threads, (0,) * threads, 0), after) == size


@pytest.mark.parametrize(("threads", "size"), [(2, (16, 16)), (3, (44, 48))])
def test_protected_counter(threads: int, size: tuple[int, int]) -> None:
    def after(state: State, me: int) -> Iterable[State]:
        at, loaded, n, owner = state
        match at[me]:
            case "enter":
                if owner is None:
                    yield put(at, me, "load"), loaded, n, me
            case "load":
                yield put(at, me, "store"), put(loaded, me, n), n, owner
            case "store":
                yield put(at, me, "exit"), put(loaded, me, 0), loaded[me] + 1, owner
            case "exit":
                assert owner == me
                yield put(at, me, "end"), loaded, n, None

    result = agreed(program(COUNTER, *["careful"] * threads))
    assert result.verdict == "holds"
    start = (("enter",) * threads, (0,) * threads, 0, None)
    assert size_of(result) == counted(start, after) == size


# ----------------------------------------------------------------- reader/writer lock

RWLOCK = """
@record
class Shelf:
    lock: RWLock
    book: int32
    reading: Annotated[int32, ghost]
    writing: Annotated[int32, ghost]

shelf: Shelf = single(Shelf)

@actor
def reader() -> None:
    rw_enter(shelf.lock, RW.READER)
    shelf.reading += 1
    check("exclusion", shelf.writing == 0, "a reader beside a writer")
    shelf.book = 0
    shelf.reading -= 1
    rw_exit(shelf.lock)

@actor
def writer() -> None:
    rw_enter(shelf.lock, RW.WRITER)
    shelf.writing += 1
    check("exclusion", shelf.writing == 1 and shelf.reading == 0, "a writer beside another")
    shelf.book = 0
    shelf.writing -= 1
    rw_exit(shelf.lock)

@witness
def together() -> bool:
    return shelf.reading == 2
"""


def rwlock_by_hand(writes: tuple[bool, ...]) -> tuple[int, int]:
    """A krwlock: who waits is handed the lock by who releases it."""

    def after(state: State, me: int) -> Iterable[State]:
        at, writer, readers, waiting = state
        match at[me]:
            case "arrive":
                queued = any(writes[other] for other in waiting)
                if writes[me] and writer is None and not readers:
                    yield put(at, me, "data"), me, readers, waiting
                elif not writes[me] and writer is None and not queued:
                    yield put(at, me, "data"), writer, readers | {me}, waiting
                else:
                    yield put(at, me, "wait"), writer, readers, waiting | {me}
            case "wait":
                if writer == me or me in readers:
                    yield put(at, me, "data"), writer, readers, waiting
            case "data":
                yield put(at, me, "exit"), writer, readers, waiting
            case "exit":
                ended = put(at, me, "end")
                left = readers - {me}
                if writer == me:
                    left = frozenset(other for other in waiting if not writes[other])
                    waiting -= left
                heirs = [other for other in waiting if writes[other]]
                if left or not heirs:
                    yield ended, None, left, waiting
                else:
                    for heir in heirs:
                        yield ended, heir, left, waiting - {heir}

    return counted((("arrive",) * len(writes), None, frozenset(), frozenset()), after)


@pytest.mark.parametrize(
    ("actors", "size"),
    [("rw", (18, 22)), ("rrw", (80, 141)), ("rww", (77, 124)), ("rrww", (339, 704))],
)
def test_rwlock(actors: str, size: tuple[int, int]) -> None:
    names = ["reader" if actor == "r" else "writer" for actor in actors]
    result = agreed(program(RWLOCK, *names, witnesses=("together",)))
    assert result.verdict == "holds"
    assert (result.witnesses["together"] is not None) == (actors.count("r") == 2)
    assert size_of(result) == rwlock_by_hand(tuple(a == "w" for a in actors)) == size


def holders(run: Run) -> str:
    """Who holds the lock: ``w`` with a thread, or ``r`` with a set of threads as bits."""
    if run.value("shelf.lock.writer") != len(run.program.threads):
        return f"w{run.value('shelf.lock.writer')}"
    return f"r{run.value('shelf.lock.readers')}"


def test_rwlock_hands_over_in_order() -> None:
    """Who waits: a writer keeps readers out, a writer's end admits them all, then the writers."""
    run = Run(program(RWLOCK, "reader", "writer", "reader", "writer", "reader"))
    run.step(0)
    assert holders(run) == "r1"
    for arriving in (1, 2, 3, 4):  # reader 2 could share the lock if no writer waited
        run.step(arriving)
        assert holders(run) == "r1"
        assert run.ways(arriving) == []
    run.step(0)
    exits = run.ways(0)  # the last reader hands over to either of the writers
    assert [exit_.choices for exit_ in exits] == [(0,), (1,)]
    run.step(0, choice=1)
    assert (run.ended(0), holders(run)) == (True, "w3")
    assert [bool(run.ways(thread)) for thread in (1, 2, 3, 4)] == [False, False, True, False]
    run.finish(3)
    assert holders(run) == "r20"  # all readers before the other writer
    run.finish(2)
    assert (holders(run), run.ways(1)) == ("r16", [])
    run.finish(4)
    assert holders(run) == "w1"
    run.finish(1)
    assert holders(run) == "r0"
    assert all(run.ended(thread) for thread in range(5))


SOMETIMES = """
bit: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=1)]

@record
class Pair:
    lock: RWLock
    one: bit
    two: bit

pair: Pair = single(Pair)

@actor
def update(locked_if: bit) -> None:
    held: bool = pair.one == locked_if
    if held:
        rw_enter(pair.lock, RW.WRITER)
    pair.one = 1
    pair.two = 1
    if held:
        rw_exit(pair.lock)

@actor
def look() -> None:
    rw_enter(pair.lock, RW.READER)
    if pair.one == 1:
        check("together", pair.two == 1, "one was updated, the other not yet")
    rw_exit(pair.lock)
"""


@pytest.mark.parametrize("locked", [True, False])
def test_a_lock_that_is_taken_on_one_path_only(locked: bool) -> None:
    """What follows the ``if`` is not protected by a lock that was taken in it."""
    model = program(SOMETIMES, ("update", {"locked_if": 0 if locked else 1}), "look", "look")
    assert causes(agreed(model)) == (set() if locked else {("check", "together")})


# --------------------------------------------------------------------- bounded buffer

BUFFER = """
few: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=4)]

@record
class Buffer:
    lock: Mutex
    changed: WaitQueue
    count: few
    asleep: Annotated[List[Thread], size("NTHREADS")]

buffer: Buffer = single(Buffer)

@atomic
def go_to_sleep() -> None:
    buffer.asleep.insert_tail(me())
    mutex_exit(buffer.lock)

@atomic
def signal() -> None:
    first: Thread = buffer.asleep.first()
    if first is not NOBODY:
        buffer.asleep.remove(first)

@routine
def signal_wait() -> None:
    go_to_sleep()
    wait_until(me() not in buffer.asleep, "signal")
    mutex_enter(buffer.lock)

@actor
def producer(items: few) -> None:
    for _ in range(items):
        mutex_enter(buffer.lock)
        WHILE buffer.count == 1:
            WAIT
        check("overflow", buffer.count < 1, "put into a full buffer")
        buffer.count += 1
        WAKE
        mutex_exit(buffer.lock)

@actor
def consumer() -> None:
    mutex_enter(buffer.lock)
    WHILE buffer.count == 0:
        WAIT
    check("underflow", buffer.count > 0, "taken from an empty buffer")
    buffer.count -= 1
    WAKE
    mutex_exit(buffer.lock)

@actor
def careless() -> None:
    while buffer.count == 0:
        mutex_enter(buffer.lock)
        WAIT
        mutex_exit(buffer.lock)
"""
CV_WAIT, CV_WAKE = "cv_wait(buffer.changed, buffer.lock)", "wakeup(buffer.changed)"


def buffer(
    *actors: Any, loop: str = "while", wait: str = CV_WAIT, wake: str = CV_WAKE
) -> ir.Program:
    text = BUFFER.replace("WHILE", loop).replace("WAIT", wait).replace("WAKE", wake)
    return program(text, *actors)


ONE, TWO = ("producer", {"items": 1}), ("producer", {"items": 2})


def buffer_by_hand(consumers: int) -> tuple[int, int]:
    """One producer of that many items, and consumers of one each; everybody is woken."""

    def after(state: State, me: int) -> Iterable[State]:
        at, loaded, left, owner, count, asleep = state
        full = 1 if me == 0 else 0

        def to(place: str, **new: Any) -> State:
            fields = {"loaded": loaded, "left": left, "owner": owner, "count": count,
                      "asleep": asleep, **new}  # fmt: skip
            return (put(at, me, place), *fields.values())

        match at[me]:
            case "begin":  # the loop's counter is set before the first access
                yield to("enter")
            case "enter" | "reenter":
                if owner is None:
                    yield to("test", owner=me)
            case "test":
                yield to("sleep" if count == full else "load")
            case "sleep":
                yield to("asleep", owner=None, asleep=asleep | {me})
            case "asleep":
                if me not in asleep:
                    yield to("reenter")
            case "load":
                yield to("store", loaded=put(loaded, me, count))
            case "store":
                more = loaded[me] + (1 if me == 0 else -1)
                yield to("wake", loaded=put(loaded, me, 0), count=more)
            case "wake":
                yield to("exit", asleep=frozenset())
            case "exit":
                rest = left - 1 if me == 0 else left
                again = me == 0 and rest > 0
                yield to("enter" if again else "end", owner=None, left=rest)

    at = ("begin", *["enter"] * consumers)
    return counted((at, (0,) * len(at), consumers, None, 0, frozenset()), after)


@pytest.mark.parametrize(("consumers", "size"), [(1, (28, 32)), (2, (242, 362))])
def test_buffer_holds(consumers: int, size: tuple[int, int]) -> None:
    items = ("producer", {"items": consumers})
    result = agreed(buffer(items, *["consumer"] * consumers))
    assert result.verdict == "holds"
    assert size_of(result) == buffer_by_hand(consumers) == size


def test_buffer_with_if() -> None:
    """Two consumers are woken for one item, and the second does not look again."""
    result = agreed(buffer(TWO, "consumer", "consumer", loop="if"))
    assert ("check", "underflow") in causes(result)


SIGNALS = {"wait": "signal_wait()", "wake": "signal()"}


def test_buffer_with_one_signal_for_two_kinds_of_sleepers() -> None:
    """The wakeup for the producer reaches a consumer, which goes back to sleep."""
    result = agreed(buffer(TWO, "consumer", "consumer", **SIGNALS))
    assert causes(result) == {("deadlock", "deadlock")}
    assert agreed(buffer(ONE, "consumer", **SIGNALS)).verdict == "holds"


def test_buffer_tested_without_the_lock() -> None:
    """The producer wakes between the test and the sleep: nobody wakes the sleeper again."""
    result = agreed(buffer(ONE, "careless"))
    assert causes(result) == {("deadlock", "deadlock")}
    assert result.violations[0].message == "careless1 waits for wakeup"


# -------------------------------------------------------------------------- deadlocks

PHILOSOPHERS = """
seat: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=8)]

@record
class Fork:
    lock: Mutex

forks = Pool(Fork, 3)

@actor
def philosopher(first: seat, second: seat) -> None:
    mutex_enter(forks[first].lock)
    mutex_enter(forks[second].lock)
    mutex_exit(forks[second].lock)
    mutex_exit(forks[first].lock)
"""


def table(hands: tuple[tuple[int, int], ...]) -> ir.Program:
    seats = [("philosopher", {"first": first, "second": second}) for first, second in hands]
    return program(PHILOSOPHERS, *seats)


def table_by_hand(hands: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    def after(state: State, me: int) -> Iterable[State]:
        at, owner = state
        fork = (*hands[me], *reversed(hands[me]), None)[at[me]]
        if at[me] < 2 and owner[fork] is None:
            yield put(at, me, at[me] + 1), put(owner, fork, me)
        elif 2 <= at[me] < 4:
            yield put(at, me, at[me] + 1), put(owner, fork, None)

    return counted(((0,) * len(hands), (None,) * 3), after)


def test_philosophers_starve() -> None:
    hands = ((0, 1), (1, 2), (2, 0))
    result = agreed(table(hands))
    (found,) = result.violations
    assert (found.kind, found.depth) == ("deadlock", 3)
    for number in range(3):
        assert f"philosopher{number} waits for mutex" in found.message
    assert size_of(result) == table_by_hand(hands) == (87, 153)


def test_philosophers_in_order_do_not() -> None:
    hands = ((0, 1), (1, 2), (0, 2))
    result = agreed(table(hands))
    assert result.verdict == "holds"
    assert size_of(result) == table_by_hand(hands) == (72, 116)


def test_two_locks_in_both_orders() -> None:
    hands = ((0, 1), (1, 0))
    result = agreed(table(hands))
    assert causes(result) == {("deadlock", "deadlock")}
    assert size_of(result) == table_by_hand(hands) == (19, 22)
    assert agreed(table(((0, 1), (0, 1)))).verdict == "holds"


# ---------------------------------------------------------------------------- daemons

DAEMONS = """
few: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=3)]

@record
class Queue:
    lock: Mutex
    waiting: few
    served: few

queue: Queue = single(Queue)

@actor
def customer() -> None:
    mutex_enter(queue.lock)
    queue.waiting += 1
    mutex_exit(queue.lock)
    wait_until(queue.served > 0, "service")

@actor
def server() -> None:
    while True:
        HOW(queue.waiting > 0, "a customer")
        mutex_enter(queue.lock)
        queue.waiting -= 1
        queue.served = 1
        mutex_exit(queue.lock)
"""


@pytest.mark.parametrize("word", ["rest_until", "wait_until"])
def test_a_daemon_rests(word: str) -> None:
    model = program(DAEMONS.replace("HOW", word), "customer", "customer", "server",
                    daemons=("server",))  # fmt: skip
    assert agreed(model).verdict == "holds"


def test_a_server_that_is_no_daemon_must_finish() -> None:
    result = agreed(program(DAEMONS.replace("HOW", "rest_until"), "customer", "server"))
    assert ("deadlock", "deadlock") in causes(result)
    assert "server1 waits for a customer" in result.violations[-1].message


def test_customers_without_a_server() -> None:
    result = agreed(program(DAEMONS.replace("HOW", "rest_until"), "customer", "customer"))
    assert causes(result) == {("deadlock", "deadlock")}
    assert result.violations[0].message == (
        "customer0 waits for service; customer1 waits for service"
    )
