"""The one hook: called at every step on shared state that an observer could tell apart.

A machine has one hook or none.  A step of a thread is announced twice:

- ``before(lwp, kind, at)``, while nothing of the step has happened: a hook may wait here;
- ``took(lwp, kind, at, values)``, at the step's atomic point, under the lock that protects
  what it reports: a hook may only note it.  The order of these calls is therefore an
  order in which the steps happened.

Only a ``result``, which nobody but its thread sees, is no step: it has no ``before``.

``kind`` is one of `KINDS`.  ``at`` is a line of genfs_io.c 1.18, or the name of a routine of
the surrounding kernel.  A service of that kernel is one step, whatever it does.
"""

from __future__ import annotations

import random
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .sync import Lwp

At = int | str

KINDS: Mapping[str, str] = {
    "load": "one word of shared memory was read: of, field, value",
    "store": "one word of shared memory was written: of, field, value",
    "mutex_enter": "a mutex was acquired: lock",
    "mutex_tryenter": "an attempt to acquire a mutex: lock, got",
    "mutex_exit": "a mutex was released: lock",
    "rw_enter": "a reader/writer lock is the thread's, perhaps handed to it: lock, mode",
    "rw_wait": "a thread queued for a reader/writer lock: lock, mode",
    "rw_tryenter": "an attempt to acquire a reader/writer lock: lock, mode, got",
    "rw_exit": "a reader/writer lock was released, and handed over: lock, to",
    "sleep": "a mutex was released and the thread sleeps: chan, lock",
    "wakeup": "every sleeper of a channel was made runnable: chan",
    "page_insert": "a page, if there was one, was given to an object: page, uobj, offset",
    "page_free": "a page was taken from its object: page",
    "unbusy": "pages were let go: pages, freed",
    "memory": "a thread that waited for memory saw a free page",
    "queue": "a page changed its place in the queues of replacement: page, queue",
    "pageout": "pages more, or less, are being paged out: count",
    "list": "a marker entered or left an object's list of pages: op",
    "pmap_enter": "a page was mapped: page, pmap, writable",
    "pmap_protect": "rights of a page's mappings were taken away: page, prot",
    "pmap_clear_modify": "a modified bit was read and cleared: page, was",
    "pmap_is_modified": "a modified bit was read: page, was",
    "user_load": "bytes were read through a mapping, or it faults: pmap, offset, length, ok, data",
    "user_store": "bytes were written through a mapping, or it faults: pmap, offset, length, ok, "
    "data",
    "page_store": "bytes of a page that its owner may change were set: page, offset, length, data",
    "fill": "bytes of pages under transfer were zeroed: pages, offset, length",
    "kva_alloc": "pages were mapped for the pager: window, pages",
    "kva_free": "a pager window was given back: window, pages",
    "heap_alloc": "an array of pages was wanted from the heap: size, got",
    "heap_free": "an array of pages was freed: size",
    "getiobuf": "a buffer was taken: buf",
    "putiobuf": "a buffer was given back: buf",
    "nestiobuf_setup": "a buffer became a part of another: master, buf, offset, count",
    "nestiobuf_done": "so much of a buffer needs no transfer: buf, count, error, done",
    "strategy": "a transfer was submitted: buf, write, blkno, count, refused",
    "transfer": "a transfer happened on the device: buf, write, blkno, count, error, data",
    "biodone": "a transfer was completed: buf, error, done",
    "biowait": "a thread has waited for a buffer: buf, error",
    "aio_biodone": "a buffer was queued for the completion thread: buf",
    "aiodone": "the completion thread took a buffer: buf, error",
    "vwakeup": "a vnode has one output less: vp, left",
    "bmap": "a block of a file was looked up: vp, lbn, blkno, run, error",
    "block_alloc": "a block was wanted for a file: vp, lbn, block, error",
    "block_free": "a block was taken from a file: vp, lbn, block",
    "fstrans_start": "a file system transaction began, or was refused: type, count, error",
    "fstrans_done": "a file system transaction ended: count",
    "fstrans_state": "the file system's state changed: state",
    "vnode_drained": "nobody but who reclaims a vnode is in one of its operations: vp",
    "fstrans_drained": "nobody is inside against the file system's state: type",
    "wapbl_begin": "a journal transaction was asked for: error, full",
    "worklist": "a vnode was put on the syncer's list or taken off: vp, on",
    "should_yield": "a long scan looked whether it should let others run: yes",
    "metadata": "the vnode's dirty metadata buffers were written: vp",
    "result": "a call within the kernel returns; no step of its own: of, error, count",
    "call": "an operation of a user began: op, vp",
    "return": "an operation of a user ended: op, vp, error, count",
}


def digest(data: bytes | bytearray | memoryview) -> str:
    """What a log keeps of bytes: the CRC-32 of each 512 of them, in hexadecimal."""
    parts = [data[start : start + 512] for start in range(0, len(data), 512)]
    return "".join(f"{zlib.crc32(part):08x}" for part in parts)


class Wanted(Protocol):
    """What a step needs before it can happen: a lock, or a `threads.Want`."""

    def ready(self) -> bool: ...

    def why(self, at: At) -> str: ...


class Hook:
    """The empty hook: what one derives from.  (`Machine.hook = None` costs less.)"""

    timeless = False  # whether waits end when the hook says so, and never because time passes

    def before(self, lwp: Lwp, kind: str, at: At, want: Wanted | None = None) -> None:
        """``lwp`` is about to take a step; it will wait unless ``want`` is ready."""

    def took(self, lwp: Lwp, kind: str, at: At, values: Mapping[str, object]) -> None:
        """``lwp`` took the step; the machine's guard is held, so nothing may wait here."""

    def parked(self, lwp: Lwp) -> None:
        """``lwp`` stops running until somebody makes it runnable."""

    def unparked(self, lwp: Lwp) -> None:
        """``lwp`` runs again, or will as soon as it may; the guard is held."""

    def resumed(self, lwp: Lwp) -> None:
        """``lwp`` is about to go on after it was parked; it may be kept waiting here."""

    def started(self, lwp: Lwp) -> None:
        """A thread of the machine begins."""

    def ended(self, lwp: Lwp) -> None:
        """A thread takes no more steps."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def pick(self, lwp: Lwp, label: str, count: int, default: int) -> int:
        """One of ``count`` possibilities that only chance decides between."""
        return default


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

    def before(self, lwp: Lwp, kind: str, at: At, want: Wanted | None = None) -> None:
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

    def before(self, lwp: Lwp, kind: str, at: At, want: Wanted | None = None) -> None:
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
