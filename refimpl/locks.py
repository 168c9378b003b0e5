"""Mutex and reader/writer lock.

Semantics are the kernel's.  A mutex is not recursive, and whoever is quick gets it.  In a
reader/writer lock a reader waits while a writer holds or waits; releasing a write lock
admits all waiting readers, the last reader hands over to a waiting writer.
"""

from __future__ import annotations

import threading
from collections import deque

from .hook import At
from .threads import Lwp, Machine


class Mutex:
    """Exclusive, not recursive, no order among waiters."""

    __slots__ = ("_machine", "name", "_lock", "_waiters", "owner")

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.name = name
        self._lock = threading.Lock()
        self._waiters: deque[Lwp] = deque()
        self.owner: Lwp | None = None

    def __str__(self) -> str:
        return self.name

    def enter(self, at: At) -> None:
        machine = self._machine
        lwp = machine.curlwp()
        if machine.dead is not None:
            machine.check()
        if self.owner is lwp:
            machine.panic(f"{self.name} is taken twice at {at}")
        while True:
            if machine.hook is not None:
                lwp.target = self
                machine.hook.before(lwp, "mutex_enter", at, self)
                with machine.guard:  # the log has the steps in the order of their effects
                    if self.take(lwp):
                        machine.noted("mutex_enter", at, lock=self.name)
                        return
            elif self.take(lwp):
                return
            machine.park(lwp, lambda: self.why(at))

    def tryenter(self, at: At) -> bool:
        machine = self._machine
        if machine.hook is not None:
            machine.turn("mutex_tryenter", at, self)
        with machine.guard:
            got = self._lock.acquire(False)
            if got:
                self.owner = machine.curlwp()
            if machine.hook is not None:
                machine.noted("mutex_tryenter", at, lock=self.name, got=got)
        return got

    def exit(self, at: At) -> None:
        machine = self._machine
        if machine.hook is None:
            self.release()
            return
        machine.turn("mutex_exit", at, self)
        with machine.guard:
            machine.noted("mutex_exit", at, lock=self.name)
            self.release()

    # Without a step: parts of a larger one.

    def take(self, lwp: Lwp) -> bool:
        """Acquires if that is possible at once; otherwise ``lwp`` is queued, to be unparked."""
        if not self._lock.acquire(False) and not self._queue(lwp):
            return False
        self.owner = lwp
        return True

    def release(self) -> None:
        if self.owner is not self._machine.curlwp():
            self._machine.panic(f"{self.name} of {self.owner} is released by another")
        self.owner = None
        self._lock.release()
        if self._waiters:
            with self._machine.guard:
                if self._waiters:
                    self._machine.unpark(self._waiters.popleft())

    def ready(self) -> bool:
        """Whether it is free."""
        return not self._lock.locked()

    def why(self, at: At) -> str:
        return f"waits for {self.name} of {self.owner} at {at}"

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
    """Reader/writer lock in which waiting writers keep new readers out.

    Whoever has to wait takes two steps: it arrives (rw_wait), and it goes on (rw_enter) when
    the lock has been handed to it, which is part of another thread's rw_exit.
    """

    __slots__ = ("_machine", "name", "writer", "readers", "wait_readers", "wait_writers")

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.name = name
        self.writer: Lwp | None = None
        self.readers: list[Lwp] = []
        self.wait_readers: list[Lwp] = []
        self.wait_writers: list[Lwp] = []

    def __str__(self) -> str:
        return self.name

    def enter(self, mode: str, at: At) -> None:
        machine = self._machine
        machine.check()
        lwp = machine.curlwp()
        if machine.hook is not None:
            machine.turn("rw_enter", at, self)
        with machine.guard:
            if self.writer is lwp or lwp in self.readers:
                machine.panic(f"{self.name} is taken twice at {at}")
            if self._grantable(mode):
                self._hold(lwp, mode)
                if machine.hook is not None:
                    machine.noted("rw_enter", at, lock=self.name, mode=mode)
                return
            (self.wait_writers if mode == WRITER else self.wait_readers).append(lwp)
            if machine.hook is not None:
                machine.noted("rw_wait", at, lock=self.name, mode=mode)
        # Whoever hands the lock over wakes us, perhaps before we sleep: that must be used up here.
        machine.park(lwp, lambda: f"waits as {mode} for {self.describe()} at {at}")
        machine.kassert(self.held() == mode, at, f"woken without {self.name}")
        if machine.hook is not None:
            machine.turn("rw_enter", at, self)
            machine.noted("rw_enter", at, lock=self.name, mode=mode)

    def tryenter(self, mode: str, at: At) -> bool:
        machine = self._machine
        if machine.hook is not None:
            machine.turn("rw_tryenter", at, self)
        with machine.guard:
            got = self._grantable(mode)
            if got:
                self._hold(machine.curlwp(), mode)
            if machine.hook is not None:
                machine.noted("rw_tryenter", at, lock=self.name, mode=mode, got=got)
        return got

    def exit(self, at: At) -> None:
        machine = self._machine
        lwp = machine.curlwp()
        if machine.hook is not None:
            machine.turn("rw_exit", at, self)
        with machine.guard:
            if self.writer is not lwp and lwp not in self.readers:
                machine.panic(f"{self.name} is released at {at} by one who does not have it")
            handed = self._release(lwp)
            if machine.hook is not None:
                machine.noted("rw_exit", at, lock=self.name, to=handed)
            for other in handed:
                machine.unpark(other)

    def held(self) -> str | None:
        """The mode in which the calling thread has it, or None."""
        lwp = self._machine.curlwp()
        return WRITER if self.writer is lwp else READER if lwp in self.readers else None

    def describe(self) -> str:
        holders = [self.writer] if self.writer is not None else self.readers
        return f"{self.name} of {', '.join(str(lwp) for lwp in holders) or 'nobody'}"

    def _grantable(self, mode: str) -> bool:
        if mode == READER:
            return self.writer is None and not self.wait_writers
        return self.writer is None and not self.readers

    def _hold(self, lwp: Lwp, mode: str) -> None:
        if mode == WRITER:
            self.writer = lwp
        else:
            self.readers.append(lwp)

    def _release(self, lwp: Lwp) -> list[Lwp]:
        """Who has it now that ``lwp`` has not."""
        handed: list[Lwp] = []
        if self.writer is lwp:
            self.writer = None
            handed, self.wait_readers = self.wait_readers, []
            self.readers = list(handed)
        else:
            self.readers.remove(lwp)
        if not self.readers and self.wait_writers:
            which = self._machine.pick("which waiting writer", len(self.wait_writers))
            self.writer = self.wait_writers.pop(which)
            handed.append(self.writer)
        return handed
