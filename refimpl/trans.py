"""Transactions: of the file system as a whole (suspension), and of its journal."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from .hook import At
from .sync import READER, WRITER, Machine, Mutex, RwLock

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
        self._lock = Mutex(machine, "fstrans")
        self.state = NORMAL
        self._holders = {SHARED: 0, LAZY: 0}

    def start(self, kind: str, at: At) -> None:
        """Begins a transaction, waiting while the state keeps its kind out."""
        self._start(kind, at, wait=True)

    def start_nowait(self, kind: str, at: At) -> int:
        """As `start`, or EBUSY where that would wait."""
        return 0 if self._start(kind, at, wait=False) else errno.EBUSY

    def _start(self, kind: str, at: At, wait: bool) -> bool:
        lwp = self._machine.curlwp()
        if lwp.trans == 0:
            self._lock.enter(at)
            while not self._granted(kind):
                if not wait:
                    self._lock.exit(at)
                    return False
                self._machine.sleep(self, self._lock, at)
                self._lock.enter(at)
            self._holders[kind] += 1
            lwp.trans_type = kind
            self._lock.exit(at)
        lwp.trans += 1
        self._machine.step("fstrans_start", at, type=kind, count=lwp.trans)
        return True

    def done(self, at: At) -> None:
        """Ends the calling thread's innermost transaction."""
        lwp = self._machine.curlwp()
        self._machine.kassert(lwp.trans > 0, at, "fstrans_done")
        lwp.trans -= 1
        self._machine.step("fstrans_done", at, count=lwp.trans)
        if lwp.trans == 0 and lwp.trans_type != EXCLUSIVE:
            self._lock.enter(at)
            self._holders[lwp.trans_type] -= 1
            self._machine.wakeup(self, at)
            self._lock.exit(at)

    def setstate(self, state: str, at: At) -> None:
        """Changes the state and waits for those who are inside against it."""
        lwp = self._machine.curlwp()
        self._lock.enter(at)
        self.state = state
        self._machine.step("fstrans_state", at, state=state)
        if state == NORMAL:
            lwp.trans = 0
            self._machine.wakeup(self, at)
        else:
            lwp.trans, lwp.trans_type = 1, EXCLUSIVE
            kind = SHARED if state == SUSPENDING else LAZY
            while self._holders[kind]:
                self._machine.sleep(self, self._lock, at)
                self._lock.enter(at)
        self._lock.exit(at)

    def describe(self) -> str:
        return f"the file system, {self.state}, {self._holders[SHARED]} inside"

    def _granted(self, kind: str) -> bool:
        return self.state == NORMAL or (self.state == SUSPENDING and kind == LAZY)


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
        self._mtx = Mutex(machine, "wl_mtx")
        self._pending: dict[Vnode, None] = {}

    def begin(self, at: At) -> int:
        """Joins the journal; an errno.  Flushes first if much is pending."""
        lwp = self._machine.curlwp()
        self._machine.kassert(not lwp.journal, at, "nested journal transaction")
        error = self._faults.hit("journal")
        if error:
            return error
        if len(self._pending) > self._limit // 2:
            error = self.flush(False, at)
            if error:
                return error
        self.wl_rwlock.enter(READER, at)
        lwp.journal = True
        self._machine.step("wapbl_begin", at)
        return 0

    def end(self, at: At) -> None:
        lwp = self._machine.curlwp()
        self._machine.kassert(lwp.journal, at, "no journal transaction to end")
        lwp.journal = False
        self._machine.step("wapbl_end", at)
        self.wl_rwlock.exit(at)

    def changed(self, vp: Vnode) -> None:
        """The inode of ``vp`` changed within the calling thread's transaction."""
        self._machine.kassert(self._machine.curlwp().journal, "wapbl", f"{vp} changed outside")
        self._mtx.enter("wapbl")
        self._pending[vp] = None
        self._mtx.exit("wapbl")

    def flush(self, wait: bool, at: At) -> int:
        """Writes what is pending, all or nothing; an errno."""
        if not self._pending and not wait:
            return 0
        self.wl_rwlock.enter(WRITER, at)
        self._mtx.enter(at)
        pending = list(self._pending)
        self._pending.clear()
        self._mtx.exit(at)
        error = self._commit(pending) if pending else 0
        if error:
            self._mtx.enter(at)
            self._pending.update(dict.fromkeys(pending))
            self._mtx.exit(at)
        self.wl_rwlock.exit(at)
        return error
