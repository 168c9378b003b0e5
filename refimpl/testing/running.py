"""Plays a task under a schedule, and judges what happened; tells it by lines of genfs_io.c."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from ..errors import Crashed, MachineDead
from ..hook import Event
from ..schedule import Chooser
from .api import Broken, PowerLost
from .concurrent import Task, explain, last_fsync, look, prepare
from .history import History
from .player import FILE, Call, Player, Revoked
from .programs import LAST, POWER, PROMISE, REMOUNT, UNMOUNT, WRITES
from .records import Wrong
from .reference import Reference


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
            bodies["power"] = self._power
        outcome = chooser.run(self.fs.mounted, bodies)
        self.run.steps = outcome.steps
        if outcome.dead is not None and not isinstance(outcome.dead, Crashed):
            outcome.check()
        allowed = self.task.fault.answers if self.task.fault is not None else ()
        for raised in outcome.raised.values():
            if isinstance(raised, MachineDead | PowerLost | Revoked):
                continue  # whom the end of the power, or of the vnode, met inside a call
            if not isinstance(raised, OSError) or raised.errno not in allowed:
                raise raised

    def after(self) -> None:
        """What the threads do one after the other, when the schedule is over."""
        if self.end == UNMOUNT:
            return
        self.fs.no_faults()
        if self.end == LAST:
            # What the calls behind this touch again may be there only because they did.
            self.players["before"].do(Call("fsync"))
            since = last_fsync(self.run.history)
            look(self.fs, self.run.history, self.task, since, stored=self.fs.stored(FILE))
        if not self.fs.revoked(FILE):
            for name, call in self.task.after:
                self.players[name].do(call)
        look(self.fs, self.run.history, self.task)

    def ending(self) -> None:
        """A remount follows, or the power goes when an fsync has returned."""
        if self.end == UNMOUNT:
            return
        if self.end == REMOUNT:
            for player in self.players.values():
                player.close()
            self.fs.sync()
        else:
            self.players["before"].do(Call("fsync"))
            self._power_off()

    def unmounted(self) -> None:
        """In order, with the fault still in force; an error says that data may be lost."""
        fired, since = self.fs.fired(), None
        try:
            self.fs.remount()
        except OSError as error:
            if self.task.fault is None or error.errno not in self.task.fault.answers:
                raise
            since = last_fsync(self.run.history)
        told = self.task.fault is None or self.task.fault.kind not in WRITES
        if since is None and not told and self.fs.fired() > fired:
            raise Broken(f"{self.task.fault} happened, and nobody was told")
        look(self.fs, self.run.history, self.task, since, self.fs.stale_unit)

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
            try:
                self.players[name].do(call)
            finally:  # an fsync that failed has said that data may be lost: nothing follows it
                if call.name == "fsync" and self.end == PROMISE and not self.crashed:
                    self._power_off()

    def _power(self) -> None:
        """A step of its own: without, the thread would be over before anybody is chosen."""
        self.fs.mounted.kernel.machine.turn("call", "power")
        self._power_off()

    def _power_off(self) -> None:
        self.fs.mounted.kernel.dev.crash(None)


def run_scheduled(fs: Reference, task: Task, chooser: Chooser, end: str = REMOUNT) -> Run:
    """Plays a task under a schedule, reads everything, and again after the ``end``.

    REMOUNT: in order.  POWER: a thread more, "power", stops the machine whenever it is
    chosen.  PROMISE: the machine stops when the first fsync of the threads ends: there a
    file system has promised most (Mohan et al. 2018).  LAST: it stops when everything is
    over, after one more fsync; POWER and PROMISE do so too if it has not stopped by then.
    What is read then is what the device holds.  UNMOUNT: in order, with the fault in force.
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
            fs.let_go()
            play.alone("the end", play.ending)
        if play.crashed:
            fs.crash(None)
            look(fs, history, task, last_fsync(history), fs.stale_unit)
        elif end == UNMOUNT:
            play.unmounted()
        else:
            fs.at_rest()
            fs.remount()
            look(fs, history, task)
        run.failure = explain(history, task, page, fs.stale_unit)
    except (MachineDead, Broken, OSError) as broken:  # an OSError that no fault explains
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
