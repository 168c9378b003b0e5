"""A chooser that lets the threads of a task run by priority, and preempts them at places.

The thread with the highest priority runs until it waits; a preemption makes it the lowest
(Burckhardt, Kothari, Musuvathi and Nagarakatte 2010).  So whoever was preempted stays behind
until all others have ended or wait, whatever they do in between.  Threads of the machine
(device, completion) run whenever somebody waits, or with ``slow`` when nobody else can.

Preemptions come only where the thread holds no mutex: in between others are kept out of what
the mutex protects, so that one there mostly does what one before or behind does (Lipton 1975).
A long scan asks under its mutex whether it should let others run: whoever is preempted there is
told so, and is preempted when it has let go of the mutex.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..hook import At, Wanted
from ..schedule import Chooser, HasKernel, Outcome, Ready
from ..threads import Lwp

# Steps that take nothing away from others and give them nothing: they only look, or are seen.
# Before what acquires or frees something a preemption does what an earlier one does.
_SEEN = frozenset(
    {
        *("load", "store", "user_load", "user_store", "page_store", "fill", "pmap_enter"),
        *("bmap", "block_alloc", "block_free", "strategy", "wapbl_begin", "worklist"),
    }
)
_YIELD = "should_yield"


@dataclass(frozen=True)
class Place:
    """Before the ``number``-th step that a thread takes without a mutex, or that asks to yield.

    ``shared``: it could matter that others run here. The thread had a mutex before, or slept,
    or it looks at something shared, a word or bytes of a page, or changes it.
    """

    thread: str
    number: int
    kind: str
    at: At
    target: str
    shared: bool

    def __str__(self) -> str:
        what = f" of {self.target}" if self.target else ""
        return f"{self.thread} before {self.kind}{what} at {self.at}"


class Prioritized(Chooser):
    """Runs threads by priority.

    ``preempts(place)`` is asked at each place where a thread may be preempted, once it has begun
    and while another has not ended; it must not draw.  ``arranged`` orders the names of the
    threads, highest first.  ``other(count)`` may choose another than the first of ``count``
    possibilities.
    """

    def __init__(
        self,
        preempts: Callable[[Place], bool],
        *,
        arranged: Callable[[list[str]], Sequence[str]] = list,
        other: Callable[[int], int] | None = None,
        pick: Callable[[str, str, int], int] | None = None,
        slow: bool = False,
    ) -> None:
        super().__init__(self._next, pick=pick, runs_on=self._stays)
        self._preempts = preempts
        self._arranged = arranged
        self._other = other
        self._slow = slow
        self.order: list[str] = []
        self._mutexes: dict[str, set[object]] = {}  # held, by thread
        self._numbers: dict[str, int] = {}
        self._freed: dict[str, bool] = {}  # had a mutex before, or has not begun
        self._ended: set[str] = set()
        self._yields: set[str] = set()  # they were told to
        self._current = ""
        self._preempted = False

    def run(
        self, fs: HasKernel, bodies: Mapping[str, Callable[[], object]], settle: bool = True
    ) -> Outcome:
        self.order = list(self._arranged(list(bodies)))
        self._freed = dict.fromkeys(bodies, True)
        return super().run(fs, bodies, settle)

    def before(self, lwp: Lwp, kind: str, at: At, want: Wanted | None = None) -> None:
        if self._active and lwp.name in self._freed:
            if kind == _YIELD:
                if self._asked(lwp, kind, at, True):
                    lwp.should_yield = True
                    self._yields.add(lwp.name)
            elif not self._mutexes.get(lwp.name):
                self._arrive(lwp, kind, at)
        super().before(lwp, kind, at, want)

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        super().took(lwp, kind, at, values)
        if kind == "mutex_enter" or (kind == "mutex_tryenter" and values["got"]):
            self._mutexes.setdefault(lwp.name, set()).add(values["lock"])
        elif kind in ("mutex_exit", "sleep"):
            self._mutexes.setdefault(lwp.name, set()).discard(values["lock"])
            if lwp.name in self._freed:
                self._freed[lwp.name] = True

    def ended(self, lwp: Lwp) -> None:
        self._ended.add(lwp.name)
        super().ended(lwp)

    def _arrive(self, lwp: Lwp, kind: str, at: At) -> None:
        """A thread stands before a step without a mutex."""
        name = lwp.name
        freed, self._freed[name] = self._freed[name], False
        if self._asked(lwp, kind, at, freed or kind in _SEEN) or name in self._yields:
            self._yields.discard(name)
            self.order.remove(name)
            self.order.append(name)
            self._preempted = True

    def _asked(self, lwp: Lwp, kind: str, at: At, shared: bool) -> bool:
        """Whether a thread is preempted here."""
        name = lwp.name
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        others = (other for other in self.order if other != name)
        if number == 1 or all(other in self._ended for other in others):
            return False  # who comes first is a matter of the order
        target = "" if lwp.target is None else str(lwp.target)
        return self._preempts(Place(name, number, kind, at, target, shared))

    def _stays(self, ready: Ready) -> bool:
        return not self._preempted or ready.thread != self.order[-1]

    def _next(self, ready: Sequence[Ready]) -> Ready:
        """``ready`` begins with the thread that ran last, if it can go on."""
        preempted, self._preempted = self._preempted, False
        if ready[0].thread == self._current and not preempted:
            return ready[0]
        ranked = sorted(ready, key=lambda one: self._rank(one, preempted))
        chosen = ranked[self._other(len(ranked)) if self._other is not None else 0]
        self._current = chosen.thread
        return chosen

    def _rank(self, ready: Ready, preempted: bool) -> tuple[int, int]:
        if ready.kind == "nap":
            return 3, 0
        if ready.thread in self.order:
            return 1, self.order.index(ready.thread)
        return (2, 0) if self._slow or preempted else (0, 0)
