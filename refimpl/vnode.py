"""A vnode: a file in memory, with its pages and the lock that getpages takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .genfs.flags import VI_ONWORKLST, VI_WRMAP, VI_WRMAPDIRTY
from .genfs.putpages import putpages
from .hook import At
from .pages import Slot, Uobject
from .sync import Chan, Machine, Mutex, RwLock, Word

if TYPE_CHECKING:
    from .image import Dinode
    from .kernel import Kernel


class Vnode:
    """One file.  The object lock and the interlock are the same mutex."""

    def __init__(self, mnt: Kernel, inode: Dinode) -> None:
        machine = mnt.machine
        name = f"vp{inode.ino}"
        self.name = name
        self.mnt = mnt
        self.inode = inode
        self.uobj = Uobject(machine, name, self)
        self.interlock = self.uobj.vmobjlock
        self.v_lock = RwLock(machine, f"{name}.v_lock")
        self.g_glock = RwLock(machine, f"{name}.g_glock")
        self.g_dirtygen = Word(machine, name, "g_dirtygen")
        self.v_size = Word(machine, name, "v_size", inode.size)
        self.v_writesize = Word(machine, name, "v_writesize", inode.size)
        self.v_numoutput = Word(machine, name, "v_numoutput")
        self.v_iflag = Word(machine, name, "v_iflag")
        self.v_vflag = Word(machine, name, "v_vflag")
        self.v_cv = Chan(f"output of {name}")
        self.v_usecount = 0  # under the kernel's lock of vnodes
        self.dirtyblkhd = False  # the map of blocks has changes that are not written
        self.inode_dirty = False  # size, name or times have
        self.ra_next = -1  # where a sequential reader would go on
        self.mtime = self.atime = time.time()

    def __str__(self) -> str:
        return self.name

    def getpages(
        self,
        offset: int,
        pgs: list[Slot] | None,
        count: int,
        centeridx: int,
        access: int,
        flags: int,
    ) -> int:
        """VOP_GETPAGES."""
        return self.mnt.getpages(self, offset, pgs, count, centeridx, access, flags)

    def putpages(self, startoff: int, endoff: int, flags: int) -> int:
        """VOP_PUTPAGES."""
        return putpages(self, startoff, endoff, flags)

    def touch(self, accessed: bool, modified: bool) -> None:
        """GOP_MARKUPDATE; times are kept in memory only."""
        now = time.time()
        if accessed:
            self.atime = now
        if modified:
            self.mtime = now

    def vwakeup(self, at: At) -> None:
        """A write ended; the interlock is held."""
        left = self.v_numoutput.add(-1, at)
        self.mnt.machine.kassert(left >= 0, at, f"v_numoutput of {self}")
        if left == 0:
            self.mnt.machine.wakeup(self.v_cv, at)

    def wait_output(self, at: At) -> None:
        """Waits until no write is outstanding; the interlock is held."""
        while self.v_numoutput.get(at) != 0:
            self.mnt.machine.sleep(self.v_cv, self.interlock, at)
            self.interlock.enter(at)

    def needs_writefault(self, at: At) -> bool:
        """Whether a store through a mapping must be announced by a fault first."""
        iflag = self.v_iflag.get(at)
        return not iflag & VI_ONWORKLST or iflag & (VI_WRMAP | VI_WRMAPDIRTY) == VI_WRMAP


class Worklist:
    """The vnodes that the syncer shall visit, and when."""

    def __init__(self, machine: Machine, delay: float) -> None:
        self._machine = machine
        self._delay = delay
        self._lock = Mutex(machine, "syncer_data_lock")
        self._due: dict[Vnode, float] = {}

    def add(self, vp: Vnode, at: At) -> None:
        """Lists ``vp``; its interlock is held."""
        self._lock.enter(at)
        vp.v_iflag.on(VI_ONWORKLST, at)
        self._due[vp] = time.monotonic() + self._delay
        self._machine.step("worklist", at, vp=vp, on=True)
        self._lock.exit(at)

    def remove(self, vp: Vnode, at: At) -> None:
        """Takes ``vp`` off the list if it is on it; its interlock is held."""
        self._lock.enter(at)
        vp.v_iflag.off(VI_ONWORKLST, at)
        self._due.pop(vp, None)
        self._machine.step("worklist", at, vp=vp, on=False)
        self._lock.exit(at)

    def due(self, now: float) -> list[Vnode]:
        """The vnodes whose time has come."""
        self._lock.enter("syncer")
        vnodes = [vp for vp, when in self._due.items() if when <= now]
        self._lock.exit("syncer")
        return vnodes

    def later(self, vp: Vnode, now: float) -> None:
        """Puts ``vp`` off, if it is still listed."""
        self._lock.enter("syncer")
        if vp in self._due:
            self._due[vp] = now + self._delay
        self._lock.exit("syncer")
