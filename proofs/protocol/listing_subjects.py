"""The routines that have contracts about the list, each between what it requires and ensures."""

from __future__ import annotations

from ...checker.lang.prelude import check, choose, int32, routine
from ...model.actors.calls import call_getpages, call_putpages
from ...model.genfs.constants import Cluster, PgsArray
from ...model.genfs.getpages import _io, _read_loop
from ...model.genfs.gop_write import genfs_gop_write, genfs_gop_write_rwmap
from ...model.genfs.putpages import _cluster, _scan
from ...model.kernel.pages import uvn_findpages
from ...model.kernel.state import Buf, Kva, PageArray, PageOrMarker, Vnode
from ...model.kernel.types import PGO, UFP, errno, off_t, size_t
from .listing import fills, finds, gathers, gets, nothing, puts, scans, starts


@routine
def listed_findpages(vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP) -> None:
    which: int32 = choose(2, "which")
    check("requires", finds(which, flags), "uvn_findpages")
    uvn_findpages(vp, off, n, pgs, flags)
    check("ensures", finds(which, flags), "uvn_findpages")


@routine
def listed_read_loop(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    bytes_: size_t,
    kva: Kva,
    mbp: Buf,
    write: bool,
    blockalloc: bool,
) -> None:
    which: int32 = choose(2, "which")
    check("requires", starts(which, pgs, startoffset, write, blockalloc), "_read_loop")
    _read_loop(vp, pgs, npages, startoffset, bytes_, kva, mbp, write, blockalloc)
    check("ensures", starts(which, pgs, startoffset, write, blockalloc), "_read_loop")


@routine
def listed_io(
    vp: Vnode,
    pgs: PgsArray,
    npages: int32,
    startoffset: off_t,
    diskeof: off_t,
    write: bool,
    blockalloc: bool,
    async_: bool,
    glock_held: bool,
) -> None:
    which: int32 = choose(2, "which")
    error: errno = 0
    check("requires", fills(which, startoffset, write, blockalloc, async_, error), "_io")
    error = _io(vp, pgs, npages, startoffset, diskeof, write, blockalloc, async_, glock_held)
    check("ensures", fills(which, startoffset, write, blockalloc, async_, error), "_io")


@routine
def listed_getpages(
    vp: Vnode,
    off: off_t,
    pgs: PageArray,
    n: int32,
    centre: int32,
    write: bool,
    flags: PGO,
    have_m: bool,
    depth: int32,
    shadow: int32,
    held: bool,
) -> None:
    which: int32 = choose(2, "which")
    error: errno = 0
    check("requires", gets(which, write, flags, error), "call_getpages")
    error = call_getpages(vp, off, pgs, n, centre, write, flags, have_m, depth, shadow, held)
    check("ensures", gets(which, write, flags, error), "call_getpages")


@routine
def listed_cluster(vp: Vnode, pgs: Cluster, pg: PageOrMarker, off: off_t) -> None:
    which: int32 = choose(2, "which")
    check("requires", gathers(which, pg), "_cluster")
    _cluster(vp, pgs, pg, off)
    check("ensures", gathers(which, pg), "_cluster")


@routine
def listed_gop_write(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "genfs_gop_write")
    genfs_gop_write(vp, pgs, npages, flags, pagedaemon)
    check("ensures", nothing(which), "genfs_gop_write")


@routine
def listed_gop_write_rwmap(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "genfs_gop_write_rwmap")
    genfs_gop_write_rwmap(vp, pgs, npages, flags, pagedaemon)
    check("ensures", nothing(which), "genfs_gop_write_rwmap")


@routine
def listed_scan(
    vp: Vnode,
    startoff: off_t,
    endoff: off_t,
    flags: PGO,
    origflags: PGO,
    by_list: bool,
    wasclean: bool,
    pagedaemon: bool,
) -> None:
    which: int32 = choose(2, "which")
    check("requires", scans(which, startoff, endoff, flags, origflags, pagedaemon), "_scan")
    _scan(vp, startoff, endoff, flags, origflags, by_list, wasclean, pagedaemon)
    check("ensures", scans(which, startoff, endoff, flags, origflags, pagedaemon), "_scan")


@routine
def listed_putpages(
    vp: Vnode,
    low: off_t,
    high: off_t,
    flags: PGO,
    pagedaemon: bool,
    depth: int32,
    locked: bool,
) -> None:
    which: int32 = choose(2, "which")
    check("requires", puts(which, high, flags, pagedaemon), "call_putpages")
    call_putpages(vp, low, high, flags, pagedaemon, depth, locked)
    check("ensures", puts(which, high, flags, pagedaemon), "call_putpages")
