"""The one hook: called at every step on shared state that an observer could tell apart.

A machine has one hook or none.  A step of a thread is announced twice:

- ``before(lwp, kind, at)``, while nothing of the step has happened: a hook may wait here;
- ``took(lwp, kind, at, values)``, at the step's atomic point, under the lock that protects
  what it reports: a hook may only note it.  The order of these calls is therefore an
  order in which the steps happened.

``kind`` is one of `KINDS`.  ``at`` is a line of genfs_io.c 1.18, or the name of a routine of
the surrounding kernel.  ``took`` may be called by another thread than ``lwp``: whoever
releases a reader/writer lock hands it over.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sync import Lwp

At = int | str

KINDS: Mapping[str, str] = {
    "load": "one word of shared memory was read: of, field, value",
    "store": "one word of shared memory was written: of, field, value",
    "mutex_enter": "a mutex was acquired: lock",
    "mutex_tryenter": "an attempt to acquire a mutex: lock, got",
    "mutex_exit": "a mutex was released: lock",
    "rw_enter": "a reader/writer lock was acquired: lock, mode",
    "rw_tryenter": "an attempt to acquire a reader/writer lock: lock, mode, got",
    "rw_exit": "a reader/writer lock was released: lock",
    "sleep": "a mutex was released and the thread sleeps: chan, lock",
    "wakeup": "every sleeper of a channel was made runnable: chan",
    "page_insert": "a page was given to an object: page, uobj, offset",
    "page_free": "a page was taken from its object: page",
    "list": "a marker entered or left an object's list of pages: op",
    "pmap_enter": "a page was mapped: page, writable",
    "pmap_protect": "rights of a page's mappings were taken away: page, prot",
    "pmap_clear_modify": "a modified bit was read and cleared: page, was",
    "user_load": "bytes were read through a mapping: page, offset, length",
    "user_store": "bytes were written through a mapping: page, offset, length",
    "fill": "bytes of a page that its owner may change were set: page, offset, length",
    "kva_alloc": "pages were mapped for the pager: pages",
    "kva_free": "a pager window was given back: pages",
    "heap_alloc": "an array of pages came from the heap: size",
    "heap_free": "an array of pages was freed: size",
    "getiobuf": "a buffer was taken: buf",
    "putiobuf": "a buffer was given back: buf",
    "strategy": "a transfer was submitted: buf, write, blkno, count",
    "transfer": "a transfer happened on the device: buf, write, blkno, count, error",
    "biodone": "a buffer was completed: buf, error",
    "aiodone": "a buffer was queued for the completion thread: buf",
    "bmap": "a block of a file was looked up: vp, lbn, blkno, run, error",
    "block_alloc": "a block was given to a file: vp, lbn, blkno",
    "block_free": "a block was taken from a file: vp, lbn, blkno",
    "isize": "the size in the inode changed: vp, value",
    "fstrans_start": "a file system transaction began: type, count",
    "fstrans_done": "a file system transaction ended: count",
    "fstrans_state": "the file system's state changed: state",
    "wapbl_begin": "a journal transaction began",
    "wapbl_end": "a journal transaction ended",
    "worklist": "a vnode was put on the syncer's list or taken off: vp, on",
    "call": "an operation of a user began: op, vp",
    "return": "an operation of a user ended: op, vp, error",
}


class Hook:
    """The empty hook: what one derives from.  (`Machine.hook = None` costs less.)"""

    def before(self, lwp: Lwp, kind: str, at: At) -> None:
        """``lwp`` is about to take a step."""

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        """``lwp`` took the step; the machine's guard is held, so nothing may wait here."""

    def parked(self, lwp: Lwp) -> None:
        """``lwp`` stops running until somebody makes it runnable."""

    def unparked(self, lwp: Lwp) -> None:
        """``lwp`` runs again, or will as soon as it may; the guard is held."""


