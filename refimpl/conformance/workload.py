"""A thread that makes any calls, in the language of the model: what `stress` logs run through.

Each choice is told by the log (`call` events name the operation and its arguments), so that
one compilation serves every run of a geometry.  It is compiled together with `model/`, and is no
part of it: it chooses, and calls the model's actors.

``slot``: where this thread's flushes are judged.  ``window``: the mapping that stands for the
windows.
"""

from __future__ import annotations

from ...checker.lang.prelude import actor, choose, int32
from ...model.actors.fault import mapped_load, mapped_store, mlock
from ...model.actors.flush import flush
from ...model.actors.fsync import fsync, fsync_range
from ...model.actors.journal import journal_flusher
from ...model.actors.msync import msync
from ...model.actors.pagedaemon import pagedaemon
from ...model.actors.read import read
from ...model.actors.readahead import readahead
from ...model.actors.reclaim import reclaim
from ...model.actors.suspend import suspend
from ...model.actors.syncer import syncer
from ...model.actors.truncate import change
from ...model.actors.write import write
from ...model.kernel.state import Vnode
from ...model.kernel.types import (
    FAULT_SLOTS,
    FILE_PAGES,
    FILE_UNITS,
    MAX_STORES,
    PAGE_SHIFT,
    PGO,
    WAPBL,
    Prot,
    off_t,
)  # fmt: skip


@actor
def mapper(vp: Vnode, slot: int32) -> None:
    """Loads and stores through a mapping, with neighbours, mlock, msync, madvise(DONTNEED)."""
    while True:
        op: int32 = choose(6, "workload operation")
        if op == 0:
            break
        if op == 1 or op == 2:
            unit: off_t = choose(FILE_UNITS, "workload unit")
            page: off_t = unit >> PAGE_SHIFT
            behind: int32 = choose(min(FAULT_SLOTS, page + 1), "workload behind")
            ahead: int32 = choose(min(FAULT_SLOTS - behind, FILE_PAGES - page), "workload ahead")
            if op == 1:
                entry: Prot = Prot.WRITE if choose(2, "workload writable") else Prot.READ
                mapped_load(vp, unit, entry, 0, behind, ahead)
            else:
                store: int32 = choose(MAX_STORES, "workload store")
                mapped_store(vp, unit, store, 0, behind, ahead)
        elif op == 3:
            wired: off_t = choose(FILE_UNITS, "workload unit")
            mlock(vp, wired, Prot.WRITE if choose(2, "workload writable") else Prot.READ)
        elif op == 4:
            low: off_t = choose(FILE_PAGES, "workload page")
            high: off_t = low + 1 + choose(FILE_PAGES - low, "workload more")
            sync: bool = choose(2, "workload sync") != 0
            invalidate: bool = choose(2, "workload invalidate") != 0
            msync(vp, low << PAGE_SHIFT, high << PAGE_SHIFT, sync, invalidate, slot)
        elif op == 5:
            idle: off_t = choose(FILE_PAGES, "workload page")
            flush(vp, idle << PAGE_SHIFT, (idle + 1) << PAGE_SHIFT, PGO.DEACTIVATE)


@actor
def writer(vp: Vnode, window: int32, crossing: off_t, slot: int32) -> None:
    """read(2), write(2), with O_SYNC or without, and readahead."""
    while True:
        op: int32 = choose(4, "workload operation")
        if op == 0:
            break
        if op == 1:
            at: off_t = choose(FILE_UNITS, "workload off")
            read(vp, at, 1 + choose(FILE_UNITS - at, "workload more"), window)
        elif op == 2:
            start: off_t = choose(FILE_UNITS, "workload off")
            length: off_t = 1 + choose(FILE_UNITS - start, "workload more")
            store: int32 = choose(MAX_STORES, "workload store")
            sync: bool = choose(2, "workload sync") != 0
            write(vp, start, length, store, window, sync, crossing, slot, True)
        elif op == 3:
            readahead(vp, choose(FILE_PAGES, "workload page") << PAGE_SHIFT)


@actor
def cutter(vp: Vnode, window: int32) -> None:
    """truncate(2) to any length."""
    while choose(2, "workload operation"):
        change(vp, choose(FILE_UNITS + 1, "workload length"), window, True, True)


@actor
def syncing(vp: Vnode, slot: int32) -> None:
    """fsync(2) of all or a part, the syncer's visits, suspension, the journal's flusher."""
    while True:
        op: int32 = choose(6, "workload operation")
        if op == 0:
            break
        if op == 1:
            fsync(vp, slot)
        elif op == 2:
            low: off_t = choose(FILE_PAGES, "workload page")
            high: off_t = low + 1 + choose(FILE_PAGES - low, "workload more")
            fsync_range(vp, low << PAGE_SHIFT, high << PAGE_SHIFT, slot)
        elif op == 3:
            syncer(vp)
        elif op == 4:
            suspend(vp)
        elif op == 5:
            if WAPBL:
                journal_flusher()


@actor
def revoker(vp: Vnode, slot: int32) -> None:
    """fsync(2), and at last the end of the vnode under those who have it mapped."""
    while True:
        op: int32 = choose(3, "workload operation")
        if op == 0:
            break
        if op == 1:
            fsync(vp, slot)
        elif op == 2:
            reclaim(vp)


@actor
def page_daemon() -> None:
    """The page daemon, as often as the log says."""
    while choose(2, "workload operation"):
        pagedaemon()
