"""Sleeping and waking: a wakeup is for one sleep, and for no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import pytest

from genfscheck.refimpl.errors import Crashed
from genfscheck.refimpl.locks import READER, WRITER, Mutex, RwLock
from genfscheck.refimpl.schedule import Chooser
from genfscheck.refimpl.threads import Lwp, Machine


class Interrupted:
    """A machine's guard; ``body`` happens between two uses of it by ``lwp``.

    That is just before it is taken for the n-th time or, with ``after``, just after that.
    """

    def __init__(
        self, machine: Machine, lwp: Lwp, nth: int, body: Callable[[], None], after: bool = False
    ) -> None:
        self._machine, self._lwp, self._left, self._body = machine, lwp, nth, body
        self._after = after
        self._guard = machine.guard
        machine.guard = self  # type: ignore[assignment]

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._guard.release()
        if self._after:
            self._count()

    def acquire(self) -> None:
        if not self._after:
            self._count()
        self._guard.acquire()

    def _count(self) -> None:
        if self._machine.curlwp() is self._lwp:
            self._left -= 1
            if self._left == 0:
                self._machine.guard = self._guard
                self._body()


def run(name: str, body: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


def in_thread(name: str, body: Callable[[], None]) -> None:
    run(name, body).join(5.0)


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(5000):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("it does not happen")


@pytest.mark.parametrize("nth", [2, 3])
def test_a_wakeup_that_comes_as_the_time_ends(nth: int) -> None:
    """It may come before or after the sleeper has noted that its time is over."""
    machine = Machine()
    lwp, chan = machine.curlwp(), object()
    Interrupted(machine, lwp, nth, lambda: machine.wakeup(chan, "test"))
    machine.nap(chan, lambda: False, 0.001, "test")
    assert not lwp.woken and lwp.gate.locked()  # else the next sleep would not be one


def test_a_lock_that_is_handed_over_before_the_thread_sleeps() -> None:
    machine = Machine()
    lock = RwLock(machine, "lock")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        lock.enter(WRITER, "test")
        held.set()
        over.wait(5.0)
        lock.exit("test")

    holder = run("holder", hold)
    assert held.wait(5.0)
    lwp = machine.curlwp()

    def hand_over() -> None:
        over.set()
        holder.join(5.0)

    Interrupted(machine, lwp, 1, hand_over, after=True)
    lock.enter(READER, "test")
    assert lock.held() == READER and not lwp.woken


def test_nobody_is_forgotten_after_such_a_wakeup() -> None:
    """The thread takes part in two hand-overs of a mutex; the other one there must be woken."""
    machine = Machine(patience=2.0)
    mutex, chan = Mutex(machine, "mutex"), object()
    lwps: dict[str, Lwp] = {}
    may_enter, may_exit = threading.Event(), threading.Event()

    def sleeper() -> None:
        lwp = lwps["sleeper"] = machine.curlwp()
        Interrupted(machine, lwp, 2, lambda: machine.wakeup(chan, "test"))
        machine.nap(chan, lambda: False, 0.001, "test")
        may_enter.wait(5.0)
        mutex.enter("test")
        may_exit.wait(5.0)
        mutex.exit("test")

    def other() -> None:
        lwps["other"] = machine.curlwp()
        mutex.enter("test")
        mutex.exit("test")

    mutex.enter("test")
    first = run("sleeper", sleeper)
    may_enter.set()
    until(lambda: lwps["sleeper"] in mutex._waiters and lwps["sleeper"].waits is not None)
    mutex.exit("test")
    until(lambda: mutex.owner is lwps["sleeper"])
    second = run("other", other)
    until(lambda: "other" in lwps and lwps["other"].waits is not None)
    may_exit.set()
    for thread in (first, second):
        thread.join(5.0)
    assert machine.dead is None, machine.dead
    assert mutex.ready()


class Kernel:
    """What a `Chooser` needs of a mounted file system."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def kernel(self) -> Kernel:
        return self


def test_a_chooser_comes_when_a_thread_has_just_been_woken() -> None:
    """The thread must be seen to run, else it would never take the step it was woken for."""
    machine = Machine()
    queue: list[int] = []
    chan, done = object(), object()
    finished: list[int] = []

    def work() -> None:
        while True:
            finished.append(machine.rest(chan, lambda: queue.pop() if queue else None, "work"))
            machine.wakeup(done, "work")

    machine.curlwp()
    machine.spawn("worker", work)
    (worker,) = (lwp for lwp in machine.lwps if lwp.kernel)
    until(lambda: chan in machine._sleepers and worker.waits is not None)
    Interrupted(machine, worker, 1, lambda: time.sleep(0.05))
    queue.append(7)
    machine.wakeup(chan, "test")

    def body() -> None:
        mutex = Mutex(machine, "mutex")
        while not finished:
            mutex.enter("test")
            machine.sleep(done, mutex, "test")

    outcome = Chooser(lambda ready: ready[0]).run(Kernel(machine), {"body": body})  # type: ignore[arg-type]
    assert outcome.dead is None and finished == [7]
    machine.die(Crashed("over"))
    machine.join(5.0)
