"""The small file system below the pages: block maps, allocation, inodes on disk.

Allocation is first fit.  A block that was freed is not given to another file before the
inode that lost it is on disk, so that after a crash no block has two owners.
"""

from __future__ import annotations

import errno
from bisect import bisect_left, insort
from dataclasses import replace
from typing import TYPE_CHECKING

from .device import SECTOR_SHIFT
from .hook import At
from .image import HOLE, Dinode, Super, encode_journal, read_inodes, read_journal
from .sync import WRITER, Mutex
from .trans import SHARED

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode

GOP_SIZE_MEM = 1


class Ffs:
    """The metadata of one mounted image.  Sizes and offsets are bytes, ``lbn`` blocks."""

    def __init__(self, kernel: Kernel, sb: Super) -> None:
        self._kernel = kernel
        self.sb = sb
        self.bsize = sb.block_size
        self.bshift = sb.block_size.bit_length() - 1
        self._lock = Mutex(kernel.machine, "ffs")  # maps, sizes in inodes, free blocks
        self._iolock = Mutex(kernel.machine, "ffs inodes")  # writing of inodes
        self._sequence = 0
        self.inodes: list[Dinode] = []
        self.free: list[int] = []  # ascending
        self._freed: dict[Vnode, list[int]] = {}  # not reusable yet

    def load(self, name: str) -> None:
        """Reads all inodes, after finishing what the journal holds."""
        dev = self._kernel.dev
        redo = read_journal(self.sb, dev.read)
        for inode in redo:
            dev.write(self.sb.slot(inode.ino, inode.generation), inode.encode(self.sb.slot_size))
        dev.flush()
        if redo:
            self._clear_journal()
        self.inodes = read_inodes(self.sb, dev.read, name)
        used = {block for inode in self.inodes for block in inode.map}
        self.free = [block for block in range(self.sb.blocks) if block not in used]

    # What genfs asks of a file system.

    def gop_size(self, size: int, flags: int = 0) -> int:
        """Where storage for a file of ``size`` ends."""
        return -(-size // self.bsize) * self.bsize

    def bmap(self, vp: Vnode, lbn: int, at: At) -> tuple[int, int, int]:
        """(errno, device block or -1, further contiguous blocks) at this moment."""
        kernel = self._kernel
        kernel.fstrans.start(SHARED, at)
        error = kernel.faults.hit("bmap") or 0
        blkno, run = HOLE, 0
        if lbn >= self.sb.map_entries:
            error = errno.EFBIG
        if not error:
            self._lock.enter(at)
            table = vp.inode.map
            block = table[lbn] if lbn < len(table) else HOLE
            if block != HOLE:
                most = max(0, kernel.config.maxphys // self.bsize - 1)
                while run < most and table[lbn + run : lbn + run + 2][1:] == [block + run + 1]:
                    run += 1
                blkno = (self.sb.data >> SECTOR_SHIFT) + (block << self.bshift >> SECTOR_SHIFT)
            kernel.machine.step("bmap", at, vp=vp, lbn=lbn, blkno=blkno, run=run, error=0)
            self._lock.exit(at)
        kernel.fstrans.done(at)
        return error, blkno, run

    def gop_alloc(self, vp: Vnode, offset: int, length: int, at: At) -> int:
        """Gives blocks to every hole of the range; an errno, with what was given staying.

        The inode's size follows the allocation; the caller has g_glock exclusively.
        """
        kernel = self._kernel
        if vp.g_glock.held() != WRITER:
            kernel.machine.panic(f"allocation for {vp} at {at} without g_glock")
        end = offset + length
        for lbn in range(offset >> self.bshift, (end - 1 >> self.bshift) + 1):
            error = self._allocate(vp, lbn, at)
            if error:
                return error
            self._lock.enter(at)
            reached = min(end, (lbn + 1) << self.bshift)
            if vp.inode.size < reached:
                vp.inode.size = reached
                vp.inode_dirty = True
                kernel.machine.step("isize", at, vp=vp, value=reached)
            self._lock.exit(at)
        self._changed(vp, at)
        return 0

    def _allocate(self, vp: Vnode, lbn: int, at: At) -> int:
        kernel = self._kernel
        if lbn >= self.sb.map_entries:
            return errno.EFBIG
        self._lock.enter(at)
        table = vp.inode.map
        if lbn < len(table) and table[lbn] != HOLE:
            self._lock.exit(at)
            return 0
        error = kernel.faults.hit("space") or 0
        if not error and not self.free:
            error = errno.ENOSPC
        if error:
            self._lock.exit(at)
            return error
        table.extend([HOLE] * (lbn + 1 - len(table)))
        before = table[lbn - 1] if lbn else HOLE
        block = self._take(before + 1 if before != HOLE else 0)
        table[lbn] = block
        kernel.machine.step("block_alloc", at, vp=vp, lbn=lbn, blkno=block)
        self._lock.exit(at)
        self._changed(vp, at, blocks=True)
        return 0

    def _take(self, wanted: int) -> int:
        """Takes the block ``wanted`` off the free ones, or else the first."""
        place = bisect_left(self.free, wanted)
        if place == len(self.free) or self.free[place] != wanted:
            place = 0
        return self.free.pop(place)

    def allocated(self, vp: Vnode, offset: int, length: int) -> bool:
        """Whether the range has no hole now."""
        self._lock.enter("allocated")
        table = vp.inode.map
        lbns = range(offset >> self.bshift, (offset + length - 1 >> self.bshift) + 1)
        full = all(lbn < len(table) and table[lbn] != HOLE for lbn in lbns)
        self._lock.exit("allocated")
        return full

    # Changes of inodes.

    def set_isize(self, vp: Vnode, size: int, at: At) -> None:
        self._lock.enter(at)
        vp.inode.size = size
        vp.inode_dirty = True
        self._kernel.machine.step("isize", at, vp=vp, value=size)
        self._lock.exit(at)
        self._changed(vp, at)

    def free_blocks(self, vp: Vnode, size: int, at: At) -> None:
        """Takes all blocks at or past ``size`` from ``vp``."""
        keep = -(-size // self.bsize)
        self._lock.enter(at)
        lost = [
            (lbn, block) for lbn, block in enumerate(vp.inode.map) if lbn >= keep and block != HOLE
        ]
        del vp.inode.map[keep:]
        self._freed.setdefault(vp, []).extend(block for _lbn, block in lost)
        for lbn, block in lost:
            self._kernel.machine.step("block_free", at, vp=vp, lbn=lbn, blkno=block)
        self._lock.exit(at)
        self._changed(vp, at, blocks=True)

    def _changed(self, vp: Vnode, at: At, blocks: bool = False) -> None:
        kernel = self._kernel
        if kernel.wapbl is not None:
            kernel.wapbl.changed(vp)
        elif blocks:
            vp.interlock.enter(at)
            vp.dirtyblkhd = True
            kernel.worklist.add(vp, at)
            vp.interlock.exit(at)

    def update(self, vp: Vnode, at: At) -> int:
        """Writes the inode of ``vp`` if it changed; an errno.  Without a journal only."""
        self._iolock.enter(at)  # also waits for a write that somebody else has begun
        if not (vp.inode_dirty or vp.dirtyblkhd):
            self._iolock.exit(at)
            return 0
        copied = self._copy(vp, at)
        error = self._write([copied])
        if error:
            vp.inode_dirty = True
        else:
            self._written(vp, copied, at)
        self._iolock.exit(at)
        return error

    def commit(self, vnodes: list[Vnode]) -> int:
        """Writes the inodes of ``vnodes``, all or none; no transaction is open."""
        self._iolock.enter("commit")
        copies = [self._copy(vp, "commit") for vp in vnodes]
        self._sequence += 1
        dev = self._kernel.dev
        try:
            slots = [inode.encode(self.sb.slot_size) for inode in copies]
            dev.flush()  # data before the metadata that point to them
            dev.write(self.sb.journal, encode_journal(self._sequence, slots))
            dev.flush()
            error = self._write(copies)
            if not error:
                self._clear_journal()
        except OSError as failed:
            self._kernel.machine.check()
            error = failed.errno or errno.EIO
        if not error:
            for vp, copied in zip(vnodes, copies, strict=True):
                self._written(vp, copied, "commit")
        self._iolock.exit("commit")
        return error

    def _copy(self, vp: Vnode, at: At) -> Dinode:
        self._lock.enter(at)
        inode = vp.inode
        copied = replace(inode, generation=inode.generation + 1, map=list(inode.map))
        vp.inode_dirty = False
        self._lock.exit(at)
        return copied

    def _write(self, inodes: list[Dinode]) -> int:
        dev = self._kernel.dev
        try:
            dev.flush()
            for inode in inodes:
                slot = inode.encode(self.sb.slot_size)
                dev.write(self.sb.slot(inode.ino, inode.generation), slot)
            dev.flush()
        except OSError as failed:
            self._kernel.machine.check()
            return failed.errno or errno.EIO
        return 0

    def _written(self, vp: Vnode, copied: Dinode, at: At) -> None:
        self._lock.enter(at)
        vp.inode.generation = copied.generation
        if copied.map == vp.inode.map:
            for block in self._freed.pop(vp, []):
                insort(self.free, block)
        clean = copied.map == vp.inode.map
        self._lock.exit(at)
        if clean and vp.dirtyblkhd:
            vp.interlock.enter(at)
            vp.dirtyblkhd = False
            vp.interlock.exit(at)

    def _clear_journal(self) -> None:
        dev = self._kernel.dev
        dev.write(self.sb.journal, bytes(512))
        dev.flush()
