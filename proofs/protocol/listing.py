"""What the routines of theorem ``protocol-dirty-implies-listed`` run in the place of others.

``pte[0]`` is the strongest entry that any mapping has of the page, however many there are: a
new entry may or may not be the strongest, and a user's own entry may be weaker than that
(``tests/proofs/protocol/test_listed.py`` compares these with the model's own on every case of
two mappings).  Data, and what a user may see, are not followed.

Then the routines that have contracts (``listed_contracts.py``), with the arguments that these
speak of; ``listing_subjects.py`` calls the model's own between what is required and ensured.
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
from ...model.kernel.state import Buf, Kva, Page, PageArray, PageOrMarker, Vnode
from ...model.kernel.types import (
    PAGE_SHIFT,
    PGO,
    UFP,
    Prot,
    errno,
    off_t,
    size_t,
    token,
)


@atomic
def pmap_enter(pg: Page, m: int32, prot: Prot) -> None:
    """A writable entry is the strongest; another may leave the strongest as it was."""
    if prot == Prot.WRITE or choose_bool("the strongest entry of the page"):
        pg.pte[0] = prot


@atomic
def user_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """A store through an entry that is no stronger than the strongest."""
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[0] != Prot.WRITE or choose_bool("its own entry is weaker"):
        return False
    pg.modified = True
    return True


@atomic
def window_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """The same, through a window."""
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[0] != Prot.WRITE or choose_bool("its own entry is weaker"):
        return False
    pg.modified = True
    return True


@atomic
def user_load(vp: Vnode, u: off_t, m: int32) -> bool:
    """A load changes nothing here."""
    return choose_bool("mapped")


# ------------------------------------------------------------------------ contracts


@atomic
def number(which: int32) -> int32:
    """Any number."""
    return choose(which, "number") - choose(which, "less")


@pure
def finds(which: int32, flags: UFP) -> bool:
    return which == int(bool(flags & UFP.NOWAIT))


@routine
def uvn_findpages(
    vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP
) -> tuple[int32, int32]:
    which: int32 = choose(2, "which")
    check("call", finds(which, flags), "uvn_findpages")
    return number(which), number(which)


@pure
def starts(
    which: int32, pgs: PgsArray, startoffset: off_t, write: bool, blockalloc: bool
) -> bool:
    return (
        pgs[which] is NULL
        or which == startoffset
        or which == int(write)
        or which == int(blockalloc)
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
    check("call", starts(which, pgs, startoffset, write, blockalloc), "_read_loop")
    return number(which), number(which), choose_bool("sawhole"), choose_bool("started")


@pure
def fills(
    which: int32, startoffset: off_t, write: bool, blockalloc: bool, async_: bool, error: errno
) -> bool:
    return (
        which == startoffset
        or which == int(write)
        or which == int(blockalloc)
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
    check("call", fills(which, startoffset, write, blockalloc, async_, error), "_io")
    return error


@pure
def gets(which: int32, write: bool, flags: PGO, error: errno) -> bool:
    return (
        which == int(write)
        or which == int(bool(flags & PGO.LOCKED))
        or which == int(bool(flags & PGO.SYNCIO))
        or which == int(bool(flags & PGO.OVERWRITE))
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
    check("call", gets(which, write, flags, error), "call_getpages")
    return error


@pure
def gathers(which: int32, pg: PageOrMarker) -> bool:
    return which == cast(int32, pg)


@routine
def _cluster(vp: Vnode, pgs: Cluster, pg: PageOrMarker, off: off_t) -> tuple[int32, int32]:
    which: int32 = choose(2, "which")
    check("call", gathers(which, pg), "_cluster")
    return number(which), number(which)


@pure
def nothing(which: int32) -> bool:
    return which == 0


@routine
def genfs_gop_write(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "genfs_gop_write")
    return number(which)


@routine
def genfs_gop_write_rwmap(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> errno:
    which: int32 = choose(2, "which")
    check("call", nothing(which), "genfs_gop_write_rwmap")
    return number(which)


@pure
def scans(
    which: int32, startoff: off_t, endoff: off_t, flags: PGO, origflags: PGO, pagedaemon: bool
) -> bool:  # fmt: skip
    return (
        which == startoff
        or which == endoff
        or which == int(bool(flags & PGO.CLEANIT))
        or which == int(bool(origflags & PGO.CLEANIT))
        or which == int(pagedaemon)
    )


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
    check("call", scans(which, startoff, endoff, flags, origflags, pagedaemon), "_scan")
    return number(which), choose_bool("wasclean")


@pure
def puts(which: int32, high: off_t, flags: PGO, pagedaemon: bool) -> bool:
    return (
        which == high
        or which == int(bool(flags & PGO.ALLPAGES))
        or which == int(pagedaemon)
    )


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
    check("call", puts(which, high, flags, pagedaemon), "call_putpages")
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
