"""What callers run in the place of a routine that has a contract (``contracts.py``).

Each lists the arguments and results for the contract, which says what is required and what
has happened.  The lists are shared with ``subjects.py``, where the routines are held to it.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL,
    atomic,
    cast,
    check,
    choose,
    choose_bool,
    int32,
    pure,
    routine,
)
from ...model.genfs.constants import Cluster, PgsArray
from ...model.kernel.state import Buf, Kva, PageArray, PageOrMarker, Vnode
from ...model.kernel.types import PGO, UFP, Prot, errno, off_t, size_t, token


@atomic
def number(which: int32) -> int32:
    """Any number: of a choice with bounds that are not constant nothing is known."""
    return choose(which, "number") - choose(which, "less")


# ------------------------------------------------------------------ finding, giving back


@pure
def finds(
    which: int32, n: int32, flags: UFP, pgs: PageArray, slots: int32
) -> bool:
    return (
        which == n
        or which == int(bool(flags & UFP.NOALLOC))
        or which == int(bool(flags & UFP.NOWAIT))
        or which == int(bool(flags & UFP.DIRTYONLY))
        or which == int(bool(flags & UFP.BACKWARD))
        or pgs[which] is NULL
        or which == slots
    )


@routine
def uvn_findpages(
    vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP
) -> tuple[int32, int32]:
    which: int32 = choose(2, "which")
    found: int32 = number(which)
    slots: int32 = number(which)
    check("call", finds(which, n, flags, pgs, slots), "uvn_findpages")
    return found, slots


@pure
def gives_back(which: int32, pgs: PgsArray, npages: int32) -> bool:
    return pgs[which] is NULL or which == npages


@routine
def genfs_rel_pages(pgs: PgsArray, npages: int32) -> None:
    which: int32 = choose(2, "which")
    check("call", gives_back(which, pgs, npages), "genfs_rel_pages")


# ----------------------------------------------------------------------------- getpages


@pure
def looks(which: int32, a_m: PageArray, a_count: int32) -> bool:
    return a_m[which] is NULL or which == a_count


@routine
def _locked(
    vp: Vnode, origoffset: off_t, a_m: PageArray, a_count: int32, a_centeridx: int32, write: bool
) -> errno:
    which: int32 = choose(2, "which")
    check("call", looks(which, a_m, a_count), "_locked")
    return number(which)


@pure
def fills(
    which: int32, pgs: PgsArray, npages: int32, startoffset: off_t, diskeof: off_t, async_: bool,
    error: errno,
) -> bool:  # fmt: skip
    return (
        pgs[which] is NULL
        or which == npages
        or which == startoffset
        or which == diskeof
        or which == int(async_)
        or which == error
    )


@routine
def _io(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    diskeof: off_t,
    write: bool,
    blockalloc: bool,
    async_: bool,
    glock_held: bool,
) -> errno:
    which: int32 = choose(2, "which")
    error: errno = number(which)
    check("call", fills(which, pgs, npages, startoffset, diskeof, async_, error), "_io")
    return error


@pure
def starts(
    which: int32, pgs: PgsArray, npages: int32, bytes_: size_t, mbp: Buf, skipbytes: size_t,
    started: bool,
) -> bool:  # fmt: skip
    return (
        pgs[which] is NULL
        or which == npages
        or which == bytes_
        or which == cast(int32, mbp)
        or which == skipbytes
        or which == int(started)
    )


@routine
def _read_loop(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    bytes_: size_t,
    kva: Kva,
    mbp: Buf,
    write: bool,
    blockalloc: bool,
) -> tuple[errno, size_t, bool, bool]:
    which: int32 = choose(2, "which")
    skipbytes: size_t = number(which)
    started: bool = choose_bool("started")
    check("call", starts(which, pgs, npages, bytes_, mbp, skipbytes, started), "_read_loop")
    return number(which), skipbytes, choose_bool("sawhole"), started


@pure
def releases(
    which: int32, pgs: PgsArray, npages: int32, ridx: int32, orignpages: int32, a_m: PageArray,
    overwrite: bool, async_: bool, have_m: bool,
) -> bool:  # fmt: skip
    return (
        pgs[which] is NULL
        or which == npages
        or which == ridx
        or which == orignpages
        or a_m[which] is NULL
        or which == int(overwrite)
        or which == int(async_)
        or which == int(have_m)
    )


@routine
def _release(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    ridx: int32,
    orignpages: int32,
    a_m: PageArray,
    write: bool,
    blockalloc: bool,
    overwrite: bool,
    async_: bool,
    have_m: bool,
) -> None:
    which: int32 = choose(2, "which")
    check(
        "call",
        releases(which, pgs, npages, ridx, orignpages, a_m, overwrite, async_, have_m),
        "_release",
    )


@pure
def gets(
    which: int32, pgs: PageArray, n: int32, flags: PGO, have_m: bool, error: errno
) -> bool:
    return (
        pgs[which] is NULL
        or which == n
        or which == int(bool(flags & PGO.LOCKED))
        or which == int(bool(flags & PGO.SYNCIO))
        or which == int(bool(flags & PGO.OVERWRITE))
        or which == int(have_m)
        or which == error
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
    which: int32 = choose(2, "which")
    error: errno = number(which)
    check("call", gets(which, pgs, n, flags, have_m, error), "call_getpages")
    return error


# ----------------------------------------------------------------------------- putpages


@pure
def gathers(
    which: int32, pgs: Cluster, pg: PageOrMarker, off: off_t, npages: int32, nback: int32
) -> bool:
    return (
        pgs[which] is NULL
        or which == cast(int32, pg)
        or which == off
        or which == npages
        or which == nback
    )


@routine
def _cluster(vp: Vnode, pgs: Cluster, pg: PageOrMarker, off: off_t) -> tuple[int32, int32]:
    which: int32 = choose(2, "which")
    npages: int32 = number(which)
    nback: int32 = number(which)
    check("call", gathers(which, pgs, pg, off, npages, nback), "_cluster")
    return npages, nback


@pure
def writes(which: int32, pgs: Cluster, npages: int32) -> bool:
    return pgs[which] is NULL or which == npages


@routine
def genfs_gop_write(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    which: int32 = choose(2, "which")
    check("call", writes(which, pgs, npages), "genfs_gop_write")
    return number(which)


@routine
def genfs_gop_write_rwmap(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    which: int32 = choose(2, "which")
    check("call", writes(which, pgs, npages), "genfs_gop_write_rwmap")
    return number(which)


@pure
def nothing(which: int32) -> bool:
    return which == 0


@routine
def _scan(
    vp: Vnode,
    startoff: off_t,
    endoff: off_t,
    flags: PGO,
    origflags: PGO,
    by_list: bool,
    wasclean: bool,
    pagedaemon: bool,
) -> tuple[errno, bool]:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "_scan")
    return number(which), choose_bool("wasclean")


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
    which: int32 = choose(2, "which")
    check("call", nothing(which), "call_putpages")
    return number(which)


# ------------------------------------------------------------------------- its callers


@routine
def fault(
    vp: Vnode,
    unit: off_t,
    mapping: int32,
    write: bool,
    entry: Prot,
    behind: int32,
    ahead: int32,
    shadow: int32,
    readahead: int32,
    wire: bool,
) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "fault")
    return number(which)


@routine
def ubc_fault(
    vp: Vnode, off: off_t, window: int32, write: bool, low: off_t, high: off_t, depth: int32
) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "ubc_fault")
    return number(which)


@routine
def copy_over(vp: Vnode, off: off_t, end: off_t, value: token, depth: int32) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "copy_over")
    return number(which)


@routine
def ufs_balloc_range(vp: Vnode, off: off_t, length: off_t, depth: int32) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "ufs_balloc_range")
    return number(which)
