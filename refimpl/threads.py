"""Threads of a machine, their waits, and the steps that are neither locks nor words.

Every wait ends in `Machine.park`: one place knows who waits for what, since where, and
throws everybody out when the machine has died.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from .errors import MachineDead, Panic, Stuck
from .hook import At, Hook, digest

if TYPE_CHECKING:
    from .locks import Mutex

_T = TypeVar("_T")


class Lwp:
    """A thread as the kernel knows it."""

    __slots__ = (
        "name",
        "kernel",
        "gate",
        "woken",
        "waits",
        "napping",
        "resting",
        "target",
        "pagedaemon",
        "trans",
        "trans_type",
        "journal",
        "should_yield",
    )

    def __init__(self, name: str, kernel: bool = False) -> None:
        self.name = name
        self.kernel = kernel  # started by the machine, not a user's
        self.gate = threading.Lock()  # held unless ``woken`` has not been noticed
        self.gate.acquire()
        self.woken = False  # somebody made the thread runnable; changed under the guard
        self.waits: str | None = None
        self.napping: float | None = None  # the wait ends by itself after so many seconds
        self.resting = False  # the wait does not mean that something is stuck
        self.target: object = None  # with a hook: the word or lock of the next step, if any
        self.pagedaemon = False
        self.trans = 0  # depth of file system transactions
        self.trans_type = ""  # of the outermost
        self.journal = False  # inside a journal transaction
        self.should_yield = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Want:
    """What a step waits for: ``ready`` is asked again whenever ``chan`` is woken.

    ``what`` says it in words.  ``rest``: a daemon with nothing to do may stay there for ever.
    """

    chan: object
    ready: Callable[[], bool]
    what: str
    rest: bool = False

    def why(self, at: At) -> str:
        return f"waits for {self.what} at {at}"


class Machine:
    """Threads and the state of their waits; ``patience`` in seconds, None for no limit.

    ``guard`` protects every lock's and channel's own state, and is held during a service:
    the parts of the kernel around the checked file that are one step to everybody else.
    Nobody waits while holding it.
    """

    def __init__(self, hook: Hook | None = None, patience: float | None = None) -> None:
        self.hook = hook
        self.patience = patience
        self.contents: Callable[[bytes | memoryview], str] = digest  # what logs say of bytes
        self.guard = threading.RLock()
        self.dead: MachineDead | None = None
        self.lwps: list[Lwp] = []
        self.messages: list[str] = []  # what the kernel printed
        self._local = threading.local()
        self._sleepers: dict[object, list[Lwp]] = {}
        self._waiting: dict[Lwp, Callable[[], str]] = {}
        self._threads: list[threading.Thread] = []

    def curlwp(self) -> Lwp:
        """The calling thread; it is known by the name it has when it comes here first."""
        try:
            lwp: Lwp = self._local.lwp
        except AttributeError:
            lwp = self.register(threading.current_thread().name)
            self._local.lwp = lwp
        return lwp

    def register(self, name: str, kernel: bool = False) -> Lwp:
        """A thread that is about to start; it calls `become` first."""
        lwp = Lwp(name, kernel)
        with self.guard:
            self.lwps.append(lwp)
        return lwp

    def become(self, lwp: Lwp) -> None:
        self._local.lwp = lwp

    def forget(self, lwp: Lwp) -> None:
        """A user's thread has ended."""
        with self.guard:
            if lwp in self.lwps:
                self.lwps.remove(lwp)

    def spawn(self, name: str, body: Callable[[], None], pagedaemon: bool = False) -> None:
        """Starts a thread of the machine.  An exception in it is a panic."""
        lwp = self.register(name, kernel=True)
        lwp.pagedaemon = pagedaemon

        def run() -> None:
            self.become(lwp)
            try:
                if self.hook is not None:
                    self.hook.started(lwp)
                body()
            except MachineDead as dead:
                self.die(dead)
            except Exception as error:
                self.die(Panic(f"{name}: {type(error).__name__}: {error}"))
            finally:
                self.forget(lwp)
                if self.hook is not None:
                    self.hook.ended(lwp)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, seconds: float) -> None:
        """Waits for the machine's own threads to end."""
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise Stuck(f"{thread.name} does not end\n{self.report()}")

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic() if self.hook is None else self.hook.now()

    def pick(self, label: str, count: int, default: int = 0) -> int:
        """One of ``count`` possibilities that only chance, or the hook, decides between."""
        if self.hook is None or count < 2:
            return default
        return self.hook.pick(self.curlwp(), label, count, default)

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

    def park(
        self,
        lwp: Lwp,
        why: Callable[[], str],
        seconds: float | None = None,
        rest: bool = False,
    ) -> None:
        """Sleeps until somebody unparks; with ``seconds``, or until they have passed.

        ``rest``: however long that is, it does not mean that something is stuck.
        """
        hook = self.hook
        self._waiting[lwp] = why
        lwp.napping, lwp.resting = seconds, rest
        lwp.waits = why() if hook is not None else "asleep"
        if hook is not None:
            hook.parked(lwp)
        limit = seconds if seconds is not None else self.patience
        if rest or (hook is not None and hook.timeless):
            limit = None
        if self.dead is not None:
            limit = 0.0  # whoever unparked everybody may have come before us
        got = lwp.gate.acquire(timeout=-1 if limit is None else limit)
        if not got and seconds is None and self.dead is None:
            self.die(Stuck(f"no progress in {limit} s\n{self.report()}"))
        with self.guard:
            late = not got and self.hook is not None and self.hook.timeless and not self.dead
            if not late:
                self._over(lwp)
        if late:  # a hook has taken over while the time ran: now it says when the wait ends
            lwp.gate.acquire()
            with self.guard:
                self._over(lwp)
        if self.hook is not None:
            self.hook.resumed(lwp)
        self.check()

    def _over(self, lwp: Lwp) -> None:
        self._awake(lwp)
        self._waiting.pop(lwp, None)
        lwp.waits = lwp.napping = None
        lwp.resting = False

    def unpark(self, lwp: Lwp) -> None:
        """Makes ``lwp`` runnable; the guard is held."""
        if not lwp.woken:
            if self.hook is not None:
                self.hook.unparked(lwp)
            lwp.woken = True
            lwp.gate.release()

    def _awake(self, lwp: Lwp) -> None:
        """Uses up what `unpark` did: it must not end another wait.  The guard is held."""
        lwp.gate.acquire(False)
        lwp.woken = False

    def waits(self, lwp: Lwp) -> bool:
        """Whether ``lwp`` waits and nobody has woken it; the guard is held."""
        return lwp.waits is not None and not lwp.woken

    def report(self) -> str:
        """Who waits for what, one line for each waiting thread."""
        return "\n".join(f"{lwp}: {why()}" for lwp, why in list(self._waiting.items()))

    # Channels: any object can be slept on.

    def sleep(self, chan: object, mutex: Mutex, at: At) -> None:
        """Releases ``mutex`` and sleeps on ``chan``, in one step; returns without the mutex."""
        lwp = self.curlwp()
        if self.hook is not None:
            lwp.target = mutex
            self.hook.before(lwp, "sleep", at)
        with self.guard:
            self._sleepers.setdefault(chan, []).append(lwp)
            if self.hook is not None:
                self._note(lwp, "sleep", at, chan=chan, lock=mutex.name)
            mutex.release()
        self._slept(lwp, chan, f"sleeps on {_describe(chan)} at {at}")

    def wakeup(self, chan: object, at: At) -> None:
        """Makes every sleeper of ``chan`` runnable, in a step of its own."""
        lwp = self.curlwp()
        if self.hook is not None:
            lwp.target = chan
            self.hook.before(lwp, "wakeup", at)
        elif chan not in self._sleepers:
            return
        with self.guard:
            if self.hook is not None:
                self._note(lwp, "wakeup", at, chan=chan)
            self.wake(chan)

    def wake(self, chan: object) -> None:
        """As `wakeup`, inside a service."""
        for sleeper in self._sleepers.pop(chan, ()):
            self.unpark(sleeper)

    def nap(self, chan: object, ready: Callable[[], bool], seconds: float, at: At) -> None:
        """Rests until ``ready``, or for ``seconds``: no step, only time."""
        lwp = self.curlwp()
        with self.guard:
            if ready():
                return
            self._sleepers.setdefault(chan, []).append(lwp)
        self._slept(lwp, chan, f"rests at {at}", seconds=seconds)

    def rest(self, chan: object, take: Callable[[], _T | None], at: At) -> _T:
        """Waits, as long as need be, until ``take`` gives something; no step either."""
        lwp = self.curlwp()
        while True:
            with self.guard:
                taken = take()
                if taken is not None:
                    return taken
                self._sleepers.setdefault(chan, []).append(lwp)
            self._slept(lwp, chan, f"rests at {at}", rest=True)

    def _slept(
        self,
        lwp: Lwp,
        chan: object,
        why: str,
        seconds: float | None = None,
        rest: bool = False,
    ) -> None:
        try:
            self.park(lwp, lambda: why, seconds, rest)
        finally:
            with self.guard:
                sleepers = self._sleepers.get(chan, [])
                if lwp in sleepers:  # it was not a wakeup that ended the sleep
                    sleepers.remove(lwp)
                self._awake(lwp)  # a wakeup may have come later than the end of the time

    def yield_cpu(self) -> None:
        """Gives the processor to others for a moment."""
        if self.hook is None or not self.hook.timeless:
            time.sleep(0)

    # Steps that are neither locks nor words.

    @contextmanager
    def service(
        self,
        kind: str,
        at: At,
        want: Want | None = None,
        mutex: Mutex | None = None,
        /,
        **values: object,
    ) -> Iterator[dict[str, object]]:
        """A service of the kernel around the checked file, in one step.

        The block runs under the guard, once ``want`` is ready and, with ``mutex``, while the
        calling thread has that as well; it may add to the values that the hook is told.
        """
        lwp = self.curlwp()
        if self.dead is not None:
            self.check()
        while True:
            if self.hook is not None:
                lwp.target = None
                self.hook.before(lwp, kind, at, want or mutex)
            self.guard.acquire()
            # Under the guard as well: nobody may find the mutex taken by a step not yet logged.
            if mutex is not None and not mutex.take(lwp):
                self.guard.release()
                self.park(lwp, lambda: mutex.why(at))
                continue
            if want is None or want.ready():
                break
            self._sleepers.setdefault(want.chan, []).append(lwp)
            if mutex is not None:
                mutex.release()
            self.guard.release()
            self._slept(lwp, want.chan, want.why(at), rest=want.rest)
        try:
            yield values
            if self.hook is not None:
                self._note(lwp, kind, at, **values)
        finally:
            if mutex is not None and mutex.owner is lwp:
                mutex.release()
            self.guard.release()

    def step(self, kind: str, at: At, **values: object) -> None:
        """A step of the calling thread that happens now, under the lock that protects it."""
        if self.hook is not None:
            lwp = self.curlwp()
            lwp.target = None
            self.hook.before(lwp, kind, at)
            with self.guard:
                self._note(lwp, kind, at, **values)

    def turn(self, kind: str, at: At, target: object = None) -> None:
        """Announces a step, to a word or lock, whose result `noted` reports."""
        if self.hook is not None:
            lwp = self.curlwp()
            lwp.target = target
            self.hook.before(lwp, kind, at)

    def noted(self, kind: str, at: At, **values: object) -> None:
        """Reports a step that `turn` announced, still under the lock that protects it."""
        if self.hook is not None:
            with self.guard:
                self._note(self.curlwp(), kind, at, **values)

    def returns(self, call: str, error: int, **values: object) -> int:
        """Reports what a call within the kernel returns, and returns the error: no step."""
        self.noted("result", call, of=call, error=error, **values)
        return error

    def _note(self, lwp: Lwp, kind: str, at: At, **values: object) -> None:
        if self.hook is not None:
            self.hook.took(lwp, kind, at, {key: _plain(v) for key, v in values.items()})


def _plain(value: object) -> object:
    if isinstance(value, int | str | bool | None):
        return value
    if isinstance(value, list | tuple):
        return ",".join(str(_plain(one)) for one in value)
    if type(value).__str__ is object.__str__:
        return type(value).__name__  # one of a kind in its machine
    return str(value)


def _describe(chan: object) -> str:
    describe = getattr(chan, "describe", None)
    return str(describe()) if describe is not None else str(chan)
