"""The initial state: one file, what of it is on disk and in memory, and the fault budgets."""

from __future__ import annotations

from ...checker.lang.prelude import allocate, int32, panic, setup
from .data import disk_token, rest_token, token_bit
from .state import Page, Vnode, blocks, faults, mount, pages, vnodes
from .types import (
    FILE_BLOCKS, FILE_PAGES, FILE_UNITS, FOREIGN, FS_BSIZE, NBLOCKS, NMAPPINGS, OLD, PAGE_SHIFT,
    PAGE_SIZE, PAGEDAEMON, PG, UBC_WINSIZE, UNSAVED, VI, ZERO, Prot, budget, off_t,
)  # fmt: skip


@setup
def file(
    size: off_t,
    disk: tuple[int, ...],
    cache: tuple[int, ...],
    listed: bool = False,
    wrmap: bool = False,
    wrmapdirty: bool = False,
    mapped: bool = False,
    dirtyblk: bool = False,
    backwards: bool = False,
    journal_pending: bool = False,
    read_error: budget = 0,
    write_error: budget = 0,
    write_nomem: budget = 0,
    bmap_error: budget = 0,
    no_space: budget = 0,
    no_memory: budget = 0,
    no_array: budget = 0,
    user_fault: budget = 0,
    journal_error: budget = 0,
    journal_full: budget = 0,
    yields: budget = 0,
    short_transfer: budget = 0,
) -> None:
    """A file of ``size`` units.

    ``disk``: for each logical block its disk block, or -1 for a hole.  Blocks of the file
    hold OLD data, and zeros past the end; all others hold FOREIGN data.
    ``cache``: for each page of the file 0 if it is absent, or the sum of: 1 resident; 2 not
    CLEAN; 4 RDONLY; 8 modified; and for mapping ``m`` 16 << (2 * m) readable, or
    32 << (2 * m) writable.  A dirty page holds UNSAVED data.
    ``backwards``: the pages came into memory from the last to the first.
    ``mapped``: VV_MAPPED.  The rest are flags of the vnode and budgets of faults.
    """
    if FILE_UNITS % FS_BSIZE or UBC_WINSIZE < PAGE_SIZE:
        panic("FILE_PAGES must be whole blocks, and a window at least a page")
    vp: Vnode = vnodes[0]
    vp.v_size = size
    vp.v_writesize = size
    vp.i_size = size
    vp.v_mapped = mapped
    vp.dirtyblk = dirtyblk
    if listed:
        vp.v_iflag |= VI.ONWORKLST
    if wrmap:
        vp.v_iflag |= VI.WRMAP
    if wrmapdirty:
        vp.v_iflag |= VI.WRMAPDIRTY
    for b in range(NBLOCKS):
        for i in range(FS_BSIZE):
            blocks[b].data[i] = FOREIGN
    for lbn in range(FILE_BLOCKS):
        vp.bmap[lbn] = disk[lbn]
        if disk[lbn] >= 0:
            blocks[disk[lbn]].vp = vp
            for i in range(FS_BSIZE):
                blocks[disk[lbn]].data[i] = OLD if lbn * FS_BSIZE + i < size else ZERO
    for k in range(FILE_PAGES):
        p: int32 = FILE_PAGES - 1 - k if backwards else k
        if cache[p] & 1:
            pg: Page = allocate(pages)
            pg.uobject = vp
            pg.offset = p << PAGE_SHIFT
            pg.queued = PAGEDAEMON != 0
            pg.modified = (cache[p] & 8) != 0
            if not cache[p] & 2:
                pg.flags |= PG.CLEAN
            if cache[p] & 4:
                pg.flags |= PG.RDONLY
            for m in range(NMAPPINGS):
                if cache[p] & (32 << (2 * m)):
                    pg.pte[m] = Prot.WRITE
                elif cache[p] & (16 << (2 * m)):
                    pg.pte[m] = Prot.READ
            for i in range(PAGE_SIZE):
                if cache[p] & 10 and p * PAGE_SIZE + i < size:
                    pg.data[i] = UNSAVED
                else:
                    pg.data[i] = disk_token(vp, p * PAGE_SIZE + i)
            vp.tree[p] = pg
            vp.memq.insert_tail(pg)
            vp.uo_npages += 1
    for u in range(FILE_UNITS):
        vp.legal[u] = token_bit(rest_token(vp, u)) if u < size else token_bit(ZERO)
    mount.journal_pending = journal_pending
    faults.read_error = read_error
    faults.write_error = write_error
    faults.write_nomem = write_nomem
    faults.bmap_error = bmap_error
    faults.no_space = no_space
    faults.no_memory = no_memory
    faults.no_array = no_array
    faults.user_fault = user_fault
    faults.journal_error = journal_error
    faults.journal_full = journal_full
    faults.yields = yields
    faults.short_transfer = short_transfer
