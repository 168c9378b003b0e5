"""Threads, locks, sleeping and shared words: everything that the hook can see or stop.

Semantics are the kernel's.  A mutex is not recursive, and whoever is quick gets it.  In a
reader/writer lock a reader waits while a writer holds or waits; releasing a write lock
admits all waiting readers, the last reader hands over to a waiting writer.  Going to
sleep on a channel and releasing the mutex are one step; a wakeup has no memory.

Every wait ends in `Machine.park`: one place knows who waits for what, since where, and
throws everybody out when the machine has died.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from .errors import MachineDead, Panic, Stuck
from .hook import At, Hook


class Lwp:
    """A thread as the kernel knows it."""

    __slots__ = (
        "name",
        "gate",
        "waits",
        "pagedaemon",
        "trans",
        "trans_type",
        "journal",
        "should_yield",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.gate = threading.Lock()  # held unless somebody made the thread runnable
        self.gate.acquire()
        self.waits: str | None = None
        self.pagedaemon = False
        self.trans = 0  # depth of file system transactions
        self.trans_type = ""  # of the outermost
        self.journal = False  # inside a journal transaction
        self.should_yield = False

    def __str__(self) -> str:
        return self.name


class Machine:
    """Threads and the state of their waits; ``patience`` in seconds, None for no limit."""

    def __init__(self, hook: Hook | None = None, patience: float | None = None) -> None:
        self.hook = hook
        self.patience = patience
        self.guard = threading.Lock()  # protects every lock's and channel's own state
        self.dead: MachineDead | None = None
        self.lwps: list[Lwp] = []
        self._local = threading.local()
        self._sleepers: dict[object, list[Lwp]] = {}
        self._waiting: dict[Lwp, Callable[[], str]] = {}
        self._threads: list[threading.Thread] = []

    def curlwp(self) -> Lwp:
        """The calling thread; it is known by the name it has when it comes here first."""
        try:
            lwp: Lwp = self._local.lwp
        except AttributeError:
            lwp = self._local.lwp = Lwp(threading.current_thread().name)
            with self.guard:
                self.lwps.append(lwp)
        return lwp

    def spawn(self, name: str, body: Callable[[], None], pagedaemon: bool = False) -> None:
        """Starts a thread of the machine.  An exception in it is a panic."""

        def run() -> None:
            self.curlwp().pagedaemon = pagedaemon
            try:
                body()
            except MachineDead as dead:
                self.die(dead)
            except Exception as error:
                self.die(Panic(f"{name}: {type(error).__name__}: {error}"))

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, seconds: float) -> None:
        """Waits for the machine's own threads to end."""
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise Stuck(f"{thread.name} does not end\n{self.report()}")

    # Ends.

    def die(self, why: MachineDead) -> None:
        """Stops the machine; the first reason counts."""
        with self.guard:
            if self.dead is None:
                self.dead = why
            for lwp in self.lwps:
                self.unpark(lwp)

    def check(self) -> None:
        """Raises the reason if the machine has stopped."""
        if self.dead is not None:
            raise self.dead.again()

    def panic(self, why: str) -> NoReturn:
        """Stops the machine because of a failed assertion."""
        self.die(Panic(f"{self.curlwp()}: {why}"))
        assert self.dead is not None
        raise self.dead.again()

    def kassert(self, condition: bool, at: At, what: str = "") -> None:
        """Panics unless ``condition``."""
        if not condition:
            where = f"genfs_io.c:{at}" if isinstance(at, int) else at
            self.panic(f"assertion failed at {where} {what}".rstrip())

    # Waiting.

    def park(self, lwp: Lwp, why: Callable[[], str], seconds: float | None = None) -> None:
        """Sleeps until somebody unparks; with ``seconds``, an idle wait that may just end."""
        self._waiting[lwp] = why
        lwp.waits = why() if self.hook is not None else "asleep"
        if self.hook is not None:
            self.hook.parked(lwp)
        limit = seconds if seconds is not None else self.patience
        if self.dead is not None:
            limit = 0.0  # whoever unparked everybody may have come before us
        got = lwp.gate.acquire(timeout=-1 if limit is None else limit)
        if not got and seconds is None and self.dead is None:
            self.die(Stuck(f"no progress in {limit} s\n{self.report()}"))
        self._waiting.pop(lwp, None)
        lwp.waits = None
        self.check()

    def unpark(self, lwp: Lwp) -> None:
        """Makes ``lwp`` runnable; the guard is held."""
        if lwp.gate.locked():
            if self.hook is not None:
                self.hook.unparked(lwp)
            lwp.gate.release()

    def report(self) -> str:
        """Who waits for what, one line for each waiting thread."""
        return "\n".join(f"{lwp}: {why()}" for lwp, why in list(self._waiting.items()))

    # Channels: any object can be slept on.

    def sleep(self, chan: object, mutex: Mutex, at: At, seconds: float | None = None) -> None:
        """Releases ``mutex`` and sleeps on ``chan``, in one step; returns without the mutex."""
        lwp = self.curlwp()
        if self.hook is not None:
            self.hook.before(lwp, "sleep", at)
        with self.guard:
            self._sleepers.setdefault(chan, []).append(lwp)
            self._note(lwp, "sleep", at, chan=chan, lock=mutex.name)
        mutex.release()
        try:
            self.park(lwp, lambda: f"sleeps on {_describe(chan)} at {at}", seconds)
        finally:
            with self.guard:
                sleepers = self._sleepers.get(chan, [])
                if lwp in sleepers:  # it was not a wakeup that ended the sleep
                    sleepers.remove(lwp)

    def wakeup(self, chan: object, at: At) -> None:
        """Makes every sleeper of ``chan`` runnable."""
        lwp = self.curlwp()
        if self.hook is not None:
            self.hook.before(lwp, "wakeup", at)
        elif chan not in self._sleepers:
            return
        with self.guard:
            self._note(lwp, "wakeup", at, chan=chan)
            for sleeper in self._sleepers.pop(chan, []):
                self.unpark(sleeper)

    def yield_cpu(self) -> None:
        """Gives the processor to others for a moment."""
        threading.Event().wait(0)

    # Steps that are neither locks nor words.

    def step(self, kind: str, at: At, **values: object) -> None:
        """A step of the calling thread that happens now, under the lock that protects it."""
        if self.hook is not None:
            lwp = self.curlwp()
            self.hook.before(lwp, kind, at)
            with self.guard:
                self.hook.took(lwp, kind, at, {key: _plain(v) for key, v in values.items()})

    def turn(self, kind: str, at: At) -> None:
        """Announces a step whose result `noted` reports."""
        if self.hook is not None:
            self.hook.before(self.curlwp(), kind, at)

    def noted(self, kind: str, at: At, **values: object) -> None:
        """Reports a step that `turn` announced, still under the lock that protects it."""
        if self.hook is not None:
            with self.guard:
                self._note(self.curlwp(), kind, at, **values)

    def _note(self, lwp: Lwp, kind: str, at: At, **values: object) -> None:
        if self.hook is not None:
            self.hook.took(lwp, kind, at, {key: _plain(v) for key, v in values.items()})


