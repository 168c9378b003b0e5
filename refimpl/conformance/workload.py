"""A thread that makes any calls, in the language of the model: what `stress` logs run through.

Each choice is told by the log (`call` events name the operation and its arguments), so that
one compilation serves every run of a geometry.  It is compiled together with `model/`, and is no
part of it.
"""

from __future__ import annotations

from ...checker.lang.prelude import RW, actor, choose, int32, routine, rw_enter, rw_exit
from ...model.actors.fault import mapped_load, mapped_store
from ...model.actors.flush import flush
from ...model.actors.fsync import fsync, fsync_range
from ...model.actors.journal import journal_flusher
from ...model.actors.msync import msync
from ...model.actors.pagedaemon import pagedaemon
from ...model.actors.read import read
from ...model.actors.readahead import readahead
from ...model.actors.suspend import suspend
from ...model.actors.syncer import syncer
from ...model.actors.truncate import _grow, shrink
from ...model.actors.write import write
from ...model.kernel.state import Vnode
from ...model.kernel.trans import WAPBL_BEGIN, WAPBL_END, fstrans_done, fstrans_start
from ...model.kernel.types import (
    FILE_PAGES,
    FILE_UNITS,
    MAX_STORES,
    PAGE_SHIFT,
    PGO,
    WAPBL,
    Lock,
    Prot,
    errno,
    off_t,
)  # fmt: skip


@routine
def _resize(vp: Vnode, length: off_t, window: int32) -> None:
    """truncate(2), which learns under the vnode lock whether that is to shrink or to extend."""
    rw_enter(vp.v_lock, RW.WRITER)
    fstrans_start(Lock.SHARED)
    error: errno = 0
    if WAPBL:
        error = WAPBL_BEGIN()
    if error == 0:
        if length > vp.v_size:
            _grow(vp, length, 1)
        elif length < vp.v_size:
            shrink(vp, length, window, 1)
        if WAPBL:
            WAPBL_END()
    fstrans_done()
    rw_exit(vp.v_lock)


@actor
def mapper(vp: Vnode, slot: int32) -> None:
    """Loads and stores through a mapping, msync, madvise; until a call is none.

    ``slot``: where this thread's flushes are judged.
    """
    while True:
        op: int32 = choose(6, "workload operation")
        if op == 0:
            break
        if op == 1:
            mapped_load(vp, choose(FILE_UNITS, "workload unit"), Prot.READ)
        elif op == 2:
            mapped_load(vp, choose(FILE_UNITS, "workload unit"), Prot.WRITE)
        elif op == 3:
            mapped_store(
                vp, choose(FILE_UNITS, "workload unit"), choose(MAX_STORES, "workload store")
            )
        elif op == 4:
            low: off_t = choose(FILE_PAGES, "workload page")
            high: off_t = low + 1 + choose(FILE_PAGES - low, "workload more")
            msync(vp, low << PAGE_SHIFT, high << PAGE_SHIFT, True, False, slot)
        elif op == 5:
            page: off_t = choose(FILE_PAGES, "workload page")
            flush(vp, page << PAGE_SHIFT, (page + 1) << PAGE_SHIFT, PGO.DEACTIVATE)


@actor
def writer(vp: Vnode, window: int32, slot: int32) -> None:
    """read(2), write(2) and readahead."""
    while True:
        op: int32 = choose(4, "workload operation")
        if op == 0:
            break
        if op == 1:
            at: off_t = choose(FILE_UNITS, "workload off")
            read(vp, at, 1 + choose(FILE_UNITS - at, "workload more"), window)
        elif op == 2:
            start: off_t = choose(FILE_UNITS, "workload off")
            write(
                vp, start, 1 + choose(FILE_UNITS - start, "workload more"),
                choose(MAX_STORES, "workload store"), window, False, 0, slot, True,
            )  # fmt: skip
        elif op == 3:
            readahead(vp, choose(FILE_PAGES, "workload page") << PAGE_SHIFT)


@actor
def cutter(vp: Vnode, window: int32) -> None:
    """truncate(2) to any length."""
    while choose(2, "workload operation"):
        _resize(vp, choose(FILE_UNITS + 1, "workload length"), window)


@actor
def syncing(vp: Vnode, slot: int32) -> None:
    """fsync(2) of all or a part, the syncer's visits, the journal, suspension."""
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
def page_daemon() -> None:
    """The page daemon, as often as the log says."""
    while choose(2, "workload operation"):
        pagedaemon()
