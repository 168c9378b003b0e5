"""A vnode: a file in memory, with its pages and the lock that getpages takes."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .genfs.flags import PGO_LOCKED, VI_ONWORKLST, VI_WRMAP, VI_WRMAPDIRTY
from .genfs.putpages import putpages
from .hook import At
from .pages import Slot, Uobject
from .sync import Chan, Lwp, Machine, RwLock, Want, Word

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
        self._users = Chan(f"users of {name}")
        self.v_usecount = 0  # under the kernel's lock of vnodes
        self.i_size = Word(machine, name, "i_size", inode.size)  # as the inode in memory has it
        self.dirtyblkhd = Word(machine, name, "dirtyblk")  # the map of blocks is to be written
        self.inode_dirty = False  # size, name or times have
        self.dead = False  # reclaimed: its operations are those of a dead vnode
        self.reclaimer: Lwp | None = None  # for all others it is dead already
        self.inside = 0  # threads in getpages or putpages; changed under the guard
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
        machine = self.mnt.machine
        if self._is_dead():
            if not flags & PGO_LOCKED:
                self.interlock.exit("deadfs")
            return machine.returns("getpages", errno.EINVAL)
        with self._used():
            error = self.mnt.getpages(self, offset, pgs, count, centeridx, access, flags)
        return machine.returns("getpages", error)

    def putpages(self, startoff: int, endoff: int, flags: int) -> int:
        """VOP_PUTPAGES."""
        machine = self.mnt.machine
        if self._is_dead():
            # While it is being reclaimed there may be pages that are not written yet.
            error = 0 if self.dead else errno.EINVAL
            self.interlock.exit("deadfs")
            return machine.returns("putpages", error)
        with self._used():
            error = putpages(self, startoff, endoff, flags)
        return machine.returns("putpages", error)

    def _is_dead(self) -> bool:
        """Whether its operations do nothing any more for the calling thread."""
        if self.dead:
            return True
        return self.reclaimer is not None and self.reclaimer is not self.mnt.machine.curlwp()

    @contextmanager
    def _used(self) -> Iterator[None]:
        machine = self.mnt.machine
        with machine.guard:
            self.inside += 1
        try:
            yield
        finally:
            with machine.guard:
                self.inside -= 1
                if not self.inside:
                    machine.wake(self._users)

    def close_operations(self, at: At) -> None:
        """From now on they do nothing for others; waits for those who are in one."""
        machine = self.mnt.machine
        self.interlock.enter(at)
        self.reclaimer = machine.curlwp()
        self.interlock.exit(at)
        want = Want(self._users, lambda: not self.inside, f"the users of {self}")
        with machine.service("vnode_drained", at, want, vp=self):
            pass

    def touch(self, accessed: bool, modified: bool) -> None:
        """GOP_MARKUPDATE; times are kept in memory only."""
        now = time.time()
        if accessed:
            self.atime = now
        if modified:
            self.mtime = now

    def vwakeup(self, at: At) -> None:
        """A write ended; the interlock is held."""
        with self.mnt.machine.service("vwakeup", at, vp=self) as said:
            self.output_done()
            said["left"] = self.v_numoutput.value

    def output_done(self) -> None:
        """As `vwakeup`, inside a service."""
        self.v_numoutput.value -= 1
        left = self.v_numoutput.value
        self.mnt.machine.kassert(left >= 0, "vwakeup", f"v_numoutput of {self}")
        if left == 0:
            self.mnt.machine.wake(self.v_cv)

    def wait_output(self, at: At) -> None:
        """Waits until no write is outstanding; the interlock is held."""
        while self.v_numoutput.get(at) != 0:
            self.mnt.machine.sleep(self.v_cv, self.interlock, at)
            self.interlock.enter(at)

    def needs_writefault(self, at: At) -> bool:
        """Whether a store through a mapping must be announced by a fault first."""
        if not self.v_iflag.get(at) & VI_ONWORKLST:
            return True
        return self.v_iflag.get(at) & (VI_WRMAP | VI_WRMAPDIRTY) == VI_WRMAP


class Worklist:
    """The vnodes that the syncer shall visit, and when."""

    def __init__(self, machine: Machine, delay: float) -> None:
        self._machine = machine
        self._delay = delay
        self._due: dict[Vnode, float] = {}

    def add(self, vp: Vnode, at: At) -> None:
        """Lists ``vp``; its interlock is held."""
        with self._machine.service("worklist", at, vp=vp, on=True):
            vp.v_iflag.value |= VI_ONWORKLST
            self._due[vp] = self._machine.now() + self._delay

    def remove(self, vp: Vnode, at: At) -> None:
        """Takes ``vp`` off the list if it is on it; its interlock is held."""
        with self._machine.service("worklist", at, vp=vp, on=False):
            self.drop(vp)

    def drop(self, vp: Vnode) -> None:
        """As `remove`, inside a service."""
        vp.v_iflag.value &= ~VI_ONWORKLST
        self._due.pop(vp, None)

    def due(self, now: float) -> list[Vnode]:
        """The vnodes whose time has come."""
        with self._machine.guard:
            return [vp for vp, when in self._due.items() if when <= now]

    def later(self, vp: Vnode, now: float) -> None:
        """Puts ``vp`` off, if it is still listed."""
        with self._machine.guard:
            if vp in self._due:
                self._due[vp] = now + self._delay
