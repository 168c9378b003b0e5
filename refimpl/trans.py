"""Transactions: of the file system as a whole (suspension), and of its journal."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from .hook import At
from .sync import READER, WRITER, Lwp, Machine, RwLock, Want, Word

if TYPE_CHECKING:
    from .faults import Faults
    from .vnode import Vnode

SHARED = "shared"
LAZY = "lazy"
EXCLUSIVE = "exclusive"

NORMAL = "normal"
SUSPENDING = "suspending"
SUSPENDED = "suspended"


class Fstrans:
    """Who is inside the file system; nested starts of a thread only count."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.state = NORMAL
        self._holders = {SHARED: 0, LAZY: 0}

    def start(self, kind: str, at: At) -> None:
        """Begins a transaction, waiting while the state keeps its kind out."""
        lwp = self._machine.curlwp()
        want = Want(self, lambda: self.admitted(lwp, kind), self.describe())
        with self._machine.service("fstrans_start", at, want, type=kind, error=0) as said:
            self._enter(lwp, kind)
            said["count"] = lwp.trans

    def start_nowait(self, kind: str, at: At) -> int:
        """As `start`, or EBUSY where that would wait."""
        lwp = self._machine.curlwp()
        with self._machine.service("fstrans_start", at, type=kind) as said:
            error = 0 if self.admitted(lwp, kind) else errno.EBUSY
            if not error:
                self._enter(lwp, kind)
            said.update(error=error, count=lwp.trans)
        return error

    def done(self, at: At) -> None:
        """Ends the calling thread's innermost transaction."""
        lwp = self._machine.curlwp()
        with self._machine.service("fstrans_done", at) as said:
            self._machine.kassert(lwp.trans > 0, at, "fstrans_done")
            lwp.trans -= 1
            said["count"] = lwp.trans
            if lwp.trans == 0 and lwp.trans_type != EXCLUSIVE:
                self._holders[lwp.trans_type] -= 1
                self._machine.wake(self)

    def admitted(self, lwp: Lwp, kind: str) -> bool:
        """Whether ``lwp`` may begin a transaction of this kind now."""
        if lwp.trans > 0 or self.state == NORMAL:
            return True
        return self.state == SUSPENDING and kind == LAZY

    def setstate(self, state: str, at: At) -> None:
        """Changes the state and waits for those who are inside against it."""
        lwp = self._machine.curlwp()
        if state != NORMAL and lwp.trans == 0:
            lwp.trans, lwp.trans_type = 1, EXCLUSIVE
        with self._machine.service("fstrans_state", at, state=state):
            self.state = state
            self._machine.wake(self)
        if state == NORMAL:
            if lwp.trans_type == EXCLUSIVE:
                self.done(at)
            return
        kind = SHARED if state == SUSPENDING else LAZY
        want = Want(self, lambda: not self._holders[kind], self.describe())
        with self._machine.service("fstrans_drained", at, want, type=kind):
            pass

    def describe(self) -> str:
        return f"the file system, {self.state}, {self._holders[SHARED]} inside"

    def _enter(self, lwp: Lwp, kind: str) -> None:
        if lwp.trans == 0:
            self._holders[kind] += 1
            lwp.trans_type = kind
        lwp.trans += 1


class Wapbl:
    """The journal: open transactions are readers of its lock, a flush is a writer."""

    def __init__(
        self,
        machine: Machine,
        faults: Faults,
        limit: int,
        commit: Callable[[list[Vnode]], int],
    ) -> None:
        self._machine = machine
        self._faults = faults
        self._limit = limit
        self._commit = commit
        self.wl_rwlock = RwLock(machine, "wl_rwlock")
        self.journal_pending = Word(machine, "mount", "journal_pending")
        self._pending: dict[Vnode, None] = {}

    def begin(self, at: At) -> int:
        """Joins the journal; an errno.  Flushes first if much is pending."""
        lwp = self._machine.curlwp()
        with self._machine.service("wapbl_begin", at) as said:
            error = self._faults.hit("journal") or 0
            full = not error and self._full()
            said.update(error=error, full=full)
        if full:
            error = self.flush(False, at)
        if error:
            return error
        self._machine.kassert(not lwp.journal, at, "nested journal transaction")
        self.wl_rwlock.enter(READER, at)
        lwp.journal = True
        return 0

    def end(self, at: At) -> None:
        lwp = self._machine.curlwp()
        self._machine.kassert(lwp.journal, at, "no journal transaction to end")
        self.journal_pending.set(1, at)
        lwp.journal = False
        self.wl_rwlock.exit(at)

    def changed(self, vp: Vnode) -> None:
        """The inode of ``vp`` changed within the calling thread's transaction."""
        self._machine.kassert(self._machine.curlwp().journal, "wapbl", f"{vp} changed outside")
        with self._machine.guard:
            self._pending[vp] = None

    def flush(self, wait: bool, at: At) -> int:
        """Writes what is pending, all or nothing; an errno."""
        if not wait and not self.journal_pending.get(at):
            return 0
        self.wl_rwlock.enter(WRITER, at)
        self.journal_pending.set(0, at)
        with self._machine.guard:
            pending = list(self._pending)
            self._pending.clear()
        error = self._commit(pending) if pending else 0
        if error:
            with self._machine.guard:
                self._pending.update(dict.fromkeys(pending))
            self.journal_pending.set(1, at)
        self.wl_rwlock.exit(at)
        return error

    def _full(self) -> bool:
        if not self.journal_pending.value:
            return False
        return len(self._pending) > self._limit // 2 or bool(self._faults.hit("full"))