@dataclass(frozen=True)
class Event:
    """One step in a log."""

    number: int
    thread: str
    kind: str
    at: At
    values: Mapping[str, object]

    def __str__(self) -> str:
        values = " ".join(f"{key}={value}" for key, value in self.values.items())
        return f"{self.number:6d} {self.thread:<12} {self.at!s:>18} {self.kind:<18} {values}"


class Log(Hook):
    """Keeps every step, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        self.events.append(Event(len(self.events), lwp.name, kind, at, values))


class Jitter(Log):
    """Stops threads for a moment at randomly chosen steps, so that rare orders happen.

    The choices come from ``seed``; which thread meets them depends on the machine.
    With ``keep`` the steps are logged as well.
    """

    def __init__(self, seed: int, rate: float = 0.01, pause: float = 5e-4, keep: bool = False):
        super().__init__()
        self._random = random.Random(seed)
        self._rate = rate
        self._pause = pause
        self._keep = keep

    def before(self, lwp: Lwp, kind: str, at: At) -> None:
        if self._random.random() < self._rate:
            time.sleep(self._pause * self._random.random())

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        if self._keep:
            super().took(lwp, kind, at, values)


@dataclass(frozen=True)
class Turn:
    """One entry of a schedule: ``thread`` runs up to and including a step.

    It stops again before the first step after one that fits ``kind`` and ``at`` (None fits
    anything), of which it passes ``count``.
    """

    thread: str
    kind: str | None = None
    at: At | None = None
    count: int = 1

    def fits(self, kind: str, at: At) -> bool:
        return self.kind in (None, kind) and self.at in (None, at)


class Turns(Log):
    """Makes threads take their steps in a given order; also keeps the log.

    Threads that the schedule never names run free, and so do all when it is used up.  The
    thread whose turn it is keeps it until it has taken the last step of the turn; another
    named thread waits before its next step.

    A turn cannot be finished if its thread sleeps and nobody wakes it, or has ended.  If it
    has made no progress for ``patience`` seconds, it is passed over and kept in `skipped`:
    a lock that was added may forbid a schedule that was possible before.
    """

    def __init__(self, schedule: Iterable[Turn], patience: float = 0.3) -> None:
        super().__init__()
        self._turns = list(schedule)
        self._named = {turn.thread for turn in self._turns}
        self._next = 0
        self._left = self._turns[0].count if self._turns else 0
        self._finishing = False
        self._changed = threading.Condition()
        self._patience = patience
        self._moved = time.monotonic()
        self.skipped: list[Turn] = []

    @property
    def done(self) -> bool:
        """Whether the schedule is used up."""
        return self._next == len(self._turns)

    def before(self, lwp: Lwp, kind: str, at: At) -> None:
        if lwp.name not in self._named:
            return
        with self._changed:
            self._over(lwp.name)
            while not self.done and self._turns[self._next].thread != lwp.name:
                waited = time.monotonic() - self._moved
                if waited >= self._patience:
                    self.skipped.append(self._turns[self._next])
                    self._advance()
                else:
                    self._changed.wait(self._patience - waited)
            self._moved = time.monotonic()
            if not self.done and self._turns[self._next].fits(kind, at):
                self._left -= 1
                self._finishing = self._left == 0

    def parked(self, lwp: Lwp) -> None:
        with self._changed:
            self._over(lwp.name)

    def finished(self, thread: str) -> None:
        """``thread`` takes no more steps."""
        with self._changed:
            if not self.done and self._turns[self._next].thread == thread:
                if not self._finishing:
                    self.skipped.append(self._turns[self._next])
                self._advance()

    def _over(self, thread: str) -> None:
        """``thread`` has taken its step: if that was the last of its turn, the next begins."""
        if self._finishing and self._turns[self._next].thread == thread:
            self._advance()

    def _advance(self) -> None:
        self._next += 1
        self._finishing = False
        self._moved = time.monotonic()
        if not self.done:
            self._left = self._turns[self._next].count
        self._changed.notify_all()
