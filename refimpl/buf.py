"""Buffers of a transfer: a master, its children, and their completion.

Completion happens under the object lock, in one step: what it wakes and whom it tells is
part of it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .hook import At
from .sync import Machine, Want, lowest

if TYPE_CHECKING:
    from .vnode import Vnode

B_READ = 1
B_ASYNC = 2
BC_BUSY = 1
BC_AGE = 2
BO_DONE = 1


class Memory(Protocol):
    """Where the bytes of a transfer are: a window over pages, or a user's buffer."""

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def zero(self, offset: int, length: int, at: At) -> None: ...


class Buf:
    """One transfer between memory and the device; ``objlock`` guards its completion."""

    def __init__(self, vp: Vnode, number: int) -> None:
        self.vp = vp
        self.machine = vp.mnt.machine
        self.objlock = vp.interlock
        self.number = number
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
        self.iodone: Callable[[Buf], None] | None = None  # called in the step that completes it
        self.private: Buf | None = None  # of a child: its master
        self.device = ""  # "queued", "moved" while the device has it

    @property
    def is_read(self) -> bool:
        return bool(self.flags & B_READ)

    def __str__(self) -> str:
        return f"buf{self.number}"

    def describe(self) -> str:
        way = "read" if self.is_read else "write"
        return f"{self}, {way} of {self.bcount} bytes at {self.blkno} for {self.vp}"


class Bufs:
    """The buffers in use; ``most`` None for no limit."""

    def __init__(self, machine: Machine, most: int | None) -> None:
        self.machine = machine
        self.live: list[Buf] = []
        self._most = most

    def get(self, vp: Vnode, at: At) -> Buf:
        want = Want(self, lambda: self._most is None or len(self.live) < self._most, "a buffer")
        with self.machine.service("getiobuf", at, want) as said:
            bp = Buf(vp, lowest([one.number for one in self.live]))
            self.live.append(bp)
            said["buf"] = bp
        return bp

    @property
    def value(self) -> int:
        """How many are in use."""
        return len(self.live)

    def put(self, bp: Buf) -> None:
        """Inside a service."""
        self.machine.kassert(not bp.device, "putiobuf", bp.describe())
        self.live.remove(bp)
        self.machine.wake(self)


def getiobuf(vp: Vnode, at: At) -> Buf:
    """A buffer; waits for one if need be."""
    return vp.mnt.bufs.get(vp, at)


def putiobuf(bp: Buf, at: At) -> None:
    with bp.machine.service("putiobuf", at, buf=bp):
        bp.vp.mnt.bufs.put(bp)


def nestiobuf_setup(mbp: Buf, bp: Buf, offset: int, size: int, at: At) -> None:
    """Makes ``bp`` an asynchronous child of ``mbp``, for ``size`` bytes from ``offset``."""
    mutex = None if mbp.is_read else bp.objlock
    said: dict[str, object] = {"master": mbp, "buf": bp, "offset": offset, "count": size}
    with bp.machine.service("nestiobuf_setup", at, None, mutex, **said):
        bp.private = mbp
        bp.flags = (mbp.flags & B_READ) | B_ASYNC
        bp.cflags = BC_BUSY
        bp.data = mbp.data
        bp.base = mbp.base + offset
        bp.resid = bp.bcount = bp.bufsize = size
        if not bp.is_read:
            bp.vp.v_numoutput.value += 1


def nestiobuf_done(mbp: Buf, donebytes: int, error: int, at: At) -> None:
    """Takes ``donebytes`` off what ``mbp`` waits for; 0 bytes do nothing, error or not."""
    if donebytes == 0:
        return
    said: dict[str, object] = {"buf": mbp, "count": donebytes, "error": error}
    with mbp.machine.service("nestiobuf_done", at, None, mbp.objlock, **said) as told:
        told["done"] = _part_done(mbp, donebytes, error)


def _part_done(mbp: Buf, donebytes: int, error: int) -> bool:
    mbp.machine.kassert(mbp.resid >= donebytes, "nestiobuf_done", str(mbp))
    if error:
        mbp.error = error
    mbp.resid -= donebytes
    if mbp.resid:
        return False
    if mbp.error:
        mbp.resid = mbp.bcount
    _done(mbp)
    return True


def biodone(bp: Buf, at: At = "biodone") -> None:
    """A transfer is over: wakes, releases, or calls whoever asked to be called."""
    with bp.machine.service("biodone", at, None, bp.objlock, buf=bp, error=bp.error) as said:
        said["done"] = complete(bp)


def complete(bp: Buf) -> bool:
    """As `biodone`, inside a service that has the object lock; whether a master is done."""
    bp.device = ""
    mbp = bp.private
    if bp.error == 0 and bp.resid > 0 and bp.vp.mnt.fixes.short_is_error:
        bp.error = errno.EIO
    if mbp is None:
        _done(bp)
        return True
    error = bp.error
    if error == 0 and bp.resid > 0:
        error = errno.EIO  # a short transfer
    size = bp.bcount
    if not bp.is_read:
        bp.vp.output_done()
    bp.vp.mnt.bufs.put(bp)
    return _part_done(mbp, size, error)


def _done(bp: Buf) -> None:
    """A buffer that is nobody's child is done."""
    bp.machine.kassert(not bp.oflags & BO_DONE, "biodone", f"{bp} is done twice")
    bp.oflags |= BO_DONE
    if not bp.is_read:
        bp.vp.output_done()
    iodone, bp.iodone = bp.iodone, None
    if iodone is not None:
        iodone(bp)
    else:
        bp.machine.wake(bp)


def biowait(bp: Buf, at: At) -> int:
    """Waits until ``bp`` is done; its error."""
    want = Want(bp, lambda: bool(bp.oflags & BO_DONE), bp.describe())
    with bp.machine.service("biowait", at, want, buf=bp) as said:
        said["error"] = bp.error
    return bp.error
