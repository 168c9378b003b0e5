"""Buffers of a transfer: a master, its children, and their completion."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Protocol

from .hook import At

if TYPE_CHECKING:
    from .vnode import Vnode

B_READ = 1
B_ASYNC = 2
BC_BUSY = 1
BC_AGE = 2
BO_DONE = 1

_numbers = count(1)


class Memory(Protocol):
    """Where the bytes of a transfer are: a window over pages, or a user's buffer."""

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def zero(self, offset: int, length: int) -> None: ...


class Buf:
    """One transfer between memory and the device; ``objlock`` guards its completion."""

    def __init__(self, vp: Vnode) -> None:
        self.vp = vp
        self.machine = vp.mnt.machine
        self.objlock = vp.interlock
        self.number = next(_numbers)
        self.flags = 0
        self.cflags = 0
        self.oflags = 0
        self.data: Memory | None = None
        self.base = 0  # offset in data
        self.bcount = 0
        self.resid = 0
        self.bufsize = 0
        self.error = 0
        self.blkno = 0  # in device blocks
        self.iodone: Callable[[Buf], None] | None = None
        self.private: Buf | None = None  # of a child: its master

    @property
    def is_read(self) -> bool:
        return bool(self.flags & B_READ)

    def __str__(self) -> str:
        return f"buf{self.number}"

    def describe(self) -> str:
        way = "read" if self.is_read else "write"
        return f"{self}, {way} of {self.bcount} bytes at {self.blkno} for {self.vp}"


def getiobuf(vp: Vnode, at: At) -> Buf:
    bp = Buf(vp)
    vp.mnt.bufs.add(1)
    vp.mnt.machine.step("getiobuf", at, buf=bp)
    return bp


def putiobuf(bp: Buf, at: At) -> None:
    bp.vp.mnt.bufs.add(-1)
    bp.machine.step("putiobuf", at, buf=bp)


def nestiobuf_setup(mbp: Buf, bp: Buf, offset: int, size: int, at: At) -> None:
    """Makes ``bp`` an asynchronous child of ``mbp``, for ``size`` bytes from ``offset``."""
    bp.private = mbp
    bp.flags = (mbp.flags & B_READ) | B_ASYNC
    bp.cflags = BC_BUSY
    bp.iodone = _nestiobuf_iodone
    bp.data = mbp.data
    bp.base = mbp.base + offset
    bp.resid = bp.bcount = bp.bufsize = size
    if not bp.is_read:
        vp = bp.vp
        vp.interlock.enter(at)
        vp.v_numoutput.add(1, at)
        vp.interlock.exit(at)


def _nestiobuf_iodone(bp: Buf) -> None:
    mbp = bp.private
    assert mbp is not None
    error = bp.error
    if error == 0 and bp.resid > 0:
        error = errno.EIO  # a short transfer
    size = bp.bcount
    putiobuf(bp, "nestiobuf_iodone")
    nestiobuf_done(mbp, size, error, "nestiobuf_iodone")


def nestiobuf_done(mbp: Buf, donebytes: int, error: int, at: At) -> None:
    """Takes ``donebytes`` off what ``mbp`` waits for; 0 bytes do nothing, error or not."""
    if donebytes == 0:
        return
    mbp.objlock.enter(at)
    mbp.machine.kassert(mbp.resid >= donebytes, "nestiobuf_done", str(mbp))
    if error:
        mbp.error = error
    mbp.resid -= donebytes
    last = mbp.resid == 0
    if last and mbp.error:
        mbp.resid = mbp.bcount
    mbp.objlock.exit(at)
    if last:
        biodone(mbp)


def biodone(bp: Buf) -> None:
    """A transfer is over: wakes, releases, or calls whoever asked to be called."""
    bp.objlock.enter("biodone")
    bp.machine.step("biodone", "biodone", buf=bp, error=bp.error)
    bp.machine.kassert(not bp.oflags & BO_DONE, "biodone", f"{bp} is done twice")
    bp.oflags |= BO_DONE
    if not bp.is_read:
        bp.vp.vwakeup("biodone")
    iodone, bp.iodone = bp.iodone, None
    if iodone is not None:
        bp.objlock.exit("biodone")
        iodone(bp)
    elif bp.flags & B_ASYNC:
        bp.objlock.exit("biodone")
        putiobuf(bp, "biodone")
    else:
        bp.machine.wakeup(bp, "biodone")
        bp.objlock.exit("biodone")


def biowait(bp: Buf, at: At) -> int:
    """Waits until ``bp`` is done; its error."""
    bp.objlock.enter(at)
    while not bp.oflags & BO_DONE:
        bp.machine.sleep(bp, bp.objlock, at)
        bp.objlock.enter(at)
    bp.objlock.exit(at)
    return bp.error