def _plain(value: object) -> object:
    if isinstance(value, int | str | bool | None):
        return value
    if type(value).__str__ is object.__str__:
        return type(value).__name__  # one of a kind in its machine
    return str(value)


def _describe(chan: object) -> str:
    describe = getattr(chan, "describe", None)
    return str(describe()) if describe is not None else str(chan)


class Chan:
    """Something to sleep on that has a name and nothing else."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Word:
    """An integer in shared memory.  ``|=`` and ``&= ~`` are a load and a store, as in C."""

    __slots__ = ("_machine", "_of", "_field", "value")

    def __init__(self, machine: Machine, of: object, field: str, value: int = 0) -> None:
        self._machine = machine
        self._of = of
        self._field = field
        self.value = value  # for reports and assertions about the machine at rest

    def get(self, at: At) -> int:
        return self.value if self._machine.hook is None else self._load(at)

    def set(self, value: int, at: At) -> None:
        if self._machine.hook is None:
            self.value = value
        else:
            self._store(value, at)

    def add(self, amount: int, at: At) -> int:
        """Adds, and returns the sum."""
        total = self.get(at) + amount
        self.set(total, at)
        return total

    def on(self, mask: int, at: At) -> None:
        """Sets the bits of ``mask``."""
        if self._machine.hook is None:
            self.value |= mask
        else:
            self._store(self._load(at) | mask, at)

    def off(self, mask: int, at: At) -> None:
        """Clears the bits of ``mask``."""
        if self._machine.hook is None:
            self.value &= ~mask
        else:
            self._store(self._load(at) & ~mask, at)

    def _load(self, at: At) -> int:
        machine = self._machine
        machine.turn("load", at)
        with machine.guard:
            value = self.value
            machine._note(machine.curlwp(), "load", at, of=self._of, field=self._field, value=value)
        return value

    def _store(self, value: int, at: At) -> None:
        machine = self._machine
        machine.turn("store", at)
        with machine.guard:
            self.value = value
            machine._note(
                machine.curlwp(), "store", at, of=self._of, field=self._field, value=value
            )


class Counter:
    """An integer that threads add to without a lock of theirs; adding is one step."""

    __slots__ = ("_machine", "_field", "value")

    def __init__(self, machine: Machine, field: str) -> None:
        self._machine = machine
        self._field = field
        self.value = 0

    def add(self, amount: int) -> int:
        """Adds, and returns the sum."""
        with self._machine.guard:
            self.value += amount
            return self.value

    def __str__(self) -> str:
        return f"{self._field} {self.value}"


class Mutex:
    """Exclusive, not recursive, no order among waiters."""

    __slots__ = ("_machine", "name", "_lock", "_waiters", "owner")

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.name = name
        self._lock = threading.Lock()
        self._waiters: deque[Lwp] = deque()
        self.owner: Lwp | None = None

    def enter(self, at: At) -> None:
        machine = self._machine
        lwp = machine.curlwp()
        if machine.dead is not None:
            machine.check()
        if self.owner is lwp:
            machine.panic(f"{self.name} is taken twice at {at}")
        while True:
            if machine.hook is not None:
                machine.hook.before(lwp, "mutex_enter", at)
            if self._lock.acquire(False) or self._queue(lwp):
                break
            machine.park(lwp, lambda: f"waits for {self.name} of {self.owner} at {at}")
        self.owner = lwp
        machine.noted("mutex_enter", at, lock=self.name)

    def tryenter(self, at: At) -> bool:
        machine = self._machine
        machine.turn("mutex_tryenter", at)
        got = self._lock.acquire(False)
        if got:
            self.owner = machine.curlwp()
        machine.noted("mutex_tryenter", at, lock=self.name, got=got)
        return got

    def exit(self, at: At) -> None:
        self._machine.step("mutex_exit", at, lock=self.name)
        self.release()

    def release(self) -> None:
        """Releases without a step of its own: part of a larger one."""
        if self.owner is not self._machine.curlwp():
            self._machine.panic(f"{self.name} of {self.owner} is released by another")
        self.owner = None
        self._lock.release()
        if self._waiters:
            with self._machine.guard:
                if self._waiters:
                    self._machine.unpark(self._waiters.popleft())

    def owned(self) -> bool:
        """Whether the calling thread has it."""
        return self.owner is self._machine.curlwp()

    def _queue(self, lwp: Lwp) -> bool:
        """Queues, then tries once more: a release in between would see nobody waiting."""
        with self._machine.guard:
            self._waiters.append(lwp)
            if self._lock.acquire(False):
                self._waiters.remove(lwp)
                return True
        return False


READER = "reader"
WRITER = "writer"


class RwLock:
    """Reader/writer lock in which waiting writers keep new readers out."""

    __slots__ = ("_machine", "name", "writer", "readers", "_wait_readers", "_wait_writers")

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.name = name
        self.writer: Lwp | None = None
        self.readers: list[Lwp] = []
        self._wait_readers: list[tuple[Lwp, At]] = []
        self._wait_writers: deque[tuple[Lwp, At]] = deque()

    def enter(self, mode: str, at: At) -> None:
        machine = self._machine
        machine.check()
        lwp = machine.curlwp()
        machine.turn("rw_enter", at)
        with machine.guard:
            if self.writer is lwp or (lwp in self.readers and mode == WRITER):
                why = f"{self.name} is taken twice at {at}"
            elif self._grantable(mode):
                self._grant(lwp, mode, at)
                return
            else:
                why = ""
                waiters = self._wait_writers if mode == WRITER else self._wait_readers
                waiters.append((lwp, at))
        if why:
            machine.panic(why)
        while self.writer is not lwp and not (mode == READER and lwp in self.readers):
            machine.park(lwp, lambda: f"waits as {mode} for {self.describe()} at {at}")

    def tryenter(self, mode: str, at: At) -> bool:
        machine = self._machine
        machine.turn("rw_tryenter", at)
        with machine.guard:
            got = self._grantable(mode)
            lwp = machine.curlwp()
            if got:
                self._hold(lwp, mode)
            machine._note(lwp, "rw_tryenter", at, lock=self.name, mode=mode, got=got)
        return got

    def exit(self, at: At) -> None:
        machine = self._machine
        lwp = machine.curlwp()
        machine.turn("rw_exit", at)
        with machine.guard:
            ours = self.writer is lwp or lwp in self.readers
            if ours:
                machine._note(lwp, "rw_exit", at, lock=self.name)
                self._release(lwp)
        if not ours:
            machine.panic(f"{self.name} is released at {at} by one who does not have it")

    def held(self) -> str | None:
        """The mode in which the calling thread has it, or None."""
        lwp = self._machine.curlwp()
        return WRITER if self.writer is lwp else READER if lwp in self.readers else None

    def describe(self) -> str:
        holders = [self.writer] if self.writer is not None else self.readers
        return f"{self.name} of {', '.join(str(lwp) for lwp in holders) or 'nobody'}"

    def _grantable(self, mode: str) -> bool:
        if mode == READER:
            return self.writer is None and not self._wait_writers
        return self.writer is None and not self.readers

    def _hold(self, lwp: Lwp, mode: str) -> None:
        if mode == WRITER:
            self.writer = lwp
        else:
            self.readers.append(lwp)

    def _grant(self, lwp: Lwp, mode: str, at: At) -> None:
        self._hold(lwp, mode)
        self._machine._note(lwp, "rw_enter", at, lock=self.name, mode=mode)

    def _release(self, lwp: Lwp) -> None:
        if self.writer is lwp:
            self.writer = None
            admitted, self._wait_readers = self._wait_readers, []
            for reader, at in admitted:
                self._grant(reader, READER, at)
                self._machine.unpark(reader)
        else:
            self.readers.remove(lwp)
        if not self.readers and self._wait_writers:
            writer, at = self._wait_writers.popleft()
            self._grant(writer, WRITER, at)
            self._machine.unpark(writer)
