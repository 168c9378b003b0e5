"""Hypothesis chooses the schedule: which thread takes the next step, at every real choice.

A thread runs until it cannot go on or is preempted; who goes on then is drawn, and so are
the places of at most a few preemptions (few suffice for most bugs: Burckhardt, Kothari,
Musuvathi and Nagarakatte 2010).  A failure shrinks towards few threads, few operations, few
preemptions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import hypothesis.strategies as st

from ..errors import Crashed, MachineDead
from ..hook import Event
from ..schedule import Chooser, Ready
from .api import ADVICE, FEATURES, MMAP, Broken, PowerLost
from .concurrent import Call, Player, Task, explain, last_fsync, look, prepare
from .history import History
from .records import RECORD, Wrong
from .reference import Reference

# A preemption comes before the n-th step, or the n-th acquisition of a lock, after the last.
_STEP, _LOCK = "steps", "locks"
_PREEMPTION = st.one_of(
    st.tuples(st.just(_LOCK), st.one_of(st.integers(1, 24), st.integers(1, 80))),
    st.tuples(st.just(_STEP), st.integers(1, 200)),
)
_ACQUIRES = frozenset({"mutex_enter", "rw_enter", "fstrans_start", "wapbl_begin"})


class Drawn:
    """Makes the choices of a `Chooser` by drawing them."""

    def __init__(self, data: st.DataObject, preemptions: int = 3) -> None:
        self._data = data
        self._last = ""
        drawn = data.draw(st.lists(_PREEMPTION, max_size=preemptions), label="preemptions")
        self._preemptions = deque(drawn)
        self._unit, self._left = _LOCK, 0  # the next preemption; 0 for none
        self._next_preemption()
        self._stopped = False  # the thread that ran last is preempted
        # Picks are made by the machine's threads, which cannot draw.
        self._picks = deque(data.draw(st.lists(st.integers(0, 3), max_size=8), label="picks"))

    def chooser(self) -> Chooser:
        """A hook that asks this object."""
        return Chooser(self.choose, pick=self.pick, runs_on=self.runs_on)

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
        if self._left and (self._unit == _STEP or ready.kind in _ACQUIRES):
            self._left -= 1
            if not self._left:
                self._stopped = True
                self._next_preemption()
        return not self._stopped

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
    steps: int
    failure: Wrong | Exception | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.task}\nschedule:\n{schedule(self.events)}\n{self.failure or 'nothing wrong'}"


def run_scheduled(fs: Reference, task: Task, chooser: Chooser, crash: bool = False) -> Run:
    """Plays a task under a schedule, reads everything, and again after a remount.

    With ``crash`` a thread more, "power", stops the machine whenever it is chosen; what is
    read is what the device holds then.
    """
    prepare(fs, task)
    history = History()
    players = {name: Player(fs, name, history, task.records) for name in task.programs}
    first = Player(fs, "before", history, task.records)
    run = Run(task, history, chooser.events, 0)
    bodies: dict[str, Callable[[], object]] = {
        name: partial(player.play, task.programs[name]) for name, player in players.items()
    }
    if crash:
        bodies["power"] = partial(fs.mounted.kernel.dev.crash, None)
    page = fs.mounted.kernel.page_size
    try:
        first.play(task.before)
        outcome = chooser.run(fs.mounted, bodies)
        run.steps = outcome.steps
        for raised in outcome.raised.values():
            if not isinstance(raised, (MachineDead, Broken, PowerLost)):
                raise raised
        if crash and isinstance(outcome.dead, Crashed):
            fs.crash(None)
            look(fs, history, task, last_fsync(history), fs.stale_unit)
        else:
            outcome.check()
            look(fs, history, task)
            for player in (*players.values(), first):
                player.close()
            fs.at_rest()
            fs.remount()
            look(fs, history, task)
        run.failure = explain(history, task, page, fs.stale_unit)
    except (MachineDead, Broken) as broken:
        run.failure = broken
    return run


# Tasks.


@st.composite
def tasks(
    draw: st.DrawFn,
    threads: int = 3,
    length: int = 2,
    records: int = 8,
    features: frozenset[str] = FEATURES,
) -> Task:
    """Files of up to ``records`` records, at most ``threads`` threads of ``length`` calls.

    Each task is made of few kinds of calls, often on one page: operations that are all
    different seldom meet (swarm testing, Groce et al. 2012).
    """
    size = draw(st.integers(0, records))
    tags = iter(range(1, 60000))
    kept = draw(st.lists(st.booleans(), max_size=size))
    first = tuple(next(tags) if one else 0 for one in kept)
    kinds = _kinds(draw(st.sampled_from([4, records])), records, features)
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3, unique=True))
    calls = st.one_of([kinds[name] for name in chosen])
    before = draw(st.lists(calls, max_size=2))
    some = st.integers(2, max(2, threads)) if draw(st.booleans()) else st.just(2)
    programs = [
        draw(st.lists(calls, min_size=1, max_size=length)) for _ in range(draw(some))
    ]
    return Task(
        size,
        first,
        {f"user{n}": [_tagged(call, tags) for call in calls] for n, calls in enumerate(programs)},
        cold=draw(st.booleans()),
        before=[_tagged(call, tags) for call in before],
    )


def _kinds(
    reach: int, records: int, features: frozenset[str]
) -> dict[str, st.SearchStrategy[Call]]:
    """Calls by kind; all but truncations and whole syncs concern the first ``reach`` records."""
    first = st.integers(0, reach - 1)
    whole = st.sampled_from([(start, 4) for start in range(0, reach - 3, 4)] or [(0, 1)])
    pairs = st.one_of(st.tuples(first, st.integers(1, 4)), whole)
    kinds: dict[str, st.SearchStrategy[Call]] = {
        "read": pairs.map(lambda pair: Call("read", pair)),
        "write": pairs.map(lambda pair: Call("write", pair)),
        "truncate": st.integers(0, records).map(lambda size: Call("truncate", (size,))),
        "fsync": st.just(Call("fsync")),
    }
    if MMAP in features:
        everything = st.just((0, records, False))
        kinds |= {
            "load": first.map(lambda record: Call("load", (record,))),
            "store": first.map(lambda record: Call("store", (record,))),
            "msync": st.one_of(
                everything, st.tuples(first, st.integers(1, 4), st.booleans())
            ).map(lambda three: Call("msync", three)),
        }
    if ADVICE in features:
        kinds["willneed"] = pairs.map(lambda pair: Call("willneed", pair))
    return kinds


def _tagged(call: Call, tags: Iterator[int]) -> Call:
    """Tags come last, so that every write of a task has one of its own."""
    if call.name == "write":
        first, count = call.arguments
        assert isinstance(count, int)
        return Call("write", (first, tuple(next(tags) for _ in range(count))))
    if call.name == "store":
        return Call("store", (*call.arguments, next(tags)))
    return call


@st.composite
def machines(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of `Reference` for small machines in which threads meet often."""
    return {
        "size": 32 * 1024,
        "files": 2,
        "block_size": draw(st.sampled_from([1024, 512, 2048])),
        "page_size": 4 * RECORD,
        "journal": draw(st.booleans()),
        "memory_pages": draw(st.sampled_from([64, 24])),
        "maxphys": 4096,
        "window_pages": draw(st.sampled_from([2, 1])),
        "array_on_stack": draw(st.sampled_from([16, 1])),
        "io_threads": 1,
        "patience": None,
    }


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
