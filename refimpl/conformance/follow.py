"""Drives the real threads of a world through steps of the model, and compares after each.

The model's steps are taken in order.  A hidden step has no counterpart.  For any other the
real thread takes its own steps, through those that the model does not have, up to one whose
event fits (`binding`); a load may have no event.  After each step the real state, as the
model would have it (`abstraction`), is compared with the model's.  Nothing here waits for
real time: every thread is the chooser's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ...checker.conform.steps import HARD, SOFT, Step, Stepper
from ...checker.conform.validate import Pattern, Validator
from ...checker.explore.interpret import Violation
from ...checker.lang import ir
from ...checker.trace.replay import Moment
from ..errors import MachineDead
from ..hook import Event
from ..schedule import Chooser, Ready
from ..sync import Word
from .abstraction import Abstraction, Difference
from .binding import HIDDEN_EVENTS, Binding, BindingError
from .damage import Unit, contents
from .labels import RETURNED
from .world import World

# What a scenario's choice is called where the reference implementation asks for it.
_PICKS: Mapping[str, str] = {
    "fault: read": "read error",
    "fault: write": "write error",
    "fault: short": "short transfer",
    "fault: nomem": "no memory to copy",
    "fault: bmap": "bmap error",
    "fault: space": "no space",
    "fault: page": "no memory",
    "fault: heap": "no memory for an array",
    "fault: user": "EFAULT",
    "fault: journal": "journal error",
    "fault: full": "journal full",
    "fault: yield": "yield the processor",
}


# Violations that stop the real machine as well.
_STOPS: Final = frozenset(
    {
        "claim-8-counters", "freed-while-mapped", "index", "kassert", "lock-discipline",
        "null-dereference", "panic",
    }
)  # fmt: skip


# Steps of the model that tell what a call within the kernel returned: `result` events.
_RESULTS: Final = frozenset(RETURNED) - {"ended"}


class Departed(Exception):
    """The real threads do something else than the model."""

    def __init__(self, why: str, differences: Sequence[Difference] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.differences = tuple(differences)


@dataclass(frozen=True)
class Pair:
    """One step of the model, and the real steps that were taken for it."""

    number: int
    moment: Moment
    label: str
    events: tuple[Event, ...]


@dataclass
class Replayed:
    """What came of following.

    ``waiting`` says who hangs, and on what, when nobody can go on; ``dead`` why the machine
    stopped.  ``after`` tells of the time behind the last step, when all threads went on as they
    could and the file was flushed.
    """

    program: ir.Program
    pairs: list[Pair] = field(default_factory=list)
    departed: Departed | None = None
    at: int = 0  # the model's step that could not be followed, from 1
    compared: int = 0
    events: list[Event] = field(default_factory=list)
    silent: bool = False  # the violation is about values of a call, which no event shows
    waiting: dict[str, str] = field(default_factory=dict)
    dead: MachineDead | None = None
    dead_at: int = 0  # the model's step during which that was
    raised: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)  # at the last step
    taken: int = 0  # events until then
    after: list[Unit] = field(default_factory=list)
    flushed: int | None = None  # what fsync returned afterwards


class Follower:
    """The choices of one replay: whom to run next, and what the faults do."""

    def __init__(
        self,
        stepper: Stepper,
        world: World,
        moments: Sequence[Moment],
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._stepper = stepper
        self._validator = Validator(stepper)
        self._program = stepper.program
        self.world = world
        self._moments = moments
        self._numbers = list(range(1, len(moments) + 1)) if numbers is None else numbers
        sector = world.fs.kernel.fs.sb.data // 512
        self._binding = Binding(stepper, world.first_pages, world.window, sector)
        self._abstraction = Abstraction(world, stepper.program)
        self._steps = [self._step(moment) for moment in moments]
        self._script = self._follow()
        self.over = False
        self._ready: dict[str, Ready] = {}
        self._taken: list[Event] = []
        self._upcoming = self._choices()
        self._number = 0
        self._returned: dict[str, list[tuple[Event, Pattern]]] = {}  # what nobody asked for yet
        self.result = Replayed(stepper.program)
        self.chooser = Chooser(self.choose, always=True, pick=self.pick, to_rest=True)

    # What the chooser asks.

    def choose(self, ready: Sequence[Ready]) -> Ready:
        """Runs whom the model's next step needs; behind the last, whoever can go on."""
        self._ready = {one.thread: one for one in ready if one.kind != "nap"}
        name = None if self.over else self._wanted()
        return ready[0] if name is None else self._ready[name]

    def finish(self) -> None:
        """Nobody can go on, or the machine is dead: the trace must be over as well."""
        self._ready = {}
        name = None if self.over else self._wanted()
        if name is not None:
            raise Departed(f"{name} cannot go on: {self._died() or 'it has ended, or rests'}")

    def _wanted(self) -> str | None:
        """Whom the script wants to run; None when it is over."""
        try:
            return next(self._script)
        except StopIteration:
            self.over = True
            self.result.units = contents(self.world)
            self.result.taken = len(self.chooser.events)
            return None

    def pick(self, thread: str, label: str, count: int) -> int:
        """The outcome that the model's thread has next for a choice of this name."""
        wanted = _PICKS.get(label, label)
        if thread.startswith("disk"):
            moment = self._moments[self._number]
            named = self._named(moment)
            return next((value for name, value in named if name == wanted), 0)
        choices = self._upcoming.get(thread, [])
        for place, (name, value) in enumerate(choices):
            if name == wanted:
                del choices[: place + 1]
                return value
        return 0

    def _named(self, moment: Moment) -> list[tuple[str, int]]:
        code = self._program.threads[moment.thread].code
        labels = [
            action.label
            for action in (code[node].action for node in moment.nodes)
            if isinstance(action, ir.Choose)
        ]
        return list(zip(labels, moment.choices, strict=False))

    def _choices(self) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for moment in self._moments:
            name = self._program.threads[moment.thread].name
            found.setdefault(name, []).extend(self._named(moment))
        return found

    # The script: a generator that yields whom to run.

    def _follow(self) -> Generator[str, None, None]:
        for number, (moment, step) in enumerate(zip(self._moments, self._steps, strict=True)):
            self._number = number
            self._taken = []
            if step.label.name in _RESULTS:
                yield from self._result(moment, step)
            elif step.label.level == HARD:
                yield from self._hard(moment, step)
            elif step.label.level == SOFT:
                yield from self._soft(moment, step)
            yield from self._rest(moment)
            self._pair(moment, step)
            if self._dead() is None and self._numbers[number + 1 : number + 2] != [self.at]:
                self._compare(moment, step)
            if self._dead() is not None:
                self.result.dead_at = self.at
                if not self._breaks_next(number):
                    raise Departed(f"the machine dies: {self._died()}")
                return
        yield from self._panics()

    def _pair(self, moment: Moment, step: Step) -> None:
        """Adds what was done to the trace's step that it belongs to."""
        pairs, taken = self.result.pairs, tuple(self._taken)
        if pairs and pairs[-1].number == self.at:
            pairs[-1] = replace(pairs[-1], events=pairs[-1].events + taken)
        else:
            pairs.append(Pair(self.at, moment, step.label.name, taken))

    def _panics(self) -> Generator[str, None, None]:
        """What stops the model's machine stops the real one, before the thread's next event."""
        moment = self._moments[-1] if self._moments else None
        if moment is None or moment.violation is None:
            return
        self.result.silent = self._silent(moment, moment.violation)
        if moment.violation.property not in _STOPS:
            return
        self.result.silent = False
        name = self._program.threads[moment.thread].name
        if name in self._ready:
            yield from self._go(name)
        if self._dead() is None:
            raise Departed(f"{name} goes on, where the model stops: {moment.violation.message}")
        self.result.dead_at = self.at

    def _silent(self, moment: Moment, violation: Violation) -> bool:
        """Is what is broken about local variables and ghosts only, and no event tells it?"""
        action = self._program.threads[moment.thread].code[violation.instr].action
        if not isinstance(action, ir.Check):
            return False
        shared = (one for one in ir.walk(action.test) if isinstance(one, ir.Shared))
        seen = any(not self._program.shared[one.var].ghost for one in shared)
        return not seen and not any("data" in event.values for event in self._taken)

    def _step(self, moment: Moment) -> Step:
        before = self._stepper.layout.encode(moment.before)
        steps = list(self._stepper.steps(before, moment.thread))
        for step in steps:
            if step.choices == moment.choices:
                return step
        if len(steps) == 1:  # a violation ended the step before its last choice
            return steps[0]
        raise Departed("the stepper does not know this step")

    def _dead(self) -> MachineDead | None:
        return self.world.fs.kernel.machine.dead

    def _breaks_next(self, number: int) -> bool:
        """Does the thread break something here, or before its next event?

        What a real thread does behind an event, up to the next, it does in one go.
        """
        rest = list(zip(self._moments, self._steps, strict=True))[number + 1 :]
        thread = self._moments[number].thread
        last = rest[-1][0] if rest else self._moments[number]
        stops = last.violation is not None and last.violation.property in _STOPS
        return stops and all(
            moment.thread == thread and (not _shows(step) or moment is last)
            for moment, step in rest
        )

    def _died(self) -> str:
        dead = self._dead()
        return dead.why if dead is not None else ""

    def _real(self, moment: Moment, step: Step) -> str:
        """The real thread that is the model's."""
        thread = self._program.threads[moment.thread]
        if not thread.daemon or thread.name == "aiodone":
            return thread.name
        touched = [(self._program.shared[var], element) for var, _, element in step.touched]
        number = next((one for var, one in touched if var.name.startswith("bufs.")), None)
        for name, bp in self.world.fs.kernel.dev.working.items():
            if bp.number == number:
                return name
        raise Departed(f"the device does {step.label.name}, and has no buffer {number}")

    def _go(self, name: str) -> Generator[str, None, list[Event]]:
        """Lets a thread take one step."""
        if self._dead() is not None:
            raise Departed(f"{name} cannot go on: {self._died()}")
        if name not in self._ready:
            why = self.chooser.waiting().get(name, "it has ended, or rests")
            raise Departed(f"{name} cannot go on: {why}")
        seen = len(self.chooser.events)
        yield name
        events = self.chooser.events[seen:]
        self._taken += events
        return events

    def _hard(self, moment: Moment, step: Step) -> Generator[str, None, None]:
        name = self._real(moment, step)
        before = self._stepper.layout.encode(moment.before)
        for event, _ in self._returned.get(name, ()):
            raise Departed(f"the model takes {_told(step)}, the thread has {_event(event)}")
        while True:
            events = yield from self._go(name)
            fits = False
            for event in events:
                pattern = self._pattern(event)
                if pattern is None or self._kept(event, pattern):
                    continue
                if pattern.optional and step.label.name not in pattern.names:
                    self._agrees(event, pattern, before)
                    continue
                if moment.thread not in pattern.threads or not self._fits(pattern, before, step):
                    raise Departed(f"the model takes {_told(step)}, the thread {_event(event)}")
                fits = True
            if fits or self._dead() is not None:
                return

    def _result(self, moment: Moment, step: Step) -> Generator[str, None, None]:
        """What a call returns, which comes with the event before it, or with a load."""
        name = self._real(moment, step)
        before = self._stepper.layout.encode(moment.before)
        kept = self._returned.setdefault(name, [])
        while not kept and self._dead() is None:
            for event in (yield from self._go(name)):
                pattern = self._pattern(event)
                if pattern is None or self._kept(event, pattern):
                    continue
                if not pattern.optional:
                    raise Departed(f"a call of the model returns, the thread {_event(event)}")
                self._agrees(event, pattern, before)
        if kept:
            event, pattern = kept.pop(0)
            if moment.thread not in pattern.threads or not self._fits(pattern, before, step):
                raise Departed(f"a call of the model returns something else than {_event(event)}")

    def _kept(self, event: Event, pattern: Pattern) -> bool:
        """Notes what a call returned, until the model comes there."""
        if event.kind == "result":
            self._returned.setdefault(event.thread, []).append((event, pattern))
        return event.kind == "result"

    def _soft(self, moment: Moment, step: Step) -> Generator[str, None, None]:
        """A load: taken if the thread is about to load the same word.

        A load before it that the model does not make until the thread's next event is taken
        first.
        """
        name = self._real(moment, step)
        before = self._stepper.layout.encode(moment.before)
        while True:
            one = self._ready.get(name)
            if one is None or one.kind != "load" or not isinstance(one.target, Word):
                return
            word = self._binding.word(one.target)
            this = word is not None and (word[0], False, word[1]) in step.touched
            if not this and word in self._to_load(moment.thread):
                return
            for event in (yield from self._go(name)):
                pattern = self._pattern(event)
                if pattern is not None and not self._kept(event, pattern):
                    self._agrees(event, pattern, before)
            if this:
                return

    def _to_load(self, thread: int) -> set[tuple[int, int]]:
        """What the model's thread loads from here on, up to its next event."""
        found: set[tuple[int, int]] = set()
        for moment, step in zip(
            self._moments[self._number :], self._steps[self._number :], strict=True
        ):
            if moment.thread == thread:
                if _shows(step):
                    break
                found |= {(var, element) for var, write, element in step.touched if not write}
        return found

    def _rest(self, moment: Moment) -> Generator[str, None, None]:
        """What the thread does next that the model does not have, so that it keeps nobody."""
        thread = self._program.threads[moment.thread]
        names = [thread.name]
        if thread.daemon and thread.name != "aiodone":
            names = []
        for name in names:
            while self._dead() is None and self._hidden(self._ready.get(name)):
                for event in (yield from self._go(name)):
                    pattern = self._pattern(event)
                    if pattern is not None and not self._kept(event, pattern):
                        raise Departed(f"{event} was taken for a hidden step")

    def _hidden(self, one: Ready | None) -> bool:
        if one is None:
            return False
        if one.kind in HIDDEN_EVENTS:
            return True
        return one.target is not None and self._binding.is_hidden(one.target)

    # Comparing.

    def _pattern(self, event: Event) -> Pattern | None:
        try:
            return self._binding.pattern(event)
        except (BindingError, KeyError, ValueError) as error:
            raise Departed(f"{_event(event)}: {error}") from None

    def _fits(self, pattern: Pattern, before: bytes, step: Step) -> bool:
        return step.label.name in pattern.names and self._validator.matches(pattern, before, step)

    def _agrees(self, event: Event, pattern: Pattern, before: bytes) -> None:
        if not pattern.agrees(before):
            raise Departed(f"{_event(event)}: the model has another value there")

    def _compare(self, moment: Moment, step: Step) -> None:
        """With the model's state; behind a broken promise with where the step goes on to."""
        shared = moment.after.shared
        if moment.violation is not None:
            if step.after is None:
                return
            shared = self._stepper.layout.decode(step.after).shared
        differences = self._abstraction.differences(shared)
        self.result.compared += 1
        if differences:
            first = "; ".join(str(one) for one in differences[:4])
            raise Departed(f"the state differs: {first}", differences)

    @property
    def at(self) -> int:
        """The trace's step that is being followed, from 1."""
        return self._numbers[self._number] if self._numbers else 1


def _shows(step: Step) -> bool:
    """Must there be an event, other than for what a call returns?"""
    return step.label.level == HARD and step.label.name not in _RESULTS


def _event(event: Event) -> str:
    values = " ".join(f"{key}={value}" for key, value in event.values.items())
    return f"{event.kind} at {event.at} {values}".rstrip()


def _told(step: Step) -> str:
    return step.label.name or "a hidden step"


