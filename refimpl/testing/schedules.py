"""Hypothesis chooses the schedule: which thread takes the next step, at every real choice.

A thread runs until it cannot go on or is preempted; who goes on then is drawn, and so are
the places of at most a few preemptions: few suffice for most bugs (Musuvathi and Qadeer
2007; Burckhardt, Kothari, Musuvathi and Nagarakatte 2010).  They come only where the thread
holds no mutex.  In between others are kept out of what the mutex protects, so that a
preemption there mostly does what one before or behind it does (Lipton 1975).

A failure shrinks towards few threads, few operations, few preemptions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import hypothesis.strategies as st

from ..errors import Crashed, MachineDead
from ..hook import At, Event
from ..schedule import Chooser, Ready
from ..threads import Lwp
from .api import Broken, PowerLost
from .concurrent import Call, Player, Task, explain, last_fsync, look, prepare
from .history import History
from .programs import POWER, PROMISE, REMOUNT
from .records import Wrong
from .reference import Reference

# A preemption comes before the n-th step of a kind, of those without a mutex, since the last
# one: a store of a word that no mutex protects, a load of one, the first after a mutex, any.
_STORE, _LOAD, _FREE, _ANY = "store", "load", "free", "any"
_PREEMPTION = st.one_of(
    st.tuples(st.just(_FREE), st.integers(1, 16)),
    st.tuples(st.just(_STORE), st.integers(1, 8)),
    st.tuples(st.just(_LOAD), st.integers(1, 16)),
    st.tuples(st.just(_ANY), st.one_of(st.integers(1, 40), st.integers(1, 120))),
)


class _Watched(Chooser):
    """Knows who holds a mutex."""

    def __init__(self, drawn: Drawn) -> None:
        super().__init__(drawn.choose, pick=drawn.pick, runs_on=drawn.runs_on)
        self._held = drawn.held

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        super().took(lwp, kind, at, values)
        if kind == "mutex_enter" or (kind == "mutex_tryenter" and values["got"]):
            self._held.setdefault(lwp.name, set()).add(values["lock"])
        elif kind in ("mutex_exit", "sleep"):
            self._held.setdefault(lwp.name, set()).discard(values["lock"])


class Drawn:
    """Makes the choices of a `Chooser` by drawing them."""

    def __init__(self, data: st.DataObject, preemptions: int = 3) -> None:
        self._data = data
        self._last = ""
        # Mostly one or two; a list alone would be empty too often.
        count = min(preemptions, data.draw(st.sampled_from([0, 1, 1, 1, 1, 2, 2, 3])))
        drawn = [data.draw(_PREEMPTION, label="preemption") for _ in range(count)]
        self._preemptions = deque(drawn)
        self._unit, self._left = _ANY, 0  # the next preemption; 0 for none
        self._next_preemption()
        self._stopped = False  # the thread that ran last is preempted
        self.held: dict[str, set[object]] = {}  # mutexes, by thread
        self._freed = False  # the thread that ran last had one before its last step
        # Picks are made by the machine's threads, which cannot draw.
        self._picks = deque(data.draw(st.lists(st.integers(0, 3), max_size=8), label="picks"))

    def chooser(self) -> Chooser:
        """A hook that asks this object."""
        return _Watched(self)

    def choose(self, ready: Sequence[Ready]) -> Ready:
        """The thread that takes the next step; ``ready`` begins with the one that ran last.

        When a thread waits, what it waits for comes first: the machine's own threads.
        """
        if ready[0].thread == self._last and not self._stopped and self.runs_on(ready[0]):
            return ready[0]
        others = [one for one in ready if one.thread != self._last] or list(ready)
        if not self._stopped:
            others.sort(key=lambda one: (one.kind == "nap", one.thread.startswith("user")))
        self._stopped = False
        first = st.one_of(st.just(0), st.integers(0, len(others) - 1))
        chosen = others[self._data.draw(first, label="next")]
        self._last = chosen.thread
        return chosen

    def runs_on(self, ready: Ready) -> bool:
        """Whether the thread that has just taken a step is not preempted; nothing is drawn."""
        if ready.thread != self._last:
            return False
        freed, self._freed = self._freed, bool(self.held.get(ready.thread))
        if self._left and not self._freed and self._counts(ready, freed):
            self._left -= 1
            if not self._left:
                self._stopped = True
                self._next_preemption()
        return not self._stopped

    def _counts(self, ready: Ready, freed: bool) -> bool:
        """Whether a step without a mutex is of the kind that the next preemption counts."""
        if self._unit == _ANY:
            return True
        if not ready.thread.startswith("user"):
            return False
        return freed if self._unit == _FREE else ready.kind == self._unit

    def _next_preemption(self) -> None:
        if self._preemptions:
            self._unit, self._left = self._preemptions.popleft()

    def pick(self, thread: str, label: str, count: int) -> int:
        """Choices inside a step: which of the queued transfers, which waiting writer."""
        return self._picks.popleft() % count if self._picks else 0


@dataclass
class Run:
    """What happened: ``failure`` is None if nothing went wrong."""

    task: Task
    history: History
    events: list[Event]
    steps: int = 0
    failure: Wrong | Exception | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.task}\nschedule:\n{schedule(self.events)}\n{self.failure or 'nothing wrong'}"


class _Play:
    """The parts of `run_scheduled`; what is before and behind the schedule has one thread."""

    def __init__(self, fs: Reference, task: Task, run: Run, end: str) -> None:
        self.fs, self.task, self.run, self.end = fs, task, run, end
        self.players: dict[str, Player] = {}

    def before(self) -> None:
        prepare(self.fs, self.task)
        for name in (*self.task.programs, "before"):
            self.players[name] = Player(self.fs, name, self.run.history, self.task.records)
        self.players["before"].play(self.task.before)
        if self.task.fault is not None:
            fault = self.task.fault
            self.fs.mounted.faults.arm(fault.kind, fault.skip, fault.count, fault.errno)

    def scheduled(self, chooser: Chooser) -> None:
        bodies: dict[str, Callable[[], object]] = {
            name: partial(self._program, name) for name in self.task.programs
        }
        if self.end == POWER:
            bodies["power"] = self._power_off
        outcome = chooser.run(self.fs.mounted, bodies)
        self.run.steps = outcome.steps
        for raised in outcome.raised.values():
            if isinstance(raised, (MachineDead, Broken, PowerLost)):
                continue
            allowed = self.task.fault.answers if self.task.fault is not None else ()
            if not isinstance(raised, OSError) or raised.errno not in allowed:
                raise raised
        if not isinstance(outcome.dead, Crashed) and outcome.dead is not None:
            outcome.check()

    def after(self) -> None:
        """What the threads do one after the other, when the schedule is over."""
        self.fs.no_faults()
        for name, call in self.task.after:
            self.players[name].do(call)
        look(self.fs, self.run.history, self.task)
        if self.end == REMOUNT:
            for player in self.players.values():
                player.close()
            self.fs.sync()
        else:
            self.players["before"].do(Call("fsync"))
            self._power_off()

    def alone(self, name: str, body: Callable[[], None]) -> None:
        """One thread, and those of the machine, in an order that depends on nothing."""
        chooser = Chooser(lambda ready: ready[0], runs_on=lambda ready: True)
        outcome = chooser.run(self.fs.mounted, {name: body})
        if not isinstance(outcome.dead, Crashed):
            outcome.check()

    @property
    def crashed(self) -> bool:
        return isinstance(self.fs.mounted.kernel.machine.dead, Crashed)

    def _program(self, name: str) -> None:
        for call in self.task.programs[name]:
            self.players[name].do(call)
            if call.name == "fsync" and self.end == PROMISE:
                self._power_off()

    def _power_off(self) -> None:
        self.fs.mounted.kernel.dev.crash(None)


def run_scheduled(fs: Reference, task: Task, chooser: Chooser, end: str = REMOUNT) -> Run:
    """Plays a task under a schedule, reads everything, and again after the ``end``.

    REMOUNT: in order.  POWER: a thread more, "power", stops the machine whenever it is
    chosen.  PROMISE: the machine stops when the first fsync returns, and if there is none,
    after one behind everything: there a file system has promised most (Mohan et al. 2018).
    What is read then is what the device holds.
    """
    history = History()
    run = Run(task, history, chooser.events)
    play = _Play(fs, task, run, end)
    page = fs.mounted.kernel.page_size
    try:
        play.alone("before", play.before)
        play.scheduled(chooser)
        if not play.crashed:
            play.alone("afterwards", play.after)
        if play.crashed:
            fs.crash(None)
            look(fs, history, task, last_fsync(history), fs.stale_unit)
        else:
            fs.at_rest()
            fs.remount()
            look(fs, history, task)
        run.failure = explain(history, task, page, fs.stale_unit)
    except (MachineDead, Broken) as broken:
        run.failure = broken
    return run


# Schedules, told.


def schedule(events: Sequence[Event]) -> str:
    """One line for each time that a thread ran: how far, by lines of genfs_io.c."""
    lines = []
    for thread, group in groupby(events, key=lambda event: event.thread):
        part = list(group)
        called = [str(event.values.get("op")) for event in part if event.kind == "call"]
        ended = [str(event.values.get("op")) for event in part if event.kind == "return"]
        where = _lines([event.at for event in part if isinstance(event.at, int)])
        last = part[-1]
        text = f"  {thread:<10} {len(part):4d} steps"
        text += f"  begins {', '.join(called)}" if called else ""
        text += f"  lines {where}" if where else ""
        text += f"  ends {', '.join(ended)}" if ended else ""
        lines.append(f"{text}  (last: {last.kind} at {last.at})")
    return "\n".join(lines)


def _lines(numbers: Sequence[int]) -> str:
    """The lines in order, long rows abridged."""
    short = [number for number, _same in groupby(numbers)]
    if len(short) > 8:
        return ", ".join(map(str, short[:4])) + " ... " + ", ".join(map(str, short[-4:]))
    return ", ".join(map(str, short))
