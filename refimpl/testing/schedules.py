"""Hypothesis chooses the schedule: which thread takes the next step, at every real choice.

A thread runs until it cannot go on or is preempted; who goes on then, and for how many
steps before the next preemption, is drawn.  Zero means "the first, and until it stops by
itself", so that a failure shrinks towards few threads, few operations, few preemptions.
(Few suffice for most bugs: Burckhardt, Kothari, Musuvathi and Nagarakatte 2010.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import hypothesis.strategies as st

from ..errors import MachineDead
from ..hook import Event
from ..schedule import Chooser, Ready
from .api import ADVICE, FEATURES, Broken
from .concurrent import Call, Player, Task, explain, last_fsync, look, prepare
from .history import History
from .records import RECORD, Wrong
from .reference import Reference

# When the thread that is chosen is preempted: never, before its n-th acquisition of a lock,
# or before its n-th step of any kind.
_STEP, _LOCK = "steps", "locks"
_PREEMPTION = st.one_of(
    st.just((_LOCK, 0)),
    st.tuples(st.just(_LOCK), st.integers(1, 24)),
    st.tuples(st.just(_STEP), st.integers(1, 120)),
)
_ACQUIRES = frozenset({"mutex_enter", "rw_enter", "fstrans_start", "wapbl_begin"})


class Drawn:
    """Makes the choices of a `Chooser` by drawing them."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._last = ""
        self._unit = _LOCK
        self._left = 0  # acquisitions or steps until the next preemption; 0 for none
        # Picks are made by the machine's threads, which cannot draw.
        self._picks = deque(data.draw(st.lists(st.integers(0, 3), max_size=8), label="picks"))

    def choose(self, ready: Sequence[Ready]) -> Ready:
        """The thread that takes the next step; ``ready`` begins with the one that ran last."""
        if ready[0].thread == self._last and not self._preempted(ready[0]):
            return ready[0]
        others = [one for one in ready if one.thread != self._last] or list(ready)
        chosen = others[self._data.draw(st.integers(0, len(others) - 1), label="next")]
        self._unit, self._left = self._data.draw(_PREEMPTION, label="until")
        self._last = chosen.thread
        return chosen

    def _preempted(self, ready: Ready) -> bool:
        if not self._left or (self._unit == _LOCK and ready.kind not in _ACQUIRES):
            return False
        self._left -= 1
        return not self._left

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
    """Plays a task under a schedule, reads everything, and again after a remount or crash."""
    prepare(fs, task)
    history = History()
    players = {name: Player(fs, name, history, task.records) for name in task.programs}
    first = Player(fs, "before", history, task.records)
    run = Run(task, history, chooser.events, 0)
    try:
        first.play(task.before)
        outcome = chooser.run(
            fs.mounted,
            {
                name: partial(player.play, task.programs[name])
                for name, player in players.items()
            },
        )
        run.steps = outcome.steps
        for raised in outcome.raised.values():
            if not isinstance(raised, (MachineDead, Broken)):
                raise raised
        outcome.check()
        page = fs.mounted.kernel.page_size
        look(fs, history, task)
        if crash:
            fs.crash(None)
            look(fs, history, task, last_fsync(history), fs.stale_unit)
        else:
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
    records: int = 12,
    features: frozenset[str] = FEATURES,
) -> Task:
    """Files of up to ``records`` records, at most ``threads`` threads of ``length`` calls."""
    size = draw(st.integers(0, records))
    tags = iter(range(1, 60000))
    kept = draw(st.lists(st.booleans(), max_size=size))
    first = tuple(next(tags) if one else 0 for one in kept)
    before = draw(st.lists(_calls(records, features), max_size=2))
    programs = draw(
        st.lists(
            st.lists(_calls(records, features), min_size=1, max_size=length),
            min_size=2,
            max_size=threads,
        )
    )
    return Task(
        size,
        first,
        {f"user{n}": [_tagged(call, tags) for call in calls] for n, calls in enumerate(programs)},
        cold=draw(st.booleans()),
        before=[_tagged(call, tags) for call in before],
    )


def _calls(records: int, features: frozenset[str]) -> st.SearchStrategy[Call]:
    first = st.integers(0, records - 1)
    count = st.integers(1, 4)
    pairs = st.tuples(first, count)
    kinds: list[st.SearchStrategy[Call]] = [
        pairs.map(lambda pair: Call("read", pair)),
        pairs.map(lambda pair: Call("write", pair)),
        st.integers(0, records).map(lambda size: Call("truncate", (size,))),
        st.just(Call("fsync")),
    ]
    if "mmap" in features:
        kinds += [
            first.map(lambda record: Call("load", (record,))),
            first.map(lambda record: Call("store", (record,))),
            st.tuples(first, count, st.booleans()).map(lambda three: Call("msync", three)),
            st.just(Call("msync", (0, records, False))),
        ]
    if ADVICE in features:
        kinds += [pairs.map(lambda pair: Call("willneed", pair))]
    return st.one_of(kinds)


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
