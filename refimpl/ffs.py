"""The small file system below the pages: block maps, allocation, inodes on disk.

Allocation is first fit.  A block that was freed is not given to another file before the
inode that lost it is on disk, so that after a crash no block has two owners.
"""

from __future__ import annotations

import errno
from bisect import bisect_left, insort
from dataclasses import replace
from typing import TYPE_CHECKING

from .device import SECTOR, SECTOR_SHIFT
from .hook import At
from .image import HOLE, Dinode, Super, encode_journal, read_inodes, read_journal
from .sync import WRITER, Mutex, Want
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

    def storage_end(self, vp: Vnode, size: int, at: At) -> int:
        """Where storage on the device ends for ``vp`` at this size.

        With fragments the last block may be short, unless the inode reaches behind it.
        """
        if not self._kernel.config.fragments:
            return self.gop_size(size)
        if vp.i_size.get(at) >> self.bshift > size >> self.bshift:
            return self.gop_size(size)
        return -(-size // SECTOR) * SECTOR

    def bmap(self, vp: Vnode, lbn: int, at: At) -> tuple[int, int, int]:
        """(errno, device block or -1, further contiguous blocks) at this moment.

        It is a transaction of its own: a thread that is inside none may have to wait.
        """
        kernel = self._kernel
        lwp = kernel.machine.curlwp()
        fstrans = kernel.fstrans
        want = Want(fstrans, lambda: fstrans.admitted(lwp, SHARED), fstrans.describe())
        with kernel.machine.service("bmap", at, want, vp=vp, lbn=lbn) as said:
            error = kernel.faults.hit("bmap") or 0
            blkno, run = HOLE, 0
            if lbn >= self.sb.map_entries:
                error = errno.EFBIG
            table = vp.inode.map
            block = table[lbn] if lbn < len(table) and not error else HOLE
            if block != HOLE:
                most = max(0, kernel.config.maxphys // self.bsize - 1)
                while run < most and table[lbn + run : lbn + run + 2][1:] == [block + run + 1]:
                    run += 1
                blkno = self.sector(block)
            said.update(blkno=blkno, run=run, error=error)
        return error, blkno, run

    def sector(self, block: int) -> int:
        """The first device block of a block."""
        return (self.sb.data >> SECTOR_SHIFT) + (block << self.bshift >> SECTOR_SHIFT)

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
            reached = min(end, (lbn + 1) << self.bshift)
            if vp.i_size.get(at) < reached:
                self.set_isize(vp, reached, at)
        return 0

    def _allocate(self, vp: Vnode, lbn: int, at: At) -> int:
        kernel = self._kernel
        with kernel.machine.service("block_alloc", at, vp=vp, lbn=lbn) as said:
            error, block, new = 0, HOLE, False
            table = vp.inode.map
            if lbn < len(table) and table[lbn] != HOLE:
                block = table[lbn]
            elif lbn >= self.sb.map_entries:
                error = errno.EFBIG
            else:
                error = kernel.faults.hit("space") or (0 if self.free else errno.ENOSPC)
                if not error:
                    table.extend([HOLE] * (lbn + 1 - len(table)))
                    block = table[lbn] = self._take(table[lbn - 1] if lbn else HOLE)
                    new = vp.inode_dirty = True
                    if kernel.config.metadata and kernel.wapbl is None:
                        vp.dirtyblkhd.value = 1
            said.update(block=block, error=error, new=new)
        if new:
            self._changed(vp)
        return error

    def _take(self, before: int) -> int:
        """Takes the block behind ``before`` off the free ones, or else the first."""
        place = 0
        if before != HOLE and not self._kernel.config.first_fit:
            place = bisect_left(self.free, before + 1)
            if place == len(self.free) or self.free[place] != before + 1:
                place = 0
        return self.free.pop(place)

    def allocated(self, vp: Vnode, offset: int, length: int) -> bool:
        """Whether the range has no hole now."""
        with self._kernel.machine.guard:
            table = vp.inode.map
            lbns = range(offset >> self.bshift, (offset + length - 1 >> self.bshift) + 1)
            return all(lbn < len(table) and table[lbn] != HOLE for lbn in lbns)

    # Changes of inodes.

    def set_isize(self, vp: Vnode, size: int, at: At) -> None:
        vp.i_size.set(size, at)
        vp.inode.size = size
        self._changed(vp)

    def free_blocks(self, vp: Vnode, size: int, at: At) -> None:
        """Takes all blocks at or past ``size`` from ``vp``, one after the other."""
        kernel = self._kernel
        for lbn in range(-(-size // self.bsize), len(vp.inode.map)):
            with kernel.machine.service("block_free", at, vp=vp, lbn=lbn) as said:
                block = said["block"] = vp.inode.map[lbn]
                vp.inode.map[lbn] = HOLE
                vp.inode_dirty = True
                if block != HOLE:
                    self._freed.setdefault(vp, []).append(block)
                    if kernel.config.block_junk:
                        junk = kernel.config.block_junk * (self.bsize // SECTOR)
                        kernel.dev.scribble(self.sector(block) * SECTOR, junk)
        del vp.inode.map[-(-size // self.bsize) :]
        self._changed(vp)

    def _changed(self, vp: Vnode) -> None:
        vp.inode_dirty = True
        if self._kernel.wapbl is not None:
            self._kernel.wapbl.changed(vp)

    def update(self, vp: Vnode, at: At) -> int:
        """Writes the inode of ``vp`` if it changed; an errno.  Without a journal only."""
        self._iolock.enter(at)  # also waits for a write that somebody else has begun
        if not vp.inode_dirty:
            self._iolock.exit(at)
            return 0
        copied = self._copy(vp)
        error = self._write([copied])
        if error:
            vp.inode_dirty = True
        else:
            self._written(vp, copied)
        self._iolock.exit(at)
        return error

    def commit(self, vnodes: list[Vnode]) -> int:
        """Writes the inodes of ``vnodes``, all or none; no transaction is open."""
        self._iolock.enter("commit")
        copies = [self._copy(vp) for vp in vnodes]
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
                self._written(vp, copied)
        self._iolock.exit("commit")
        return error

    def _copy(self, vp: Vnode) -> Dinode:
        with self._kernel.machine.guard:
            inode = vp.inode
            copied = replace(inode, generation=inode.generation + 1, map=list(inode.map))
            while copied.map and copied.map[-1] == HOLE:
                copied.map.pop()
            vp.inode_dirty = False
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

    def _written(self, vp: Vnode, copied: Dinode) -> None:
        with self._kernel.machine.guard:
            vp.inode.generation = copied.generation
            if not vp.inode_dirty:
                for block in self._freed.pop(vp, []):
                    insort(self.free, block)

    def _clear_journal(self) -> None:
        dev = self._kernel.dev
        dev.write(self.sb.journal, bytes(512))
        dev.flush()
