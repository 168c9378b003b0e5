"""The file system under the vnode: block map, allocation, where storage ends."""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL, atomic, check, choose_bool, int32, me, pure, routine, rw_write_held, wait_until,
)  # fmt: skip
from .state import Vnode, blocks, faults, mount, perthread
from .syncer import vn_syncer_add_to_worklist, vn_syncer_remove_from_worklist
from .trans import (
    WAPBL_BEGIN, WAPBL_END, fstrans_done, fstrans_start, fstrans_start_nowait, wapbl_flush,
)  # fmt: skip
from .types import (
    DEV_BSHIFT, EIO, ENOSPC, FILE_BLOCKS, FOREIGN, FRAGMENTS, FS_BSHIFT, FS_BSIZE, MAXPHYS,
    METADATA, NBLOCKS, PAGE_SHIFT, PAGE_SIZE, FsTrans, daddr_t, errno, off_t,
)  # fmt: skip

__all__ = [
    "GOP_ALLOC", "GOP_MARKUPDATE", "VOP_BMAP", "WAPBL_BEGIN", "WAPBL_END", "blkroundup",
    "free_blocks_from", "fstrans_done", "fstrans_start", "fstrans_start_nowait", "gop_size",
    "vn_syncer_add_to_worklist", "vn_syncer_remove_from_worklist", "wapbl_flush",
]  # fmt: skip


@pure
def blkroundup(size: off_t) -> off_t:
    """``size`` rounded up to a block."""
    return (size + (FS_BSIZE - 1)) & ~(FS_BSIZE - 1)


@pure
def gop_size(vp: Vnode, size: off_t, mem: bool) -> off_t:
    """GOP_SIZE: where storage for a file of this size ends.

    With FRAGMENTS, as FFS does it: the last block may be short, to a fragment of one unit,
    unless the file reaches beyond that block; the inode's size is looked at without a lock.
    For the limit of legal pages (``mem``) it is always whole blocks.
    """
    return (
        blkroundup(size)
        if mem or not FRAGMENTS or (vp.i_size >> FS_BSHIFT) > (size >> FS_BSHIFT)
        else size
    )


@routine
def GOP_MARKUPDATE(vp: Vnode) -> None:
    """The times of the file: no state here."""
    pass


@atomic
def VOP_BMAP(vp: Vnode, lbn: daddr_t) -> tuple[errno, daddr_t, int32]:
    """Where block ``lbn`` is now: error, first sector or -1 for a hole, further blocks in a row.

    It enters and leaves a SHARED transaction of its own, which is a wait only for a thread
    that is in none.
    """
    wait_until(
        perthread[me()].fstrans_count > 0 or mount.fstrans == FsTrans.NORMAL, "fstrans"
    )
    if faults.bmap_error > 0 and choose_bool("bmap error"):
        faults.bmap_error -= 1
        return EIO, -1, 0
    block: daddr_t = vp.bmap[lbn]
    if block < 0:
        return 0, -1, 0
    run: int32 = 0
    for k in range(1, MAXPHYS // FS_BSIZE):
        if run == k - 1 and lbn + k < FILE_BLOCKS:
            if vp.bmap[lbn + k] == block + k:
                run = k
    return 0, block << (FS_BSHIFT - DEV_BSHIFT), run


@pure
def _covered(vp: Vnode, u: off_t) -> bool:
    """May a block be put under unit ``u``, whose old contents nobody may see?

    Inside the file the page over it is the allocator's own busy page; or block and page are
    whole and nobody maps the file, so that only holders of the vnode lock could look.
    """
    return (
        u >= vp.v_size
        or (not vp.v_mapped and FS_BSIZE >= PAGE_SIZE)
        or (
            False
            if vp.tree[u >> PAGE_SHIFT] is NULL
            else vp.tree[u >> PAGE_SHIFT].owner is me()
        )
    )


@atomic
def _alloc_block(vp: Vnode, lbn: daddr_t) -> errno:
    """Give the file a block there, unless it has one: what the block held stays in it."""
    if vp.bmap[lbn] >= 0:
        return 0
    if faults.no_space > 0 and choose_bool("no space"):
        faults.no_space -= 1
        return ENOSPC
    check(
        "claim-5-alloc",
        all(_covered(vp, (lbn << FS_BSHIFT) + i) for i in range(FS_BSIZE)),
        "a block is allocated under a page that others may read",
    )
    for b in range(NBLOCKS):
        if vp.bmap[lbn] < 0 and blocks[b].vp is NULL:
            blocks[b].vp = vp
            vp.bmap[lbn] = b
    if vp.bmap[lbn] < 0:
        return ENOSPC
    if METADATA:
        vp.dirtyblk = True
    return 0


@routine
def GOP_ALLOC(vp: Vnode, off: off_t, length: off_t) -> errno:
    """Allocate every missing block of the range; the caller has the file's glock as writer.

    After each block the inode's size is at least its end.  Blocks allocated before an error
    stay.
    """
    check("lock-discipline", rw_write_held(vp.g_glock), "allocates blocks without the glock")
    end: off_t = off + length
    at: off_t = off & ~(FS_BSIZE - 1)
    while at < end:
        error: errno = _alloc_block(vp, at >> FS_BSHIFT)
        if error:
            return error
        stop: off_t = min(at + FS_BSIZE, end)
        if vp.i_size < stop:
            vp.i_size = stop
        at = stop
    return 0


@atomic
def _free_block(vp: Vnode, lbn: daddr_t) -> None:
    """Give block ``lbn`` up: other files use it from now on."""
    b: daddr_t = vp.bmap[lbn]
    if b >= 0:
        vp.bmap[lbn] = -1
        blocks[b].vp = NULL
        for i in range(FS_BSIZE):
            blocks[b].data[i] = FOREIGN


@routine
def free_blocks_from(vp: Vnode, first: daddr_t) -> None:
    """Give up every block from ``first`` on, one after the other."""
    for lbn in range(FILE_BLOCKS):
        if lbn >= first:
            _free_block(vp, lbn)
