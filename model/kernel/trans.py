"""Transactions: those of the mount (fstrans), and the journal's (WAPBL)."""

from __future__ import annotations

from ...checker.lang.prelude import (
    RW, atomic, check, choose_bool, me, pure, routine, rw_enter, rw_exit, wait_until,
)  # fmt: skip
from .state import faults, mount, perthread
from .types import EBUSY, EIO, FsTrans, Lock, errno


@pure
def _admitted(kind: Lock) -> bool:
    """Inside already, or the mount's state grants this kind."""
    return (
        perthread[me()].fstrans_count > 0
        or mount.fstrans == FsTrans.NORMAL
        or (mount.fstrans == FsTrans.SUSPENDING and kind == Lock.LAZY)
    )


@atomic
def _enter(kind: Lock) -> None:
    if perthread[me()].fstrans_count == 0:
        perthread[me()].fstrans_type = kind
    perthread[me()].fstrans_count += 1


@atomic
def fstrans_start(kind: Lock) -> None:
    """Enter a transaction; a thread that is inside one already only counts."""
    wait_until(_admitted(kind), "fstrans")
    _enter(kind)


@atomic
def fstrans_start_nowait(kind: Lock) -> errno:
    """The same, or EBUSY."""
    if not _admitted(kind):
        return EBUSY
    _enter(kind)
    return 0


@atomic
def fstrans_done() -> None:
    """Leave."""
    check("claim-11-fstrans", perthread[me()].fstrans_count > 0, "leaves no transaction")
    perthread[me()].fstrans_count -= 1
    if perthread[me()].fstrans_count == 0:
        perthread[me()].fstrans_type = Lock.LAZY


@pure
def _drained(kind: Lock) -> bool:
    """Is nobody inside a transaction that began as this kind?"""
    return all(p.fstrans_count == 0 or p.fstrans_type != kind for p in perthread)


@atomic
def _announce(state: FsTrans) -> None:
    mount.fstrans = state


@routine
def fstrans_setstate(state: FsTrans) -> None:
    """Keep new holders out and wait for the others: SHARED, then LAZY too; or let all in."""
    _announce(state)
    if state == FsTrans.SUSPENDING:
        wait_until(_drained(Lock.SHARED), "fstrans holders (SHARED)")
    if state == FsTrans.SUSPENDED:
        wait_until(_drained(Lock.LAZY), "fstrans holders (LAZY)")


# ---------------------------------------------------------------------- the journal


@routine
def wapbl_flush(wait: bool) -> None:
    """Write the journal, as the one writer of its lock: no transaction is open meanwhile."""
    if not wait and not mount.journal_pending:
        return
    rw_enter(mount.wl_rwlock, RW.WRITER)
    mount.journal_pending = False
    rw_exit(mount.wl_rwlock)


@atomic
def _journal_fails() -> bool:
    if faults.journal_error > 0 and choose_bool("journal error"):
        faults.journal_error -= 1
        return True
    return False


@atomic
def _journal_full() -> bool:
    """Are the pending buffers beyond the threshold?"""
    if mount.journal_pending and faults.journal_full > 0 and choose_bool("journal full"):
        faults.journal_full -= 1
        return True
    return False


@routine
def WAPBL_BEGIN() -> errno:
    """Open a transaction: the journal's lock as reader, after a flush if it is full."""
    if _journal_fails():
        return EIO
    if _journal_full():
        wapbl_flush(False)
    check("claim-11-wapbl", not perthread[me()].in_wapbl, "journal transactions do not nest")
    rw_enter(mount.wl_rwlock, RW.READER)
    perthread[me()].in_wapbl = True
    return 0


@atomic
def _pend() -> None:
    mount.journal_pending = True


@routine
def WAPBL_END() -> None:
    """Close it; what it changed waits for the next flush."""
    _pend()
    perthread[me()].in_wapbl = False
    rw_exit(mount.wl_rwlock)
