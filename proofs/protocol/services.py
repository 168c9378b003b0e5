"""Contracts of getpages and putpages for their callers: about locks only.

They are what the theorem about the two functions themselves proves (the checks around the
calls in ``model/actors/calls.py``, and what is as at entry when they end).
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    check,
    choose,
    choose_bool,
    fixed,
    int32,
    me,
    mutex_exit,
    mutex_owned,
    routine,
    rw_read_held,
    rw_write_held,
)  # fmt: skip
from ...model.kernel.state import PageArray, Vnode, mount, perthread, uvm
from ...model.kernel.types import EINVAL, PGO, errno, off_t


@routine
def _required(vp: Vnode, depth: int32, held: bool) -> None:
    check("lock-discipline", mutex_owned(vp.interlock), "called without the object lock")
    check("lock-discipline", not mutex_owned(uvm.pageqlock), "called with the queues' lock")
    check("lock-discipline", perthread[me()].fstrans_count == depth, "a wrong depth")
    check(
        "lock-discipline",
        not rw_read_held(vp.g_glock) and rw_write_held(vp.g_glock) == held,
        "called with locks of the file",
    )
    check(
        "lock-discipline",
        not rw_write_held(mount.wl_rwlock)
        and rw_read_held(mount.wl_rwlock) == perthread[me()].in_wapbl,
        "called with the journal's lock",
    )
    check(
        "lock-discipline",
        depth > 0 or not (held or perthread[me()].in_wapbl),
        "in the journal, or with the file's lock, and in no transaction of the mount",
    )


@routine
def call_getpages(
    vp: Vnode,
    off: off_t,
    pgs: PageArray,
    n: int32,
    centre: int32,
    write: bool,
    flags: PGO,
    have_m: bool,
    depth: int32,
    shadow: int32 = 0,
    held: bool = False,
) -> errno:
    """Keeps the object lock only if LOCKED.  Anything may happen to the pages."""
    _required(vp, depth, held)
    check(
        "lock-discipline",
        held == (fixed("glock-held") and bool(flags & PGO.GLOCKHELD)),
        "GLOCKHELD tells the truth",
    )
    check("lock-discipline", not (held and flags & PGO.LOCKED), "LOCKED with the file's glock")
    check(
        "lock-discipline",
        not (held or perthread[me()].in_wapbl) or not write or bool(flags & PGO.NOBLOCKALLOC),
        "allocates blocks with g_glock held, or inside a journal transaction",
    )
    if not (flags & PGO.LOCKED):
        mutex_exit(vp.interlock)
    return EINVAL if choose_bool("fails") else 0


@routine
def call_putpages(
    vp: Vnode,
    low: off_t,
    high: off_t,
    flags: PGO,
    pagedaemon: bool,
    depth: int32,
    locked: bool = False,
) -> errno:
    """Does not keep the object lock."""
    _required(vp, depth, locked)
    check(
        "lock-discipline",
        not perthread[me()].in_wapbl or bool(flags & PGO.JOURNALLOCKED)
        or not (flags & PGO.CLEANIT),
        "opens a journal transaction inside another",
    )
    check("lock-discipline", not (locked and flags & PGO.CLEANIT), "cleans with g_glock held")
    mutex_exit(vp.interlock)
    return choose(64, "result")
