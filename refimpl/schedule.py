"""A hook that owns every thread of a machine: one runs at a time, and somebody chooses which.

`Chooser.run` starts a thread for each body it is given and, together with the machine's own
(device, completion, syncer, page daemon), runs them one step after the other.  Between steps
each thread stands before its next one, or sleeps, or rests; ``choose`` is told which could go
on, and says who does.  Time does not pass: whoever naps goes on when it is chosen.  The same
choices give the same steps, the same log and the same bytes.

Nothing hangs.  When nobody can go on, or there is no end in sight, the machine dies of `Stuck`
with a report of who waits for what.

    chooser = Chooser(random.Random(7).choice)
    with mount(image, hook=chooser, patience=None) as fs:
        outcome = chooser.run(fs, {"writer": lambda: ..., "reader": lambda: ...})
    print(outcome.stuck or chooser.events)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .errors import MachineDead, Stuck
from .hook import At, Log, Wanted
from .threads import Lwp, Machine

if TYPE_CHECKING:
    from .kernel import Kernel

_RUNNING, _STOPPED, _PARKED, _WOKEN, _ENDED = range(5)
_REAL = 60.0  # seconds of real time that a single step may take: more is a mistake in it
_NAPS = 40  # so often only time could pass, and no body took a step: time does not help


@dataclass(frozen=True)
class Ready:
    """A thread that could go on: the step it would take, ``nap`` for one that slept enough."""

    thread: str
    kind: str
    at: At
    target: object = field(default=None, compare=False)  # the word or lock, where there is one

    def __str__(self) -> str:
        what = f" of {self.target}" if self.target is not None else ""
        return f"{self.thread}: {self.kind}{what} at {self.at}"


Choose = Callable[[Sequence[Ready]], Ready]


class HasKernel(Protocol):
    """A mounted file system."""

    @property
    def kernel(self) -> Kernel: ...


@dataclass
class Outcome:
    """How a run ended: what the bodies returned or raised, and why the machine died, if so."""

    returned: dict[str, object] = field(default_factory=dict)
    raised: dict[str, BaseException] = field(default_factory=dict)
    dead: MachineDead | None = None
    waiting: dict[str, str] = field(default_factory=dict)  # who hung, and on what
    steps: int = 0

    @property
    def stuck(self) -> str:
        """The report of a run in which nobody could go on, else nothing."""
        return self.dead.why if isinstance(self.dead, Stuck) else ""

    def check(self) -> None:
        """Raises why the machine died, or else what a body raised first."""
        if self.dead is not None:
            raise self.dead.again()
        for failure in self.raised.values():
            raise failure


class _Thread:
    """What the chooser knows of one thread."""

    def __init__(self, lwp: Lwp, body: bool) -> None:
        self.lwp = lwp
        self.body = body
        self.state = _WOKEN
        self.baton = threading.Semaphore(0)
        self.kind = "start"
        self.at: At = "start"
        self.want: Wanted | None = None
        self.wakes: float | None = None  # on the chooser's clock, if it naps
        self.napped = False  # its last step was the end of a nap

    def ready(self) -> bool:
        return self.state == _STOPPED and (self.want is None or self.want.ready())


class Chooser(Log):
    """The hook.  ``choose`` is called by the thread that called `run`, and by no other.

    It gets at least two possibilities, or with ``always`` one or more; the first is the
    thread that ran last, if it can go on, naps come last.  ``pick`` decides between
    possibilities inside a step (`Hook.pick`); by default their first.  ``limit``: steps
    after which a run counts as endless.  ``runs_on`` is asked by the thread that runs, when it
    could take its next step: if true it does so, and nobody else is asked (this is much quicker).
    ``to_rest``: when all bodies have ended, go on asking until the machine's threads rest too.
    """

    def __init__(
        self,
        choose: Choose,
        *,
        always: bool = False,
        pick: Callable[[str, str, int], int] | None = None,
        limit: int = 100_000,
        runs_on: Callable[[Ready], bool] | None = None,
        to_rest: bool = False,
    ) -> None:
        super().__init__()
        self.choose = choose
        self.decide = pick
        self.runs_on = runs_on
        self.at_end: Callable[[], None] | None = None  # called when nobody can go on
        self._to_rest = to_rest
        self._always = always
        self._limit = limit
        self._active = False
        self._machine: Machine | None = None
        self._threads: dict[Lwp, _Thread] = {}
        self._back = threading.Semaphore(0)
        self._clock = 0.0
        self._last: _Thread | None = None
        self._naps = self._steps = 0
        self.choices = 0  # how often `choose` was asked

    # What the machine calls.

    @property
    def timeless(self) -> bool:  # type: ignore[override]
        return self._active

    def before(self, lwp: Lwp, kind: str, at: At, want: Wanted | None = None) -> None:
        thread = self._threads.get(lwp)
        if not self._active or thread is None:
            return
        thread.kind, thread.at, thread.want = kind, at, want
        if self.runs_on is not None and self._runs_on(thread):
            return
        thread.state = _STOPPED
        self._hand_back(thread)

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        if self._active:
            super().took(lwp, kind, at, values)

    def parked(self, lwp: Lwp) -> None:
        thread = self._threads.get(lwp)
        if self._active and thread is not None:
            self._park(thread)
            self._back.release()

    def unparked(self, lwp: Lwp) -> None:
        thread = self._threads.get(lwp)
        if self._active and thread is not None and thread.state == _PARKED:
            thread.state = _WOKEN

    def resumed(self, lwp: Lwp) -> None:
        thread = self._threads.get(lwp)
        if self._active and thread is not None:
            thread.baton.acquire()
            thread.state = _RUNNING

    def started(self, lwp: Lwp) -> None:
        if self._active:
            self._threads[lwp] = _Thread(lwp, False)
            self.resumed(lwp)

    def ended(self, lwp: Lwp) -> None:
        thread = self._threads.get(lwp)
        if self._active and thread is not None:
            thread.state = _ENDED
            self._back.release()

    def now(self) -> float:
        return self._clock

    def pick(self, lwp: Lwp, label: str, count: int, default: int) -> int:
        if not self._active or self.decide is None:
            return default
        return self.decide(lwp.name, label, count)

    # What a user calls.

    def run(
        self, fs: HasKernel, bodies: Mapping[str, Callable[[], object]], settle: bool = True
    ) -> Outcome:
        """Runs the bodies, in threads of these names, until all have ended or none can go on.

        Nobody else may be inside the machine meanwhile.  With ``settle``, what the machine's
        own threads still have to do is done afterwards, without asking; naps are not ended.
        """
        machine = fs.kernel.machine
        outcome = Outcome()
        lwps = {name: machine.register(name) for name in bodies}
        before = machine.hook
        self._attach(machine, lwps.values())
        threads = []
        try:
            for name, body in bodies.items():
                run = self._body(machine, lwps[name], body, outcome)
                threads.append(threading.Thread(target=run, name=name, daemon=True))
                threads[-1].start()
            self._drive(outcome)
            if settle:
                self._settle()
        except BaseException as failure:  # of `choose`: whoever sleeps would not be woken
            machine.die(Stuck(f"the run was given up: {type(failure).__name__}"))
            raise
        finally:
            outcome.dead = machine.dead
            outcome.steps = self._steps
            self._detach(machine, before)
            for thread in threads:
                thread.join(_REAL)
            for lwp in lwps.values():
                machine.forget(lwp)
        return outcome

    def waiting(self) -> dict[str, str]:
        """Who cannot go on, and what each waits for; who rests is not told of."""
        assert self._machine is not None
        found = {}
        reports = dict(self._machine._waiting)
        for thread in self._threads.values():
            if thread.state == _STOPPED and thread.want is not None and not thread.want.ready():
                if not getattr(thread.want, "rest", False):
                    found[thread.lwp.name] = thread.want.why(thread.at)
            elif thread.state == _PARKED and thread.lwp in reports and thread.wakes is None:
                if thread.body or not thread.lwp.resting:
                    found[thread.lwp.name] = reports[thread.lwp]()
        return found

    # Inside.

    def _body(
        self, machine: Machine, lwp: Lwp, body: Callable[[], object], outcome: Outcome
    ) -> Callable[[], None]:
        def run() -> None:
            machine.become(lwp)
            self.resumed(lwp)
            try:
                outcome.returned[lwp.name] = body()
            except BaseException as failure:
                outcome.raised[lwp.name] = failure
            finally:
                self.ended(lwp)

        return run

    def _attach(self, machine: Machine, bodies: Iterable[Lwp]) -> None:
        """Takes over, as soon as all threads of the machine rest or wait."""
        deadline = time.monotonic() + _REAL
        while True:
            with machine.guard:
                own = [lwp for lwp in machine.lwps if lwp.kernel]
                if all(machine.waits(lwp) for lwp in own):
                    self._take_over(machine, own, list(bodies))
                    return
            if time.monotonic() > deadline:
                raise Stuck(f"the machine does not come to rest\n{machine.report()}")
            time.sleep(1e-4)

    def _take_over(self, machine: Machine, own: list[Lwp], bodies: list[Lwp]) -> None:
        self._machine = machine
        self._threads = {lwp: _Thread(lwp, False) for lwp in own}
        for thread in self._threads.values():
            self._park(thread)
        self._threads |= {lwp: _Thread(lwp, True) for lwp in bodies}
        self._last = None
        self._naps = self._steps = 0
        machine.hook = self
        self._active = True

    def _detach(self, machine: Machine, before: object) -> None:
        """Lets everybody go."""
        with machine.guard:
            self._active = False
            machine.hook = before  # type: ignore[assignment]
        for thread in self._threads.values():
            thread.baton.release()
        self._threads = {}

    def _runs_on(self, thread: _Thread) -> bool:
        assert self.runs_on is not None and self._machine is not None
        if thread is not self._last or (thread.want is not None and not thread.want.ready()):
            return False
        if self._steps >= self._limit or self._machine.dead is not None:
            return False
        if any(one.state == _WOKEN for one in self._threads.values()):
            return False
        if not self.runs_on(Ready(thread.lwp.name, thread.kind, thread.at, thread.lwp.target)):
            return False
        self._steps += 1
        thread.napped = False
        if thread.body:
            self._naps = 0
        return True

    def _park(self, thread: _Thread) -> None:
        thread.state = _PARKED
        nap = thread.lwp.napping
        thread.wakes = None if nap is None else self._clock + nap

    def _hand_back(self, thread: _Thread) -> None:
        self._back.release()
        thread.baton.acquire()
        assert self._machine is not None
        thread.state = _RUNNING
        if not self._active:
            self._machine.check()

    def _drive(self, outcome: Outcome) -> None:
        """Chooses until all bodies have ended or the machine is dead."""
        machine = self._machine
        assert machine is not None
        while True:
            self._wake_all()
            if machine.dead is not None:
                return
            possible = self._possible()
            if all(thread.state == _ENDED for thread in self._threads.values() if thread.body):
                if not possible or not self._to_rest:
                    return
            naps = self._napping()
            if not possible and (not naps or self._naps > _NAPS):
                if self.at_end is not None:
                    self.at_end()
                outcome.waiting = self.waiting()
                lines = "\n".join(f"{name}: {why}" for name, why in outcome.waiting.items())
                machine.die(Stuck(f"nobody can go on\n{lines}"))
                return
            if self._steps >= self._limit:
                outcome.waiting = self.waiting()
                machine.die(Stuck(f"no end after {self._steps} steps"))
                return
            self._steps += 1
            self._naps += not possible
            if possible and self._last is not None and self._last.napped:
                naps = []  # time does not pass for ever while others could go on
            self._go(self._chosen(possible, naps))

    def _chosen(self, possible: list[_Thread], naps: list[_Thread]) -> _Thread:
        if not possible and not self._always:
            return naps[0]
        if len(possible) + len(naps) == 1 and not self._always:
            return possible[0]
        by_ready = {Ready(one.lwp.name, one.kind, one.at, one.lwp.target): one for one in possible}
        by_ready |= {Ready(one.lwp.name, "nap", one.at): one for one in naps}
        self.choices += 1
        choice = self.choose(list(by_ready))
        if choice not in by_ready:
            raise ValueError(f"{choice} is none of {', '.join(map(str, by_ready))}")
        return by_ready[choice]

    def _possible(self) -> list[_Thread]:
        found = [thread for thread in self._threads.values() if thread.ready()]
        if self._last in found:
            found.remove(self._last)
            found.insert(0, self._last)
        return found

    def _napping(self) -> list[_Thread]:
        found = [one for one in self._threads.values() if one.state == _PARKED]
        naps = [one for one in found if one.wakes is not None]
        return sorted(naps, key=lambda one: one.wakes or 0.0)

    def _go(self, thread: _Thread) -> None:
        """Lets a thread take its step, and go on to the next."""
        machine = self._machine
        assert machine is not None
        thread.napped = thread.state == _PARKED
        if thread.napped:
            assert thread.wakes is not None
            self._clock = max(self._clock, thread.wakes)
            with machine.guard:
                machine.unpark(thread.lwp)
        elif thread.body:
            self._naps = 0
        self._last = thread
        thread.baton.release()
        self._wait(thread)

    def _wake_all(self) -> None:
        """Whoever was woken, or starts, runs up to its next step."""
        while True:
            woken = [one for one in list(self._threads.values()) if one.state == _WOKEN]
            if not woken:
                return
            woken[0].baton.release()
            self._wait(woken[0])

    def _wait(self, thread: _Thread) -> None:
        if not self._back.acquire(timeout=_REAL):
            raise Stuck(f"{thread.lwp} is before {thread.kind} at {thread.at} and does not stop")

    def _settle(self) -> None:
        assert self._machine is not None
        for _step in range(self._limit):
            if self._machine.dead is not None:
                return
            self._wake_all()
            possible = [thread for thread in self._possible() if not thread.body]
            if not possible:
                return
            self._go(possible[0])
        self._machine.die(Stuck(f"no rest after {self._limit} steps"))


__all__ = ["Choose", "Chooser", "Outcome", "Ready"]
