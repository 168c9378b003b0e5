"""The routines that have contracts, each called once between what it requires and ensures."""

from __future__ import annotations

from ...checker.lang.prelude import check, choose, int32, routine
from ...model.actors.calls import call_getpages, call_putpages
from ...model.actors.fault import fault
from ...model.actors.sizes import ufs_balloc_range
from ...model.actors.ubc import copy_over, ubc_fault
from ...model.genfs.constants import Cluster, PgsArray
from ...model.genfs.getpages import _io, _locked, _read_loop, _release
from ...model.genfs.gop_write import genfs_gop_write, genfs_gop_write_rwmap
from ...model.genfs.putpages import _cluster, _scan
from ...model.genfs.rel_pages import genfs_rel_pages
from ...model.kernel.buf import aiodone
from ...model.kernel.pages import uvn_findpages
from ...model.kernel.state import Buf, Kva, PageArray, PageOrMarker, Vnode
from ...model.kernel.types import PGO, UFP, Prot, errno, off_t, size_t, token
from .summaries import (
    fills,
    finds,
    gathers,
    gets,
    gives_back,
    looks,
    nothing,
    releases,
    starts,
    writes,
)  # fmt: skip


@routine
def of_uvn_findpages(vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP) -> None:
    which: int32 = choose(2, "which")
    many: int32 = 0
    slots: int32 = 0
    check("requires", finds(which, n, flags, pgs, slots), "uvn_findpages")
    many, slots = uvn_findpages(vp, off, n, pgs, flags)
    check("ensures", finds(which, n, flags, pgs, slots), "uvn_findpages")


@routine
def of_genfs_rel_pages(pgs: PgsArray, npages: int32) -> None:
    which: int32 = choose(2, "which")
    check("requires", gives_back(which, pgs, npages), "genfs_rel_pages")
    genfs_rel_pages(pgs, npages)
    check("ensures", gives_back(which, pgs, npages), "genfs_rel_pages")


@routine
def of_locked(
    vp: Vnode, origoffset: off_t, a_m: PageArray, a_count: int32, a_centeridx: int32, write: bool
) -> None:
    which: int32 = choose(2, "which")
    check("requires", looks(which, a_m, a_count), "_locked")
    _locked(vp, origoffset, a_m, a_count, a_centeridx, write)
    check("ensures", looks(which, a_m, a_count), "_locked")


@routine
def of_io(
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
    check("requires", fills(which, pgs, npages, startoffset, diskeof, async_, error), "_io")
    error = _io(
        vp, pgs, npages, startoffset, diskeof, write, blockalloc, async_, glock_held
    )
    check("ensures", fills(which, pgs, npages, startoffset, diskeof, async_, error), "_io")


@routine
def of_read_loop(
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
    error: errno = 0
    skipbytes: size_t = 0
    sawhole: bool = False
    started: bool = False
    check("requires", starts(which, pgs, npages, bytes_, mbp, skipbytes, started), "_read_loop")
    error, skipbytes, sawhole, started = _read_loop(
        vp, pgs, npages, startoffset, bytes_, kva, mbp, write, blockalloc
    )
    check("ensures", starts(which, pgs, npages, bytes_, mbp, skipbytes, started), "_read_loop")


@routine
def of_release(
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
        "requires",
        releases(which, pgs, npages, ridx, orignpages, a_m, overwrite, async_, have_m),
        "_release",
    )
    _release(vp, pgs, npages, ridx, orignpages, a_m, write, blockalloc, overwrite, async_, have_m)
    check(
        "ensures",
        releases(which, pgs, npages, ridx, orignpages, a_m, overwrite, async_, have_m),
        "_release",
    )


@routine
def of_getpages(
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
    check("requires", gets(which, pgs, n, flags, have_m, error), "call_getpages")
    error = call_getpages(vp, off, pgs, n, centre, write, flags, have_m, depth, shadow, held)
    check("ensures", gets(which, pgs, n, flags, have_m, error), "call_getpages")


@routine
def of_cluster(vp: Vnode, pgs: Cluster, pg: PageOrMarker, off: off_t) -> None:
    which: int32 = choose(2, "which")
    npages: int32 = 0
    nback: int32 = 0
    check("requires", gathers(which, pgs, pg, off, npages, nback), "_cluster")
    npages, nback = _cluster(vp, pgs, pg, off)
    check("ensures", gathers(which, pgs, pg, off, npages, nback), "_cluster")


@routine
def of_gop_write(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> None:
    which: int32 = choose(2, "which")
    check("requires", writes(which, pgs, npages), "genfs_gop_write")
    genfs_gop_write(vp, pgs, npages, flags, pagedaemon)
    check("ensures", writes(which, pgs, npages), "genfs_gop_write")


@routine
def of_gop_write_rwmap(
    vp: Vnode, pgs: Cluster, npages: int32, flags: PGO, pagedaemon: bool
) -> None:
    which: int32 = choose(2, "which")
    check("requires", writes(which, pgs, npages), "genfs_gop_write_rwmap")
    genfs_gop_write_rwmap(vp, pgs, npages, flags, pagedaemon)
    check("ensures", writes(which, pgs, npages), "genfs_gop_write_rwmap")


@routine
def of_scan(
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
    check("requires", nothing(which), "_scan")
    _scan(vp, startoff, endoff, flags, origflags, by_list, wasclean, pagedaemon)
    check("ensures", nothing(which), "_scan")


@routine
def of_putpages(
    vp: Vnode,
    low: off_t,
    high: off_t,
    flags: PGO,
    pagedaemon: bool,
    depth: int32,
    locked: bool,
) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "call_putpages")
    call_putpages(vp, low, high, flags, pagedaemon, depth, locked)
    check("ensures", nothing(which), "call_putpages")


@routine
def of_fault(
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
) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "fault")
    fault(vp, unit, mapping, write, entry, behind, ahead, shadow, readahead, wire)
    check("ensures", nothing(which), "fault")


@routine
def of_ubc_fault(
    vp: Vnode, off: off_t, window: int32, write: bool, low: off_t, high: off_t, depth: int32
) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "ubc_fault")
    ubc_fault(vp, off, window, write, low, high, depth)
    check("ensures", nothing(which), "ubc_fault")


@routine
def of_copy_over(vp: Vnode, off: off_t, end: off_t, value: token, depth: int32) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "copy_over")
    copy_over(vp, off, end, value, depth)
    check("ensures", nothing(which), "copy_over")


@routine
def of_ufs_balloc_range(vp: Vnode, off: off_t, length: off_t, depth: int32) -> None:
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "ufs_balloc_range")
    ufs_balloc_range(vp, off, length, depth)
    check("ensures", nothing(which), "ufs_balloc_range")


@routine
def of_aiodone() -> None:
    """The completion thread, which does not end."""
    which: int32 = choose(2, "which")
    check("requires", nothing(which), "aiodone")
    aiodone()
